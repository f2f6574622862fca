#ifndef FLOW_WHY_H
#define FLOW_WHY_H

#include "flow/engine.h"

/** The engine's part in reasons (flow/reason.h): what it sees that tasks wait
 * for. */

/** Before the step is applied to the job's row. */
void why_outcome(struct engine *engine, struct job *job,
                 const struct outcome *outcome, const struct step *step);

/** A submission met what is in the way of all of them. */
void why_shared(struct engine *engine, enum shared_reason reason,
                const struct outcome *outcome);

/** Whether a claim found GENERATIONS_MAX reached. */
void why_generations(struct engine *engine, bool full);

/** A loop_fn; every few seconds. */
void why_tick(void *engine);

#endif
