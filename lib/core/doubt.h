#ifndef CORE_DOUBT_H
#define CORE_DOUBT_H

#include "core/policy.h"
#include "core/task.h"

/**
 * SUBMITTING with an unanswered send behind it: replay, wait or settle (DESIGN
 * "One purchase").
 */

/** What a doubt should do next. */
enum doubt_act {
    DOUBT_ACT_WAIT,   /* nothing before *due_ms but reading the row again */
    DOUBT_ACT_REPLAY, /* same bytes, same key, after REPLAY_INTENT */
    DOUBT_ACT_REREAD, /* the row, now: its last owner may have written an id */
    DOUBT_ACT_SETTLE, /* TIME_UP settles it as submit_unknown */
};

/**
 * SUBMITTING with an unanswered send behind it.
 *
 * @param due_ms  Set to when to ask again, where the answer is to wait.
 */
enum doubt_act task_doubt_act(const struct task *task,
                              const struct policy *policy, int64_t now_ms,
                              int64_t *due_ms);

#define REPLAYS_MAX 3

/** A doubt that was taken over settles only when its row was read again so long
 * after the takeover: an owner that was merely cut off writes the id it has. */
#define STRANGE_MS INT64_C(15000)

/** Whether a replay whose intent is stored may still leave. */
bool replay_may_leave(const struct task_row *row, const struct policy *policy,
                      int64_t now_ms);

/** When the account's key no longer protects a replay: five sixths of its life.
 */
int64_t replay_until_ms(const struct task_row *row,
                        const struct policy *policy);

#endif
