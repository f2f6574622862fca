#ifndef FLOW_STAGE_H
#define FLOW_STAGE_H

#include "core/accounts.h"
#include "core/history.h"
#include "core/policy.h"
#include "edge/archive.h"
#include "edge/bucket.h"
#include "edge/fetch.h"
#include "edge/http.h"
#include "edge/poll.h"
#include "edge/producer.h"
#include "edge/spans.h"
#include "flow/account.h"
#include "flow/due.h"
#include "flow/learn.h"
#include "flow/reason.h"

/**
 * A stage begins the effect that a state owes. `begin` is called with the job
 * in JOB_ACTING and ends, later, in stage_outcome(); between the two the stage
 * remembers the job by its job_ref only. Where the effect can't even be started
 * it may call stage_outcome() at once. A stage knows what it is handed here,
 * and nothing of who hands it.
 */

/** What the settings say. Texts outlive the engine. */
struct stage_options {
    struct accounts accounts; /* one at least */
    enum submit_doubt submit_doubt;
    struct history_days days;
    const char *event_topic;
    const char *progress_topic; /* null: off */
    const char *key_template;
    int tasks_max;
    int submits_max;
    int transfers_max;
    int generations_max;
    int attempts_max;    /* after the first, where the provider had no room */
    int64_t tenants_max; /* that have metrics of their own */
    int64_t poll_interval_ms;
    int64_t submit_timeout_ms;
    int64_t deadline_ms;
    int64_t late_ms;
    int64_t chain_wait_ms;
    int64_t lease_ms;
};

/** The doors; opened and closed by the worker. */
struct stage_edges {
    struct loop *loop;
    struct store *store;
    struct archive *archive; /* null: history is kept for ever */
    struct http *submit_http;
    struct poller *poller;
    struct fetcher *fetcher;
    struct bucket *bucket;
    struct producer *producer;
    struct spans *spans; /* null: no traces */
    struct metrics *metrics;
};

/** How the provider answered, coarsely: the label `status`. */
#define REPLY_CLASSES(X)                                                       \
    X("2xx")                                                                   \
    X("3xx")                                                                   \
    X("4xx")                                                                   \
    X("429")                                                                   \
    X("5xx")                                                                   \
    X("other")                                                                 \
    X("none") /* no status came */

enum { REPLY_CLASSES_LEN = 7 };
enum { EFFECT_SUBMIT, EFFECT_POLL, EFFECTS_LEN };

struct stage_metrics {
    struct metric *poll_lateness;
    struct metric *announce_latency;
    struct metric *submits;
    struct metric *submit_seconds[OUTCOMES_LEN]; /* of those that a POST has */
    struct metric *doubts;
    struct metric *polls;
    struct metric *poll_seconds;
    struct metric *replies[EFFECTS_LEN][REPLY_CLASSES_LEN];
    struct metric *video_bytes;
};

struct stage_hooks {
    /** What came of a job's effect. Slices are used before it returns. */
    void (*on_outcome)(void *context, struct job *job,
                       const struct outcome *outcome);
    /** The job wants its facts, and to begin again when they are there. */
    void (*on_read)(void *context, struct job *job);
    /** Submissions should stop, for all of the scope. account: whose reason it
     * is, as rows name it; empty: none's. */
    void (*on_hold)(void *context, const char *account, enum hold_reason reason,
                    struct str message);
};

/** What the stages get: the worker's. A job's account is found by its row. */
struct stage {
    const struct stage_options *options;
    const struct stage_edges *edges;
    const struct clock *clock;
    const struct jobs *jobs;
    const struct due *due; /* who waits for a slot */
    struct gate *gate;
    struct account_list *accounts;
    struct learn *learn;
    struct reasons *reasons;
    const struct stage_hooks *hooks;
    void *context;        /* of the hooks */
    struct list sends;    /* every POST under way, whoever its job is now */
    struct arena scratch; /* of one callback */
    /* why the last event was not taken; NONE: it was */
    struct err announce_err;
    struct stage_metrics metrics;
};

/** The members above `sends` are set; the others become empty. */
void stage_init(struct stage *stage);
void stage_done(struct stage *stage);

/** Counts an answer of the provider. effect: EFFECT_… */
void stage_replied(struct stage *stage, int effect, const struct reply *reply);

/** For a step of that row, by what its account says; fresh jitter in each. */
struct policy stage_policy(const struct stage *stage,
                           const struct task_row *row);

void stage_outcome(struct stage *stage, struct job *job,
                   const struct outcome *outcome);

/** Ends in `kind`, for a reason of our own. */
void stage_outcome_why(struct stage *stage, struct job *job,
                       enum outcome_kind kind, const char *why);

/**
 * The table: who begins what a state owes (core/task.h). A claim is the
 * engine's own, in its turn with the store.
 *
 *   poll      slowly in LATE; also in READY, for a fresh URL
 */
#define STAGES(X)                                                              \
    X(OWES_SUBMIT, submit_begin)                                               \
    X(OWES_POLL, poll_begin)                                                   \
    X(OWES_TRANSFER, transfer_begin)                                           \
    X(OWES_ANNOUNCE, announce_begin)

typedef void stage_begin_fn(struct stage *stage, struct job *job);

/** One POST. The facts (body and key) must be there, the intent stored, and the
 * job have a slot. */
stage_begin_fn submit_begin;

/** One GET of the task's status. */
stage_begin_fn poll_begin;

/** All videos of the result, one after the other. The job has a slot; without
 * facts it keeps that and asks for them. */
stage_begin_fn transfer_begin;

/** Ends a transfer that is under way; its outcome still comes. */
void transfer_cancel(struct job *job);

/** The stored event to the broker. */
stage_begin_fn announce_begin;

/** A job and its stage across a wait: the context of a stage's callbacks. */
struct ticket {
    struct stage *stage;
    struct job_ref ref;
    int64_t due_ms;     /* polls: when it was owed, boot clock */
    int64_t started_us; /* polls: when it left, boot clock; 0: not yet */
};

/** null: no memory. */
struct ticket *ticket_new(struct stage *stage, const struct job *job);

/** The job, or null if it is another's by now; the ticket is gone. */
struct job *ticket_end(struct ticket *ticket);

#endif
