#ifndef FLOW_WORKER_H
#define FLOW_WORKER_H

#include "edge/consumer.h"
#include "flow/accepted.h"
#include "flow/engine.h"
#include "flow/fleet.h"
#include "flow/history.h"
#include "flow/intake.h"
#include "flow/prices.h"
#include "flow/status.h"
#include "flow/traces.h"
#include "flow/vitals.h"

/**
 * One worker: ties intake, engine and fleet together over doors that it is
 * given, says what it waits for, and drains.
 *
 * Whoever opens the doors gives them the functions below, with the worker as
 * their context, then calls worker_init() before the loop runs: doors call
 * back from the loop only.
 */

struct worker_options {
    struct stage_options engine;
    struct fleet_options fleet;
    struct intake_options intake;
    struct prices prices; /* the operator's table; none: it learns */
    int64_t drain_ms;     /* what a drain may take */
    bool accepted_events;
};

/** Exit statuses (CONTRACT "Commands"). */
enum worker_end {
    WORKER_DONE = 0,   /* drained; also while it runs */
    WORKER_FAILED = 1, /* the drain ran out of time: calls are under way */
    WORKER_MISFIT = 3, /* the schema does not fit this program */
};

struct worker {
    int64_t drain_ms;
    struct stage_edges edges;
    struct consumer *consumer;
    struct engine engine;
    struct fleet fleet;
    struct intake intake;
    struct price_book book;
    struct history history;
    struct vitals vitals;
    struct accepted accepted;
    struct status status;
    struct traces traces;
    struct loop_timer *hurry;
    struct loop_timer *give_up;
    struct loop_timer *sweep;
    struct loop_timer *waits; /* says what it waits for */
    bool storage_asked;
    bool told_waits;
    bool intake_idle;
    bool engine_idle;
    bool draining;
    bool gave_up; /* the drain ran out of time */
    bool ended;
    enum worker_end end;
};

/**
 * The doors are the caller's, to be closed after the loop has run; but a drain
 * closes the consumer and the producer, in its order, and sets both to null.
 * At its end, whatever that is, it stops the loop.
 *
 * @param err  Why not: no memory.
 */
MUST_CHECK bool worker_init(struct worker *worker,
                            const struct worker_options *options,
                            const struct stage_edges *edges,
                            struct consumer *consumer, struct err *err);

/** After WORKER_DONE: every effect has ended or its edge is closed. */
void worker_done(struct worker *worker);

/** A loop_fn, for SIGTERM: takes nothing more, ends what is under way, gives
 * its lease up. Again: nothing. */
void worker_drain(void *worker);

/* ---- what the doors call ---- */

/** A store_state_fn. */
void worker_store_state(void *worker, bool up, const char *why,
                        bool schema_misfit);

/** Two consumer_state_fn. */
void worker_consumer_state(void *worker, bool connected, const char *why);
void worker_producer_state(void *worker, bool connected, const char *why);

/** A consumer_message_fn. */
void worker_message(void *worker, struct message *message);
void worker_spans_told(void *worker, int64_t spans, const char *why);

/** An admin_fn. */
void worker_answer(void *worker, struct str path, struct admin_answer *answer);

#endif
