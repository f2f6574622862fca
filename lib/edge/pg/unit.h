#ifndef EDGE_PG_UNIT_H
#define EDGE_PG_UNIT_H

#include "base/list.h"
#include "edge/pg/array.h"
#include "edge/pg/pg.h"

#define PG_CALLS_MAX 64
#define PG_PARAMS_MAX 160
#define PG_TRIES_MAX 6 /* the first and five more */

/** How a call reaches PostgreSQL. */
enum pg_call_kind {
    PG_PREPARED, /* `name` was prepared when the lane connected */
    PG_PLAIN,    /* `text` with parameters */
    PG_PREPARE,  /* `text` becomes `name` */
};

struct pg_call {
    enum pg_call_kind kind;
    const char *name;
    const char *text;
    uint16_t params_from; /* below PG_PARAMS_MAX */
    uint16_t params_len;
};

/** One parameter; its bytes lie in the unit's `bytes`. */
struct pg_param {
    uint32_t at;  /* PG_NULL: NULL */
    uint32_t len; /* of an array in binary; 0: text, which ends with a NUL */
};

struct pg_unit;

typedef void pg_unit_fn(void *context, struct pg_unit *unit);

/**
 * One transaction: its statements, their parameters and, in the end, their
 * results. Goes out whole in one segment of a pipeline.
 */
struct pg_unit {
    struct list link;
    pg_unit_fn *on_end;
    void *context;
    /* how often it may go out again after a deadlock and the like */
    int tries_max;
    int tries;
    bool joined; /* the one behind it is of the same transaction */
    struct pg_call calls[PG_CALLS_MAX];
    size_t calls_len;
    struct buf bytes; /* of all parameters */
    struct pg_param params[PG_PARAMS_MAX];
    size_t params_len;
    struct pg_array array;           /* under way */
    PGresult *results[PG_CALLS_MAX]; /* null: none came */
    size_t results_len;
    char sqlstate[6]; /* of the first error of this try; empty: none */
    /** At the end. ERR_NONE: committed, every call has its result.
     * ERR_PERMANENT: rolled back, PostgreSQL refuses the data.
     * ERR_TRANSIENT: not committed or, if the connection was lost, unknown. */
    struct err err;
};

#define PG_NULL UINT32_MAX

/** Never null. Given to pg_lane_send(). */
struct pg_unit *pg_unit_new(pg_unit_fn *on_end, void *context);
void pg_unit_free(struct pg_unit *unit);

/** For want of memory it shall not go out: it ends in ERR_TRANSIENT. */
void pg_unit_fail(struct pg_unit *unit);

/** The next statement; the parameters that follow are its own. */
void pg_unit_call(struct pg_unit *unit, const char *name);
void pg_unit_plain(struct pg_unit *unit, const char *text);
void pg_unit_prepare(struct pg_unit *unit, const char *name, const char *text);
void pg_unit_i64(struct pg_unit *unit, int64_t value);
void pg_unit_str(struct pg_unit *unit, struct str text); /* absent: NULL */

/** An array: pg_array_*() into what this returns, then pg_unit_array_end().
 * Of the type that the statement casts the parameter to, else PostgreSQL
 * refuses it. */
struct pg_array *pg_unit_array(struct pg_unit *unit, enum pg_type type);
void pg_unit_array_end(struct pg_unit *unit);

/** Sends one call on a connection in pipeline mode. */
MUST_CHECK bool pg_unit_send_call(const struct pg_unit *unit, size_t call,
                                  PGconn *conn);

/** Takes in a result that came; false: not one of a statement. */
void pg_unit_take(struct pg_unit *unit, PGresult *result);

/** Forgets what a try has brought. */
void pg_unit_rewind(struct pg_unit *unit);

/** Whether the error is of the kind that goes away by trying again. */
bool pg_unit_may_retry(const struct pg_unit *unit);

/** Whether PostgreSQL refuses the data that was given to it, and always
 * will. */
bool pg_unit_is_refused(const struct pg_unit *unit);

/** Whether a constraint of the tables was in the way. It may be gone later, and
 * says nothing of the data: a sequence may be behind its table. */
bool pg_unit_is_constraint(const struct pg_unit *unit);

/** Whether statements that were prepared are gone, or were there before:
 * somebody lends us another backend each time. */
bool pg_unit_is_poolers(const struct pg_unit *unit);

/** Whether no new connection helps: a sequence behind its table, one at its
 * end, a letter that the encoding of the database lacks, a statement whose time
 * is up. */
bool pg_unit_is_harmless(const struct pg_unit *unit);

/** Whether somebody has to look: PostgreSQL has answered, and with an error
 * that neither the data nor time explains (a table is gone, a right, a full
 * disk). */
bool pg_unit_is_strange(const struct pg_unit *unit);

#endif
