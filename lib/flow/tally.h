#ifndef FLOW_TALLY_H
#define FLOW_TALLY_H

#include "base/metric.h"
#include "core/delivery.h"
#include "flow/job.h"
#include "flow/tenants.h"

/** What is counted and logged of every step. */
struct tally {
    struct metric *outcomes[OUTCOMES_LEN];
    struct metric *states[TASK_STATES_LEN];  /* set by whoever counts jobs */
    struct metric *ended[FAILURE_KINDS_LEN]; /* by kind; none: completed */
    struct metric *differ[DELIVERY_DIFFERENCES_LEN];
    struct metric *settle_seconds[2]; /* of failed ones, of completed ones */
    struct metric *cost;
    struct metric *cost_unknown;
    struct metric *attempts; /* after the first */
    struct tenants tenants;
};

/** tenants_max: how many tenants have series of their own. false: no memory;
 * tally_done() is still allowed. */
MUST_CHECK bool tally_init(struct tally *tally, int64_t tenants_max,
                           struct metrics *metrics);
void tally_done(struct tally *tally);

/** Before the step is applied to the job's row. account_cost: what tasks of its
 * account cost; null: no account of ours. */
void tally_step(struct tally *tally, const struct job *job,
                const struct outcome *outcome, const struct step *step,
                struct metric *account_cost);

/** A task was claimed: the one change of state that no step of ours makes. */
void tally_claim(const struct job *job);

#endif
