#ifndef CORE_STEP_H
#define CORE_STEP_H

#include "core/billing.h"
#include "core/doubt.h"
#include "core/outcome.h"
#include "core/policy.h"
#include "core/task.h"

/**
 * The machine: row x outcome -> next row, when to act on it, whether it has to
 * be written. One table of states and outcomes (core/step.c) is the whole of
 * it; the time and the policy are arguments.
 */

/** The end of a failed task, as its event will tell it. */
struct failure {
    enum failure_kind kind;
    struct str message;
    int http_status;
    struct str provider_code;
};

struct step {
    struct task next; /* owns what task owned: use it in its place */
    int64_t due_ms;   /* when the effect of next's state is owed */
    bool save;        /* write the row before anything else happens */
    bool settles;     /* an event has to be rendered into that row */
    /* settles && next is FAILED; slices as the outcome's */
    struct failure failure;
    enum hold_reason hold; /* why it waits; HOLD_NONE: by its own clock */
};

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

/** How long a paid video is looked for. */
int64_t task_late_until_ms(const struct task_row *row, int64_t late_ms);

/** RUNNING, LATE: whether the next thing is TIME_UP and no poll any more. The
 * step asks the same. */
bool task_time_is_up(const struct task_row *row, int64_t late_ms,
                     int64_t now_ms);

/** READY: when the first of the URLs ends, 24 h after `completed` if
 * unnamed. */
int64_t task_expires_ms(const struct task_row *row);

#endif
