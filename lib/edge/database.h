#ifndef EDGE_DATABASE_H
#define EDGE_DATABASE_H

#include "base/buf.h"
#include "base/err.h"

/**
 * Judges the connection string of a setting before libpq uses it: what libpq
 * itself says of one it can't read quotes pieces of it, and one of them may be
 * the password.
 *
 * @param name    The setting's, for the line.
 * @param writes  Whether a server is wanted that takes writes.
 * @return false: *faults got a line beside those of settings_read(): what is
 *         wrong and what is allowed, in words that hold no piece of the string.
 */
MUST_CHECK bool database_url_judge(const char *name, const char *url,
                                   bool writes, struct buf *faults);

/** How many hosts a good connection string names. */
size_t database_hosts(const char *url);

#endif
