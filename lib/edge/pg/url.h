#ifndef EDGE_PG_URL_H
#define EDGE_PG_URL_H

#include "base/err.h"

/**
 * Judges a connection string before libpq uses it: what libpq itself says of
 * one it can't read quotes pieces of it, and one of them may be the password.
 *
 * @return false with *err: ERR_PERMANENT; what is wrong and what is allowed, in
 *         words that hold no piece of the string.
 */
MUST_CHECK bool pg_url_check(const char *url, struct err *err);

#endif
