#ifndef EDGE_SCHEMA_H
#define EDGE_SCHEMA_H

#include "base/err.h"

#include <stdint.h>

/**
 * The schema's number and its migrations (sql/schema/NNNN_*.sql, inside the
 * program). Blocking: for commands, not for the loop.
 */
#define SCHEMA_NUMBER 2  /* the newest migration of this program */
#define SCHEMA_FIRST 2   /* the oldest that it brings up to that one */
#define PROGRAM_NUMBER 2 /* grows with what the program asks of the schema */

struct schema_state {
    int number;      /* stored; 0: nothing is there */
    int program_min; /* the oldest program that may run on it */
};

/** Fails too where the database's encoding can't keep every text. */
bool schema_read(const char *url, struct schema_state *state, struct err *err);

/** Apply what is missing, each in a transaction, under an advisory lock. Tables
 * that are in use are waited for, each a second and a half at a time, some two
 * minutes at most. */
bool schema_migrate(const char *url,
                    void (*on_step)(void *context, int number,
                                    const char *name),
                    void *context, struct err *err);

/** What making a copy would do (sql/query/copy.sql). */
struct schema_copy {
    char database[64]; /* its name */
    int64_t open;      /* requests that have not ended */
};

/** @return false with *err: ERR_PERMANENT, a worker is connected. */
MUST_CHECK bool schema_copy_look(const char *url, struct schema_copy *copy,
                                 struct err *err);

/** The database becomes a copy for trials: a new salt, nothing open.
 *
 * @return as schema_copy_look() */
MUST_CHECK bool schema_copy(const char *url, struct schema_copy *copy,
                            struct err *err);

/** Whether this program may run on it; *err says what mends it if not. */
bool schema_fits(const struct schema_state *state, struct err *err);

#endif
