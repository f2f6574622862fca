#ifndef FLOW_TALLY_H
#define FLOW_TALLY_H

#include "base/metric.h"
#include "core/delivery.h"
#include "flow/job.h"

/** What is counted and logged of every step. */
struct tally {
    struct metric *outcomes[OUTCOMES_LEN];
    struct metric *states[TASK_STATES_LEN];  /* set by whoever counts jobs */
    struct metric *ended[FAILURE_KINDS_LEN]; /* by kind; none: completed */
    struct metric *differ[DELIVERY_DIFFERENCES_LEN];
};

void tally_init(struct tally *tally, struct metrics *metrics);

/** Before the step is applied to the job's row. */
void tally_step(struct tally *tally, const struct job *job,
                const struct outcome *outcome, const struct step *step);

/** A task was claimed: the one change of state that no step of ours makes. */
void tally_claim(const struct job *job);

#endif
