#ifndef FLOW_BUDGETS_H
#define FLOW_BUDGETS_H

#include "base/metric.h"
#include "edge/store.h"

/**
 * How budgets stand: looked at by one worker of the fleet every few seconds
 * while there are any. The look settles what is settled, lets go what was put
 * aside where there is room again, and is told as metrics.
 */
struct budgets {
    struct store *store;
    struct metrics *metrics;
    bool asked;       /* an answer is to come */
    int64_t due_ms;   /* boot clock */
    int failed;       /* looks in a row */
    uint64_t looks;   /* so far: what a look does not name is gone */
    struct told *all; /* what was told, by tenant and period */
    size_t len;
};

void budgets_init(struct budgets *budgets, struct store *store,
                  struct metrics *metrics);
void budgets_done(struct budgets *budgets);

/** A beat went through. mine: this worker looks for all. there: somebody has a
 * budget. */
void budgets_beaten(struct budgets *budgets, bool mine, bool there,
                    int64_t boot_ms);

#endif
