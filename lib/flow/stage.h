#ifndef FLOW_STAGE_H
#define FLOW_STAGE_H

#include "flow/engine.h"

/**
 * A stage begins the effect that a state owes. `begin` is called with the job
 * in JOB_ACTING and ends, later, in engine_outcome(); between the two the
 * stage remembers the job by its job_ref only. Where the effect can't even be
 * started it may call engine_outcome() at once.
 *
 *   owes (core/task.h)  stage
 *   claim               the engine itself, in its turn with the store
 *   submit              submit.c
 *   poll                poll.c, slowly in LATE
 *   transfer            transfer.c (and poll.c for a fresh URL)
 *   announce            announce.c
 */

/** One POST. The facts (body and key) must be there, the intent stored. */
void submit_begin(struct engine *engine, struct job *job);

/** One GET of the task's status. */
void poll_begin(struct engine *engine, struct job *job);

/** All videos of the result, one after the other. The facts must be there. */
void transfer_begin(struct engine *engine, struct job *job);

/** Ends a transfer that is under way; its outcome still comes. */
void transfer_cancel(struct job *job);

/** The stored event to the broker. */
void announce_begin(struct engine *engine, struct job *job);

/** A job and its engine across a wait: the context of a stage's callbacks. */
struct ticket {
    struct engine *engine;
    struct job_ref ref;
    int64_t due_ms; /* polls: when it was owed, boot clock */
};

/** null: no memory. */
struct ticket *ticket_new(struct engine *engine, const struct job *job);

/** The job, or null if it is another's by now; the ticket is gone. */
struct job *ticket_end(struct ticket *ticket);

#endif
