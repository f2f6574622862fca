#ifndef EDGE_STORE_LANE_H
#define EDGE_STORE_LANE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/list.h"
#include "edge/loop.h"

/**
 * One connection to PostgreSQL, for store.c only: units go out one behind the
 * other, each whole in one segment of libpq's pipeline, which is its
 * transaction. It connects on another thread and again whenever it broke.
 */
struct lane;
struct unit;

#define UNIT_STEPS_MAX 4
#define UNIT_PARAMS_MAX 28

/** One statement of a unit. */
struct unit_step {
    const char *query; /* name below sql/query, without .sql */
    const char *params[UNIT_PARAMS_MAX]; /* text form; in the unit's arena */
    int params_len;
};

/**
 * @param err  null: committed. ERR_TRANSIENT: nobody knows. ERR_PERMANENT: the
 *             data was refused (SQLSTATE class 22 or 23), nothing was committed.
 */
typedef void unit_fn(struct unit *unit, const struct err *err);

struct unit {
    struct list link;
    struct arena arena;
    struct unit_step steps[UNIT_STEPS_MAX];
    int steps_len;
    void *results[UNIT_STEPS_MAX]; /* PGresult; freed after on_end */
    int results_len;
    unit_fn *on_end; /* exactly once; the unit is freed after it */
    void *context;
    void *more;       /* on_end's own, in the arena */
    int tries;
    int64_t sent_ms;  /* boot clock */
    struct err err;   /* of the first step that failed */
    char sqlstate[6];
};

/** State of a lane: connected and of a fitting schema, or why not. */
typedef void lane_state_fn(void *context, bool up, const char *why,
                           bool schema_misfit);

struct lane_options {
    const char *url;
    const char *name;
    int64_t idle_in_transaction_ms;
    int64_t statement_timeout_ms;
    int64_t lock_timeout_ms; /* 0: none */
    int64_t answer_ms;       /* no answer for so long: the connection is dropped */
};

struct lane *lane_open(struct loop *loop, const struct lane_options *options,
                       lane_state_fn *on_state, void *context, struct err *err);

/** null: no memory. Its arena is for its parameters. */
struct unit *unit_new(unit_fn *on_end, void *context);

/** Adds a statement; its parameters are set by the caller. */
struct unit_step *unit_step(struct unit *unit, const char *query);

/** Ends in unit->on_end, after this has returned. */
void lane_run(struct lane *lane, struct unit *unit);

/** Ends every unit with ERR_TRANSIENT; a connect under way is waited for by
 * loop_close(). */
void lane_close(struct lane *lane);

#endif
