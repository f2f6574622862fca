#ifndef UNIT_STEP_GO_H
#define UNIT_STEP_GO_H

#include "unit/step_task.h"

/** For tests that go through several steps. */

#define G(...) ((struct given){__VA_ARGS__})
#define O(name, ...)                                                           \
    ((struct outcome){.kind = OUTCOME_##name __VA_OPT__(, ) __VA_ARGS__})

static inline struct task go(struct task task, struct outcome outcome,
                             const struct policy *policy, int64_t at)
{
    return task_step(&task, &outcome, policy, T0 + at).next;
}

#endif
