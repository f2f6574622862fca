#ifndef FLOW_FLEET_H
#define FLOW_FLEET_H

#include "core/lease.h"
#include "flow/balances.h"
#include "flow/budgets.h"
#include "flow/bury.h"
#include "flow/engine.h"
#include "flow/hold.h"
#include "flow/unreadable.h"

/**
 * One worker among others: it joins, beats, has the dead buried, and leaves.
 * What a beat reads of what the fleet shares it hands on: holds, counts,
 * orders, the provider's word about keys.
 */

struct fleet_options {
    const char *name; /* of this process, for people */
    int64_t lease_ms;
    bool shares;     /* TENANT_FAIRNESS */
    char admin[300]; /* host:port of our /task, as others reach it; or empty */
};

struct fleet {
    struct engine *engine;
    struct fleet_options options;
    struct lease_watch watch;
    struct loop_timer *timer; /* the next beat */
    int64_t beat_started_ms;  /* boot clock */
    bool beating;
    bool beat_of_all; /* the one under way reads all leases */
    bool joining;
    struct bury bury; /* of the others */
    bool counting;
    int64_t count_started_ms; /* boot clock */
    int64_t count_due_ms;     /* boot clock */
    int64_t xmin_due_ms;      /* boot clock: the oldest snapshot is asked for */
    int64_t uncounted_ms;     /* boot clock: when the first of the counts began
                                 that failed in a row */
    int uncounted;            /* so many did */
    bool warned_uncounted;
    bool leaving;
    bool store_up;
    bool counts; /* ours is the lowest live lease: we count */
    bool warned_async;
    int64_t tagged_ms; /* when we last told tenants apart; boot clock */
    int untagged_none; /* times that nothing was left, one after the other */
    int64_t swept_ms;  /* when we last swept reasons; boot clock */
    int64_t queued;
    int64_t in_flight;
    int64_t blocked; /* rows that wait for another request, a budget or an
                        account that is held */
    char blocked_most[160]; /* what most of these wait for, in words */
    int64_t chains_ms; /* when we last looked at all of these; boot clock */
    struct holds holds;
    struct budgets budgets;
    struct balances balances;
    struct unreadable unreadable; /* rows that nobody can read */
    struct metric *alive;
    struct metric *queued_gauge;
    struct metric *in_flight_gauge;
    struct metric *blocked_gauge;
    struct metric *xmin_gauge;
    struct metric *oldest_gauge;
    void (*on_backlog)(void *context, int64_t queued, int64_t blocked);
    void *backlog_context;
    loop_fn *on_beaten; /* behind a good beat */
    void *beaten_context;
    loop_fn *on_left;
    void *left_context;
};

MUST_CHECK bool fleet_init(struct fleet *fleet, struct engine *engine,
                           const struct fleet_options *options,
                           struct err *err);
void fleet_done(struct fleet *fleet);

/** The store came or went. */
void fleet_store_state(struct fleet *fleet, bool up);

/** Give the lease up: what is still ours is anybody's at once. */
void fleet_leave(struct fleet *fleet, loop_fn *on_left, void *context);

size_t fleet_alive(const struct fleet *fleet);

#endif
