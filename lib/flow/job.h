#ifndef FLOW_JOB_H
#define FLOW_JOB_H

#include "base/arena.h"
#include "base/err.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/pool.h"
#include "core/step.h"
#include "flow/sheet.h"
#include "flow/uses.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

/**
 * Jobs: the slots of one worker, each working on one task. A waiting job is
 * this struct and its folded task; what an effect needs while it runs hangs off
 * `effect` and goes when it ends.
 */

enum job_phase {
    JOB_FREE,
    JOB_WAITING,   /* in the heap of due times */
    JOB_LINED_UP,  /* due, but its stage has no slot: in the stage's line */
    JOB_ACTING,    /* its effect runs: one callback is on its way */
    JOB_READING,   /* wants its facts, then goes on with what it stashed */
    JOB_SAVING,    /* its row is to be written, then it goes on */
    JOB_REREADING, /* wants to see its row */
    JOB_PARKED,    /* left alone: unreadable; or fresh, its row to come */
};

#define JOB_PHASES_LEN (JOB_PARKED + 1)

/** What a running effect holds. */
struct effect {
    struct arena arena;
    struct facts_row *facts; /* in the arena; null: not read yet */
    bool has_outcome;        /* stashed until the facts are there */
    struct outcome outcome;  /* in the arena */
    bool tidied;             /* nothing half-stored is left of it: tidy.h */
    void *stage;             /* the stage's own; freed by its cancel or end */
};

/** The facts of a task in flight, in one piece of memory. */
struct kept;

/** What a job has taken of the worker's slots and not yet passed on. */
enum job_slot {
    SLOT_NONE,
    SLOT_SUBMIT,
    SLOT_TRANSFER,
    SLOT_POLL,     /* counted only: none waits for one */
    SLOT_ANNOUNCE, /* the same */
    SLOTS_LEN,
};

struct trouble;
struct lane;

/** A task that isn't folded, and what its job has only meanwhile. */
struct desk {
    struct task task;
    struct lane *lane; /* SLOT_SUBMIT: whose (gate.h) */
    int64_t began_ms;  /* JOB_ACTING: boot clock, for latencies */
    int64_t then_ms;   /* JOB_SAVING: when the next effect is due */
};

/** Tens of thousands wait at once: what a job needs in few of its hours hangs
 * off it. */
struct job {
    int64_t id; /* of its task */
    /* Owned; null: it is folded, being RUNNING and waiting for its poll, as
     * nearly all are. job_task() is the way to it. */
    struct desk *desk;
    struct sheet *sheet; /* owned; null: it has no names yet */
    /* JOB_WAITING: due time; JOB_LINED_UP: its urgency */
    struct heap_entry due;
    struct list link; /* in the engine's lists of things to do in a turn; of
                       * what may be folded: in that of jobs */
    struct effect *effect;   /* owned; null while waiting */
    struct kept *kept;       /* owned; null: the store has its facts */
    struct trouble *trouble; /* flow/reason.h; null: all goes well */
    struct use *use;         /* where its place is counted; null: nowhere */
    int64_t sent_ms;         /* last_sent_ms of its stored row */
    uint32_t slot;
    uint32_t generation; /* grows when the slot is given to another task */
    enum job_phase phase : 8;
    enum job_slot takes : 8;   /* a slot that comes back if the job goes */
    enum hold_reason hold : 8; /* why it waits; HOLD_NONE: by its own clock */
    bool lone : 1;      /* `desk` is a must_calloc(): there was no memory */
    bool folds : 1;     /* JOB_WAITING: in the line of jobs to be folded */
    bool in_flush : 1;  /* JOB_SAVING: its row is under way to the store */
    bool unsure : 1;    /* JOB_SAVING: nobody knows whether it was written */
    bool rides : 1;     /* JOB_SAVING: nothing waits for it, it may be lost */
    bool send_next : 1; /* SUBMITTING: the intent is stored, the send is owed */
    bool seen : 1;      /* during a resync: the store knows it as ours */
    bool counts : 1;    /* its stored row takes a place (core/allot.h) */
};

/** A job as it is remembered across a wait: stale if the slot was reused. */
struct job_ref {
    uint32_t slot;
    uint32_t generation;
};

struct jobs {
    struct jobs_page **pages; /* JOBS_PAGE jobs each; they never move */
    size_t pages_len;
    size_t used;
    size_t counting;   /* those whose stored rows take a place */
    struct uses *uses; /* by account and tenant; null: nobody asks */
    size_t slots_max;
    struct list free;
    struct list to_fold;
    struct pool desks; /* of those that are not folded */
    struct models models;
    uint32_t *table; /* open addressing by task id: 1 + slot; 0: free */
    size_t table_size;
    size_t kept_bytes; /* of all jobs' kept facts */
};

/** Of all kept facts: some thousand tasks'. Those of the others are read when
 * they are needed again, many at a time, since there are many. */
#define KEPT_BYTES_MAX ((size_t)1 << 20)
#define KEPT_EACH_MAX ((size_t)8 << 10) /* of one task's, or they are read */

bool jobs_init(struct jobs *jobs, size_t slots_max);
void jobs_done(struct jobs *jobs);

/** A fresh job for that task id; null: no slot or memory, or it is there. */
struct job *jobs_add(struct jobs *jobs, int64_t task_id);

/**
 * Once in a job's life, before all that asks for names.
 *
 * @param names  Copied; the first one is there.
 * @return       false: no memory
 */
MUST_CHECK bool job_name(struct job *job, const struct str names[SHEET_NAMES]);

/** Gives the slot back, with all that hangs off it. */
void jobs_remove(struct jobs *jobs, struct job *job);

/** Unfolds its task, which is folded. */
struct desk *job_unfold(const struct job *job);

/** The job's task, unfolded: it stays where it is until the next jobs_fold().
 */
static inline struct task *job_task(const struct job *job)
{
    assert(!job->desk || job->desk->task.row.id == job->id);
    return &(job->desk ? job->desk : job_unfold(job))->task;
}

/** The same for what lies beside it. */
static inline struct desk *job_desk(const struct job *job)
{
    return job->desk ? job->desk : job_unfold(job);
}

/** By which account it is or was last sent: as its row says. */
static inline const char *job_account(const struct job *job)
{
    return job_task(job)->row.account;
}

/** Folds what waits for its poll. Only where nobody holds a job_task() or a
 * name of a job: between the callbacks of the loop, and from one job to the
 * next of a walk over all. */
void jobs_fold(struct jobs *jobs);

/** Its task is RUNNING and not suspect; it needn't be unfolded to know that. */
static inline bool job_is_folded(const struct job *job)
{
    return !job->desk;
}

/** The job's row as it is now is stored: does it take a place? */
void jobs_stored(struct jobs *jobs, struct job *job, int64_t now_ms);

/** It takes none any more, whatever is stored. */
void jobs_free_place(struct jobs *jobs, struct job *job);

/** What takes a place is counted there from now on, and what does already;
 * null: nowhere. */
void jobs_count_uses(struct jobs *jobs, struct uses *uses);

struct job *jobs_find(const struct jobs *jobs, int64_t task_id);
struct job *jobs_get(const struct jobs *jobs, struct job_ref ref);
struct job_ref job_ref(const struct job *job);

/**
 * The one place that sets a phase. The job must be out of the lines of the
 * phase that it leaves, and goes into those of the new one right after.
 */
void job_enter(struct job *job, enum job_phase phase);

/** How many of `slots` are left beside those in use and `more`; `most` at
 * most. */
int jobs_room(const struct jobs *jobs, size_t slots, size_t more, int most);

/** Calls fn for each job in use; fn may remove the one it is given. */
void jobs_each(struct jobs *jobs, void (*fn)(void *context, struct job *job),
               void *context);

const char *job_request_id(const struct job *job);
const char *job_tenant(const struct job *job);
/** As they came with the request, for messages of progress; empty: none. */
const char *job_traceparent(const struct job *job);
const char *job_tracestate(const struct job *job);

/** The effect of a job, made if it has none; null: no memory. */
struct effect *job_effect(struct job *job);
void job_effect_done(struct job *job);

/** Keeps the facts that the job's effect has beyond it, while there is room. */
void jobs_keep_facts(struct jobs *jobs, struct job *job);
/** Not needed any more; the job has no effect. */
void jobs_drop_facts(struct jobs *jobs, struct job *job);
/** Whether the job's effect has its facts, kept ones among them; else they are
 * to be read. */
bool job_has_facts(struct job *job);

/** Keeps `outcome` beyond the callback that brought it; false: no memory. */
bool effect_stash(struct effect *effect, const struct outcome *outcome);

#endif
