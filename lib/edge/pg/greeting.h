#ifndef EDGE_PG_GREETING_H
#define EDGE_PG_GREETING_H

#include "core/idempotency.h"
#include "edge/pg/unit.h"

/** meta.salt. */
struct pg_salt {
    char bytes[SALT_BYTES];
    bool known;
};

/** Absent until it is known. */
struct str pg_salt_str(const struct pg_salt *salt);

/**
 * What is asked of a new connection, one unit after the other, before anybody
 * may use it: the session's own settings, the schema, the statements, the salt,
 * that no session of ours before it is still at work, and that what can be read
 * here is durable as commits are.
 */
struct pg_greeting {
    const char *const *queries; /* as pg_lane_options has them */
    int64_t lease_ms;
    int64_t statement_ms;
    int64_t lock; /* what every session of ours holds; 0: not yet told */
    struct pg_salt salt;
    /** The next unit: to be sent. */
    void (*on_question)(void *context, struct pg_unit *unit);
    /** It may be used; or why not, and whether the database is not for this
     * program. Called too when the connection was lost. */
    void (*on_end)(void *context, const char *fault, bool misfit);
    void *context;
};

/** The greeting outlives the units that it asks for. */
void pg_greet(struct pg_greeting *greeting);

/** Adds the statement that takes the lock (one row: whether we have it). */
void pg_greet_lock(struct pg_unit *unit, int64_t lock);

#endif
