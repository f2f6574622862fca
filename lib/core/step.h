#ifndef CORE_STEP_H
#define CORE_STEP_H

#include "core/billing.h"
#include "core/doubt.h"
#include "core/next.h"
#include "core/policy.h"
#include "core/until.h"

/**
 * The machine: row x outcome -> next row, when to act on it, whether it has to
 * be written. One table of states and outcomes (core/step.c) is the whole of
 * it; the time and the policy are arguments.
 */

/**
 * The next row.
 *
 * @param task     Not changed; its owned texts move into the result.
 * @param outcome  Must be one that can happen in the task's state: others are
 *                 bugs (asserted), see step_is_possible().
 */
struct step task_step(const struct task *task, const struct outcome *outcome,
                      const struct policy *policy, int64_t now_ms);

/**
 * Whether that step would settle the task, and the state that it leads to:
 * what an event needs can be got before anything is changed.
 */
bool task_step_settles(const struct task *task, const struct outcome *outcome,
                       const struct policy *policy, int64_t now_ms,
                       enum task_state *next);

/** Whether the table has a cell for it. */
bool step_is_possible(enum task_state state, enum outcome_kind kind);

#endif
