#include "core/doubt.h"

#include <assert.h>
#include <string.h>

int64_t replay_until_ms(const struct task_row *row, const struct policy *policy)
{
    assert(policy->key_lifetime_ms >= 0);
    return row->first_sent_ms + policy->key_lifetime_ms / 6 * 5;
}

int64_t resend_after_ms(enum submit_doubt doubt, int64_t key_lifetime_ms,
                        int64_t now_ms)
{
    assert(key_lifetime_ms >= 0);
    return doubt == DOUBT_REPLAY ? now_ms - key_lifetime_ms / 6 * 5 : INT64_MAX;
}

bool replay_may_leave(const struct task_row *row, const struct policy *policy,
                      int64_t now_ms)
{
    assert(policy->account);
    return now_ms < replay_until_ms(row, policy) &&
           policy->doubt == DOUBT_REPLAY &&
           strcmp(row->account, policy->account) == 0;
}

/* A takeover, and the pace of those who submit. */
#define TAKEOVER_MS 60000

bool task_would_replay(const struct task *task, const struct policy *policy,
                       int64_t now_ms)
{
    const struct task_row *row = &task->row;
    assert(row->state == SUBMITTING);
    return replay_may_leave(row, policy, now_ms + TAKEOVER_MS) &&
           row->sends <= REPLAYS_MAX && !task->memo.cancel;
}

/** Settles, or why it may not yet. */
static enum doubt_act settle(const struct task_memo *memo, int64_t now_ms)
{
    return now_ms >= memo->strange_until_ms &&
                   memo->read_ms < memo->strange_until_ms
               ? DOUBT_ACT_REREAD
               : DOUBT_ACT_SETTLE;
}

enum doubt_act task_doubt_act(const struct task *task,
                              const struct policy *policy, int64_t now_ms,
                              int64_t *due_ms)
{
    const struct task_row *row = &task->row;
    const int64_t answered_ms = row->last_sent_ms + policy->submit_timeout_ms;
    const int64_t until_ms = replay_until_ms(row, policy);
    const bool ours = strcmp(row->account, policy->account) == 0;
    enum doubt_act act = DOUBT_ACT_WAIT;
    int64_t at_ms = until_ms;

    assert(row->state == SUBMITTING && due_ms);
    assert(policy->doubt >= DOUBT_AUTO && policy->doubt <= DOUBT_SETTLE);
    assert(policy->submit_timeout_ms >= 0);
    if (now_ms >= until_ms || task->memo.cancel) {
        act = DOUBT_ACT_SETTLE; /* a replay could buy what was cancelled */
        at_ms = answered_ms;
    } else if (!ours) {
        act = DOUBT_ACT_WAIT; /* what our account does says nothing of theirs */
    } else if (policy->doubt == DOUBT_SETTLE) {
        act = DOUBT_ACT_SETTLE;
        at_ms = answered_ms;
    } else if (policy->doubt == DOUBT_AUTO) {
        act = DOUBT_ACT_WAIT; /* for the provider's word */
    } else if (row->sends > REPLAYS_MAX) {
        act = DOUBT_ACT_SETTLE;
        at_ms = answered_ms;
    } else {
        act = DOUBT_ACT_REPLAY;
        at_ms = task->memo.replay_ms;
    }
    if (act == DOUBT_ACT_SETTLE && at_ms < task->memo.strange_until_ms) {
        at_ms = task->memo.strange_until_ms;
    }
    if (act == DOUBT_ACT_WAIT || now_ms < at_ms) {
        *due_ms = at_ms > now_ms ? at_ms : now_ms + 1;
        return DOUBT_ACT_WAIT;
    }
    return act == DOUBT_ACT_SETTLE ? settle(&task->memo, now_ms) : act;
}

bool task_is_unsent_claim(const struct task_row *row, int64_t lost_claim_ms)
{
    assert(lost_claim_ms >= 0);
    return row->state == SUBMITTING && !row->doubt &&
           !row->provider_task_id[0] && lost_claim_ms != 0 &&
           row->last_sent_ms == lost_claim_ms;
}
