#ifndef FLOW_TIES_H
#define FLOW_TIES_H

#include "base/metric.h"
#include "edge/store.h"
#include "flow/account.h"
#include "flow/clock.h"
#include "flow/job.h"
#include "flow/reason.h"

/**
 * What a turn (turn.h) and its parts are tied to: the worker's, and who hears
 * what the store's answers mean for a job.
 */

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
    /** Whether GENERATIONS_MAX is reached, while something waits; with an
     * account: whether its slots are. */
    void (*on_generations)(void *context, const struct account *of, bool full);
    /** All that is ours, after answers were lost: ends in mine_came(). */
    void (*on_mine)(void *context, const struct turn_result *result);
    /** Our lease is dead. */
    void (*on_lease_dead)(void *context);
    /** There is nothing to ask the store for, and nothing of ours waits for
     * it. */
    void (*on_idle)(void *context);
};

/** All of it outlives the turns. */
struct ties {
    struct store *store;
    struct jobs *jobs;
    struct gate *gate;
    struct reasons *reasons;
    struct account_list *accounts;
    const struct clock *clock;
    struct metrics *metrics;
    const struct turn_hooks *hooks;
    void *context; /* of the hooks */
    loop_fn *ask;  /* what a turn begins with, and whose it is */
    void *asker;
};

/** At the end of this turn of the loop, if there is something to ask. */
void ties_ask_soon(const struct ties *ties);

/** The job is left alone, without a slot that others could use. */
void ties_park(const struct ties *ties, struct job *job, const char *why);

#endif
