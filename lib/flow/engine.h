#ifndef FLOW_ENGINE_H
#define FLOW_ENGINE_H

#include "base/metric.h"
#include "core/apimart.h"
#include "edge/bucket.h"
#include "edge/fetch.h"
#include "edge/http.h"
#include "edge/loop.h"
#include "edge/producer.h"
#include "edge/store.h"
#include "flow/clock.h"
#include "flow/due.h"
#include "flow/gate.h"
#include "flow/job.h"
#include "flow/keys.h"
#include "flow/learn.h"
#include "flow/reason.h"

/**
 * The engine: claim, do what is owed, step, save.
 *
 * It keeps the jobs of one worker. A job that is due has its stage begin the
 * effect that its state owes; the stage ends in engine_outcome(); the step
 * makes the next row; rows that changed in a turn of the loop are written in
 * one round trip and one commit, and only then is the next effect owed. While
 * one round trip is under way the next one gathers.
 */

/** What the settings say, in the engine's terms. Texts outlive the engine. */
struct engine_options {
    struct apimart apimart;
    enum submit_doubt submit_doubt;
    const char *event_topic;
    const char *progress_topic; /* null: off */
    const char *key_template;
    int tasks_max;
    int submits_max;
    int transfers_max;
    int generations_max;
    int64_t poll_interval_ms;
    int64_t submit_timeout_ms;
    int64_t deadline_ms;
    int64_t late_ms;
    int64_t lease_ms;
};

/** The doors it goes through; opened and closed by the worker. */
struct engine_edges {
    struct loop *loop;
    struct store *store;
    struct http *submit_http;
    struct http *poll_http;
    struct fetcher *fetcher;
    struct bucket *bucket;
    struct producer *producer;
    struct metrics *metrics;
};

struct send;

/** A walk through the table that takes over what has no living owner. */
struct adopt_pass {
    bool under_way;
    bool clean;     /* all that was seen was taken: nobody else has some locked */
    int64_t after;  /* the walk goes on behind that id */
    int64_t dead[DEAD_MAX]; /* leases that were dead before it began */
    size_t dead_len;
};

/** What one round trip carried, to know its answers by. */
struct flight {
    struct arena arena;
    struct job_ref *saves;
    size_t saves_len;
    struct job_ref *readers;
    size_t readers_len;
    struct job_ref *rereaders;
    size_t rereaders_len;
    int64_t owner;
    int claims;
    int adopts;
    int expires;
    int64_t now_ms;
    bool mine;
    int64_t began_us;
};

struct engine_metrics {
    struct metric *outcomes[OUTCOMES_LEN];
    struct metric *states[TASK_STATES_LEN];
    struct metric *ended[FAILURE_KINDS_LEN]; /* by kind; none: completed */
    struct metric *poll_lateness;
    struct metric *announce_latency;
    struct metric *store_latency;
    struct metric *commits;
    struct metric *rows;
    struct metric *submits;
    struct metric *doubts;
    struct metric *polls;
    struct metric *video_bytes;
};

struct engine {
    struct engine_options options;
    struct engine_edges edges;
    struct engine_metrics metrics;
    struct clock clock;
    struct jobs jobs;
    struct due due;        /* jobs that wait */
    struct gate gate;      /* of the account */
    struct keys keys;      /* of the account */
    struct learn learn;
    struct list dirty;     /* JOB_SAVING, not yet under way */
    struct list readers;   /* JOB_READING */
    struct list rereaders; /* JOB_REREADING */
    struct list starved;   /* JOB_READING: there was no memory for its facts */
    struct list put_back;  /* JOB_SAVING: the store does not take it now */
    struct list sends;     /* every POST under way, whoever its job is now */
    struct loop_timer *memory_timer; /* what there was no memory for: again */
    struct loop_timer *pause_timer;  /* ends a pause of turns */
    struct loop_timer *claim_timer;  /* another's claim was in the way: again */
    struct loop_timer *save_timer;   /* what was put back: again */
    struct arena scratch;  /* of one callback */
    struct flight flight;
    struct reasons reasons; /* why tasks of ours wait */
    bool in_flight;
    bool paused;           /* the store answers with errors: no turn for now */
    bool resync;           /* the store's answers were lost: read all of ours */
    bool resync_later;     /* the same, when the memory timer comes */
    bool claim_wanted;     /* waiting rows may be there */
    bool adopt_wanted;     /* orphans may be there */
    struct adopt_pass pass;
    bool forget_wanted;    /* pass is over and clean: its dead own nothing */
    bool expire_wanted;
    int64_t owner;         /* our lease; 0: none yet */
    int64_t claim_ms;      /* now of the last claim; each has its own */
    int64_t lost_claim_ms; /* of one of whose rows no job knows; 0: none */
    struct err announce_err; /* why the last event was not taken; NONE: it was */
    loop_fn *on_idle;      /* draining: nothing is under way any more */
    void *idle_context;
    /** Others' part in what the engine learns; set by the fleet. */
    void (*on_hold)(void *context, enum hold_reason reason, struct str scope,
                    struct str message);
    void (*on_lease_dead)(void *context);
    void *fleet_context;
};

MUST_CHECK bool engine_init(struct engine *engine,
                            const struct engine_options *options,
                            const struct engine_edges *edges, struct err *err);

/** Every effect must have ended or its edge be closed. */
void engine_done(struct engine *engine);

/* ---- the fleet tells ------------------------------------------------------ */

/** A lease is ours from now on. */
void engine_joined(struct engine *engine, int64_t owner);

/** A bump succeeded: it began at bump_started_ms (boot clock), when
 * PostgreSQL's clock said now_ms. */
void engine_bumped(struct engine *engine, int64_t bump_started_ms,
                   int64_t now_ms);

/** Our lease is dead: drop every job; sends are read to their end. */
void engine_lost(struct engine *engine);

void engine_want_claims(struct engine *engine);
void engine_want_adopts(struct engine *engine);
void engine_want_expiry(struct engine *engine);

/** The store is there again after an absence. */
void engine_store_is_back(struct engine *engine);

/** The store's first probe is over: what is bought can be stored, or a hold
 * stands. */
void engine_storage_tried(struct engine *engine);

/** The holds in our scope, as last read; lifting one begins slowly again. */
void engine_set_hold(struct engine *engine, enum hold_reason worst);

/** No claims, no new effects but announcements; on_idle once all is safe. */
void engine_drain(struct engine *engine, loop_fn *on_idle, void *context);

/** Cut short what drain still waits for: transfers, then polls. */
void engine_hurry(struct engine *engine);

/* ---- the stages use -------------------------------------------------------- */

/** PostgreSQL's clock. */
int64_t engine_now_ms(const struct engine *engine);

/** Fresh jitter in each. */
struct policy engine_policy(struct engine *engine);

/** What came of a job's effect. Slices are used before it returns. */
void engine_outcome(struct engine *engine, struct job *job,
                    const struct outcome *outcome);

/** The job wants its facts; engine goes on with the stage when they are there. */
void engine_read_facts(struct engine *engine, struct job *job);

/** Tell the fleet that submissions should stop. */
void engine_hold(struct engine *engine, enum hold_reason reason,
                 struct str message);

#endif
