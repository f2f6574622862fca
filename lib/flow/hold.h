#ifndef FLOW_HOLD_H
#define FLOW_HOLD_H

#include "flow/engine.h"

/**
 * Holds: why nothing is submitted (DESIGN "Reasons"). They are rows that the
 * fleet shares, read with every beat; one worker of those in a hold's scope
 * probes whether its reason is gone, and lifts it.
 */

/** The first that a beat has read are kept: what stops most comes first
 * (sql/query/holds.sql), and this is room for all that can be ours. */
#define HOLDS_READ_MAX (3 * ACCOUNTS_MAX + 32)

/** As last read, kept for /readyz and /metrics. */
struct hold {
    enum hold_reason reason;
    bool ours;      /* its scope is ours */
    size_t account; /* ours: whose, by its place; ACCOUNTS_MAX: all accounts' */
    int64_t since_ms;
    int64_t next_try_ms;
    char scope[160];
    char message[400];
};

/** Another URL is stored for the name of an account of ours. */
struct misfit {
    bool there;
    char url[200]; /* that one */
};

struct holds {
    struct engine *engine;
    struct hold at[HOLDS_READ_MAX];
    size_t len;
    struct misfit misfits[ACCOUNTS_MAX]; /* by the account's place */
    bool probing;                        /* one at a time */
    struct arena scratch;                /* of a probe */
    struct metric *gauges[HOLD_REASONS_LEN];
    /* of each account, those that are its own */
    struct metric *of_account[ACCOUNTS_MAX][HOLD_REASONS_LEN];
};

void holds_init(struct holds *holds, struct engine *engine);

/** No probe may be under way, or its edges be closed. */
void holds_done(struct holds *holds);

/** Submissions stop for that reason: the fleet is told, unless it knows. The
 * engine was told by whoever calls. */
void holds_set(struct holds *holds, enum hold_reason reason, struct str scope,
               struct str message);

/** What a beat has read: all that stand. */
void holds_read(struct holds *holds, const struct hold_row *rows, size_t len);

/** What a beat has read of one of our accounts: the URL that is stored for its
 * name. */
void holds_read_url(struct holds *holds, size_t account, struct str url);

/** Begins the next probe that is due. */
void holds_probe(struct holds *holds);

#endif
