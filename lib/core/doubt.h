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

/** How soon the row of a doubt is read again: promised at least every 10 s. */
#define DOUBT_REREAD_MS 8000

/** Whether a replay whose intent is stored may still leave. */
bool replay_may_leave(const struct task_row *row, const struct policy *policy,
                      int64_t now_ms);

/**
 * Whether the row as it is stored would be sent again by whoever took it over:
 * then what a send has brought since, an id or a refusal, may be lost with its
 * process, and comes again. Not for long any more: false.
 *
 * @param task  Before the step that the answer makes.
 */
bool task_would_replay(const struct task *task, const struct policy *policy,
                       int64_t now_ms);

/** When the account's key no longer protects a replay: five sixths of its
 * life. */
int64_t replay_until_ms(const struct task_row *row,
                        const struct policy *policy);

/**
 * A waiting row in doubt was perhaps sent before the database was set back
 * (pixverse-ctl rewind). It may be claimed only while its key protects it.
 *
 * @return  It has to be first sent after that; INT64_MAX: none may be, because
 *          keys are not known to be honoured.
 */
int64_t resend_after_ms(enum submit_doubt doubt, int64_t key_lifetime_ms,
                        int64_t now_ms);

/**
 * After lost answers: whether a row that is found to be ours, without our
 * knowing it, is surely unsent. Only that of our very claim is: a claim writes
 * no doubt and its own time. All others, claimed or adopted by whomever, may
 * have been sent.
 *
 * @param lost_claim_ms  The time that the claim whose answer was lost bore; 0:
 *                       none was.
 */
bool task_is_unsent_claim(const struct task_row *row, int64_t lost_claim_ms);

#endif
