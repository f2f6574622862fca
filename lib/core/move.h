#ifndef CORE_MOVE_H
#define CORE_MOVE_H

#include "core/next.h"
#include "core/policy.h"
#include "core/until.h"

/**
 * A move: one rule applied to one task, and the words that rules are made of.
 * For step.c and ready.c only.
 */

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)

/** One application of a rule. */
struct move {
    struct step *step;
    struct task_row *row;   /* step->next.row */
    struct task_memo *memo; /* step->next.memo */
    const struct outcome *outcome;
    const struct policy *policy;
    int64_t now_ms;
    struct str result; /* what the row's becomes; absent: it stays */
};

typedef void rule_fn(struct move *m);

static inline int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/** Asserts what every rule has to keep. */
void move_check(const struct move *m, const struct task *before);

/* ---- when ---- */

void move_wait_until(struct move *m, int64_t due_ms);
void move_wait_for(struct move *m, int64_t wait_ms);

/** Due at `due_ms`, but at the deadline at the latest. */
void move_wait_within_deadline(struct move *m, int64_t due_ms);
int64_t move_backoff_ms(const struct move *m, int tries);

/** The task's own place in the interval: an interval after its last poll. */
int64_t move_poll_due_ms(const struct move *m);

/** Whether TIME_UP ends what this state waits for. */
bool move_time_is_up(const struct move *m);

/** Whether the task may be further than its row says: task_is_strange(). */
bool move_is_strange(const struct move *m);

/* ---- where to ---- */

void move_enter(struct move *m, enum task_state state);
void move_settle(struct move *m, enum task_state state);
void move_close(struct move *m);

/** A second failure is never told: what failed after it just ends. */
void move_fail(struct move *m, enum failure_kind kind, struct str message);

/** For want of what it extends. Of a request that is another tenant's nobody
 * learns that it exists. */
void move_source_failed(struct move *m);

/* ---- what the outcome says ---- */

void move_take_cost(struct move *m);

/** Denied under another key than the one that submitted: says nothing. */
bool move_denied_to_stranger(struct move *m);

#endif
