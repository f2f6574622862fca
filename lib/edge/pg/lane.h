#ifndef EDGE_PG_LANE_H
#define EDGE_PG_LANE_H

#include "edge/loop.h"
#include "edge/pg/unit.h"

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
    int64_t again_max_ms; /* between two tries to connect: far below a lease */
};

/** misfit: connected, but the schema or the encoding is not for this
 * program. */
typedef void pg_lane_state_fn(void *context, bool up, const char *why,
                              bool misfit);

struct pg_lane *pg_lane_open(struct loop *loop,
                             const struct pg_lane_options *options,
                             pg_lane_state_fn *on_state, void *context,
                             struct err *err);
bool pg_lane_is_up(const struct pg_lane *lane);

/** meta.salt as the last session read it: SALT_BYTES; absent before the
 * first. */
struct str pg_lane_salt(const struct pg_lane *lane);

/** Takes the unit. Its on_end is called once, after this has returned. */
void pg_lane_send(struct pg_lane *lane, struct pg_unit *unit);

/** Two of them, as one transaction: both are committed, or each goes again, as
 * one of its own. */
void pg_lane_send_both(struct pg_lane *lane, struct pg_unit *first,
                       struct pg_unit *second);

/**
 * A session can still be at work when its connection has broken. It is known by
 * an advisory lock that it holds, and no other way: behind a pooler the backend
 * may be another program's by then. pg_lane_lock() adds the statement that
 * takes the lock (one row: whether we have it); once it has, pg_lane_locked()
 * has each later session end the holder and take the lock before the lane is
 * up.
 *
 * @param lock  Above 0; different for each lane of the whole fleet.
 */
void pg_lane_lock(struct pg_unit *unit, int64_t lock);
void pg_lane_locked(struct pg_lane *lane, int64_t lock);

/** Another connection to the same server was lost: this one is dropped, if it
 * has waited for an answer for so long. Its units end before this returns. */
void pg_lane_doubt(struct pg_lane *lane, int64_t ms);

/** The other one of the same store has found its server: where that is another
 * than this one's, this one is dropped, and begins there. Null is accepted. */
void pg_lane_follow(struct pg_lane *lane, const struct pg_lane *other);

/** Ends all units with ERR_TRANSIENT, then frees. Null is accepted. */
void pg_lane_close(struct pg_lane *lane);

#endif
