#ifndef FLOW_BALANCES_H
#define FLOW_BALANCES_H

#include "flow/engine.h"

/**
 * What the provider says that each account has used: asked once a minute by the
 * one worker that counts for the fleet, and told as metrics, beside what the
 * fleet's settled tasks have cost. Nothing else follows from it.
 */
struct balances {
    struct engine *engine;
    bool asked; /* an answer is to come; one at a time */
    bool mine;
    size_t account;               /* asked about */
    int64_t due_ms[ACCOUNTS_MAX]; /* boot clock */
    struct arena scratch;         /* of the exchange */
    struct metric *used[ACCOUNTS_MAX];
    struct metric *remain[ACCOUNTS_MAX];
};

void balances_init(struct balances *balances, struct engine *engine);
void balances_done(struct balances *balances);

/** A beat went through. mine: this worker asks for all. */
void balances_beaten(struct balances *balances, bool mine, int64_t boot_ms);

#endif
