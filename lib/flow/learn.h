#ifndef FLOW_LEARN_H
#define FLOW_LEARN_H

#include "flow/engine.h"

/**
 * Provider ids that could not be written through their job: the job is gone
 * with its lease, or the store is away. Each is kept, retried and named in an
 * ERROR line, because a lost id is a paid video lost.
 */

/** A loop_fn: try all of them. */
void learn_retry(void *engine);

/** The ERROR line: an id that only this process knows so far. */
void learn_warn(int64_t task, struct str request_id,
                struct str provider_task_id);

/** How many are kept. */
size_t learn_waiting(const struct engine *engine);

void learn_done(struct engine *engine);

/**
 * The row of a job as the store has it: an id in it that is not the one that
 * our own send brought shows that the provider does not honour keys.
 */
void learn_compare(struct engine *engine, const struct job *job,
                   const struct task_row *row);

#endif
