#ifndef EDGE_PG_LANE_H
#define EDGE_PG_LANE_H

#include "edge/loop.h"
#include "edge/pg_unit.h"

/**
 * One connection to PostgreSQL on the loop, on which units go out one behind
 * the other without waiting for each other's results. Connects by itself, on
 * another thread, for as long as it takes.
 */
struct pg_lane;

struct pg_lane_options {
    struct pg_address address; /* texts are copied */
    const char *const
        *queries;         /* names of sql/query, to be prepared; null ends */
    int64_t statement_ms; /* limit of one statement */
    int64_t silence_ms;   /* without an answer for so long: dropped */
    int64_t lease_ms;
};

/** misfit: connected, but the schema is not for this program. */
typedef void pg_lane_state_fn(void *context, bool up, const char *why,
                              bool misfit);

struct pg_lane *pg_lane_open(struct loop *loop,
                             const struct pg_lane_options *options,
                             pg_lane_state_fn *on_state, void *context,
                             struct err *err);
bool pg_lane_is_up(const struct pg_lane *lane);

/** Takes the unit. Its on_end is called once, after this has returned. */
void pg_lane_send(struct pg_lane *lane, struct pg_unit *unit);

/** Ends all units with ERR_TRANSIENT, then frees. Null is accepted. */
void pg_lane_close(struct pg_lane *lane);

#endif
