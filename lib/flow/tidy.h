#ifndef FLOW_TIDY_H
#define FLOW_TIDY_H

#include "flow/stage.h"

/**
 * What is left in storage of videos that will not come: uploads that a dead
 * worker had begun. They go before the task's end is written, so that whoever
 * takes the task over after a crash does it again.
 */

/** Whether the step to `next` has to wait until storage is tidy. */
bool tidy_is_due(const struct job *job, enum task_state next);

/**
 * The facts must be there. Ends in stage_outcome() with the same outcome.
 *
 * @return  false: nothing was begun, no memory.
 */
MUST_CHECK bool tidy_begin(struct stage *stage, struct job *job,
                           const struct outcome *outcome);

#endif
