#ifndef FLOW_TURN_H
#define FLOW_TURN_H

#include "base/metric.h"
#include "edge/store.h"
#include "flow/clock.h"
#include "flow/gate.h"
#include "flow/job.h"
#include "flow/pass.h"
#include "flow/reason.h"

/**
 * The one round trip with the store that all changes of a turn share: rows to
 * save, facts and rows to read, claims, takeovers, reasons. While one is under
 * way the next one gathers. It composes what others contribute and says what
 * the answers mean for whom; it decides nothing about a task.
 *
 * One at a time, because the next effect of a job may begin only when its row
 * is known to be committed, and one commit costs as much as a thousand rows'.
 * An answer that is lost says neither yes nor no: whatever it was for is kept,
 * marked as unsure, until all that is ours was read (mine.h). Jobs are known
 * by job_ref meanwhile: any of them may be gone when the answer comes.
 */

struct turn_options {
    const char *account;
    const char *bucket;
    int tasks_max;
    int generations_max;
};

/**
 * What the answers are for. Called in this order within one answer; each may
 * put jobs into lines again, or end them.
 */
struct turn_hooks {
    /** The facts of a job in JOB_READING are there. */
    void (*on_facts)(void *context, struct job *job);
    /** The row of a job in JOB_SAVING is committed. */
    void (*on_saved)(void *context, struct job *job);
    /** The row of a job in JOB_REREADING, as the store has it. */
    void (*on_row)(void *context, struct job *job, const struct task_row *row);
    /** The job's row is not ours any more, or not there. */
    void (*on_gone)(void *context, struct job *job);
    /** A row that this turn claimed; facts: null where they are not read yet.
     * false: there was no memory for it. */
    bool (*on_claimed)(void *context, const struct task_read *read,
                       const struct facts_row *facts);
    /** A row that became ours otherwise. */
    void (*on_taken)(void *context, const struct task_read *read);
    /** Whether a claim found GENERATIONS_MAX reached. */
    void (*on_generations)(void *context, bool full);
    /** All that is ours, after answers were lost: ends in mine_came(). */
    void (*on_mine)(void *context, const struct turn_result *result);
    /** Our lease is dead. */
    void (*on_lease_dead)(void *context);
    /** There is nothing to ask the store for, and nothing of ours waits for
     * it. */
    void (*on_idle)(void *context);
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

struct turns {
    struct turn_options options;
    const struct turn_hooks *hooks;
    void *context; /* of the hooks */
    struct store *store;
    struct jobs *jobs;
    struct gate *gate;
    struct reasons *reasons;
    const struct clock *clock;
    struct list dirty;     /* JOB_SAVING, not yet under way */
    struct list readers;   /* JOB_READING */
    struct list rereaders; /* JOB_REREADING */
    struct list starved;   /* JOB_READING: there was no memory for its facts */
    struct list put_back;  /* JOB_SAVING: the store does not take it now */
    struct loop_timer *memory_timer; /* what there was no memory for: again */
    struct loop_timer *pause_timer;  /* ends a pause of turns */
    struct loop_timer *claim_timer;  /* another's claim was in the way: again */
    struct loop_timer *save_timer;   /* what was put back: again */
    struct flight flight;
    struct pass pass;      /* takes over what is nobody's */
    int64_t owner;         /* our lease; 0: none yet */
    int64_t claim_ms;      /* now of the last claim; each has its own */
    int64_t lost_claim_ms; /* of one of whose rows no job knows; 0: none */
    bool in_flight;
    bool paused;       /* the store answers with errors: no turn for now */
    bool resync;       /* the store's answers were lost: read all of ours */
    bool resync_later; /* the same, when the memory timer comes */
    bool claim_wanted; /* waiting rows may be there */
    bool expire_wanted;
    struct metric *latency;
    struct metric *commits;
    struct metric *rows;
};

/** What a turn is tied to; all of it outlives the turns. */
struct turn_parts {
    struct store *store;
    struct jobs *jobs;
    struct gate *gate;
    struct reasons *reasons;
    const struct clock *clock;
    struct metrics *metrics;
};

/** false: no memory; turn_done() is still allowed. */
MUST_CHECK bool turn_init(struct turns *turns,
                          const struct turn_options *options,
                          const struct turn_parts *parts,
                          const struct turn_hooks *hooks, void *context);
void turn_done(struct turns *turns);

/** At the end of this turn of the loop, if there is something to ask. */
void turn_soon(struct turns *turns);

/* ---- what goes into it ---- */

/** The job's row is written; then_ms: when its next effect is due. */
void turn_save(struct turns *turns, struct job *job, int64_t then_ms);

/** The job wants its facts. */
void turn_read(struct turns *turns, struct job *job);

/** The job wants to see its row. */
void turn_reread(struct turns *turns, struct job *job);

void turn_want_claims(struct turns *turns);
void turn_want_adopts(struct turns *turns);
void turn_want_expiry(struct turns *turns);

/* ---- what is told ---- */

/** A lease is ours; or it is dead, and every row another's. */
void turn_joined(struct turns *turns, int64_t owner);
void turn_lost(struct turns *turns);

/** The store is there again: ends the pause after an error. */
void turn_go_on(struct turns *turns);

/** A row that is ours could not be taken in: all of ours are read again once
 * there may be memory. */
void turn_short_of_memory(struct turns *turns);

#endif
