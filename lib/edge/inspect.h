#ifndef EDGE_INSPECT_H
#define EDGE_INSPECT_H

#include "base/err.h"
#include "base/str.h"

#include <stddef.h>

/**
 * Questions of the operator's command to the database, answered row by row.
 * Blocking: for commands, never for the loop.
 */
struct inspect;

struct inspect *inspect_open(const char *url, struct err *err);

/**
 * Run sql/query/<query>.sql.
 *
 * @param params  Text parameters $1…; a null pointer is SQL NULL.
 * @param on_row  Column names and values (absent: NULL), valid until it
 * returns.
 */
bool inspect_rows(struct inspect *inspect, const char *query,
                  const char *const *params, size_t params_len,
                  void (*on_row)(void *context, const char *const *names,
                                 const struct str *values, size_t len),
                  void *context, struct err *err);

/** What is run until inspect_commit() is one transaction. */
bool inspect_begin(struct inspect *inspect, struct err *err);
/** Ends it; what failed in it undoes all of it. */
bool inspect_commit(struct inspect *inspect, struct err *err);
/** Ends it, and nothing of it was done. */
bool inspect_rollback(struct inspect *inspect, struct err *err);
void inspect_close(struct inspect *inspect);

#endif
