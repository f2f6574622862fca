#ifndef FLOW_RENDER_H
#define FLOW_RENDER_H

#include "edge/store.h"
#include "flow/job.h"

/**
 * The event of a step that settles: its bytes go into the row that the step
 * makes, and are stored with it. The job has its facts.
 *
 * @return  false: no memory, and the step is as it was.
 */
MUST_CHECK bool render_event(struct job *job, const struct outcome *outcome,
                             struct step *step);

#endif
