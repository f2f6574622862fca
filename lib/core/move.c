#include "core/move.h"

#include "core/retry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_BASE_MS (1 * SECOND_MS)
#define BACKOFF_CAP_MS MINUTE_MS

void move_wait_until(struct move *m, int64_t due_ms)
{
    assert(due_ms >= m->now_ms);
    m->step->due_ms = due_ms;
}

void move_wait_for(struct move *m, int64_t wait_ms)
{
    assert(wait_ms >= 0);
    move_wait_until(m, m->now_ms + wait_ms);
}

int64_t move_backoff_ms(const struct move *m, int tries)
{
    return retry_wait_ms(tries, BACKOFF_BASE_MS, BACKOFF_CAP_MS,
                         m->policy->jitter);
}

void move_enter(struct move *m, enum task_state state)
{
    assert(state >= 0 && state < TASK_STATES_LEN);
    assert(m->row->state != CLOSED);
    if (m->row->state != state) {
        m->row->takeovers = 0;
        m->memo->misses = 0;
        m->memo->denials = 0;
        m->memo->refusals = 0;
        m->memo->wants_refresh = false;
        m->row->unusable[0] = '\0';
    }
    m->row->state = state;
    m->step->save = true;
    move_wait_for(m, 0);
}

void move_settle(struct move *m, enum task_state state)
{
    assert(state == SUCCEEDED || state == FAILED);
    move_enter(m, state);
    m->row->settled_ms = m->now_ms;
    m->step->settles = true;
}

void move_close(struct move *m)
{
    move_enter(m, CLOSED);
}

void move_fail(struct move *m, enum failure_kind kind, struct str message)
{
    assert(kind > FAILURE_NONE && kind < FAILURE_KINDS_LEN);
    if (m->row->late) {
        move_close(m);
        return;
    }
    move_settle(m, FAILED);
    m->row->kind = kind;
    m->step->failure = (struct failure){
        .kind = kind,
        .message = message,
        .http_status = m->outcome->http_status,
        .provider_code = m->outcome->provider_code,
    };
}

void move_source_failed(struct move *m)
{
    const bool waited =
        m->now_ms >= m->row->not_before_ms + m->policy->chain_wait_ms;
    move_fail(m, FAILURE_SOURCE_FAILED,
              waited ? STR("the request that it extends did not come, or did "
                           "not finish, within CHAIN_WAIT_MS")
                     : STR("the request that it extends brought no video of "
                           "this tenant: send it again under a new id once "
                           "there is one"));
}

void move_take_cost(struct move *m)
{
    assert(!m->outcome->has_cost || m->outcome->cost >= 0);
    if (m->outcome->has_cost) {
        m->row->has_cost = true;
        m->row->cost = m->outcome->cost;
        m->row->credits_cost = m->outcome->credits_cost;
    }
}

int64_t move_poll_due_ms(const struct move *m)
{
    assert(m->policy->poll_interval_ms >= 1);
    return retry_phase_ms(m->now_ms, m->policy->poll_interval_ms, m->row->id);
}

void move_wait_within_deadline(struct move *m, int64_t due_ms)
{
    int64_t until_ms = longer(m->row->deadline_ms, m->now_ms);
    if (m->row->state == RUNNING && move_is_strange(m)) {
        until_ms = longer(until_ms, m->memo->strange_until_ms);
    }
    move_wait_until(m, sooner(due_ms, until_ms));
}

bool move_time_is_up(const struct move *m)
{
    return task_time_is_up(&m->step->next, m->policy->late_ms, m->now_ms);
}

bool move_is_strange(const struct move *m)
{
    return task_is_strange(&m->step->next, m->now_ms);
}

bool move_denied_to_stranger(struct move *m)
{
    assert(m->outcome->kind == OUTCOME_DENIED);
    if (m->outcome->same_key) {
        return false;
    }
    m->step->hold = HOLD_ACCOUNT;
    return true;
}

/** What no rule may do, whatever the row holds. Positive and negative: a bug
 * ends the process before anything is written, and the next one takes over. */
void move_check(const struct move *m, const struct task *before)
{
    const struct task_row *was = &before->row;
    const struct task_row *is = m->row;
    const bool moved = is->state != was->state;
    const bool failed = moved && is->state == FAILED;

    /* Whose it is and when it came is nobody's to change here. */
    assert(is->id == was->id && is->fence == was->fence);
    assert(is->version == was->version);
    assert(is->submission == was->submission);
    const bool again = is->attempt != was->attempt;
    assert(!again || (is->attempt == was->attempt + 1 && !was->late &&
                      was->state == RUNNING && is->state == QUEUED));
    assert(is->received_ms == was->received_ms);
    assert(is->owner == was->owner || (is->owner == 0 && is->state == QUEUED));
    assert(is->result == was->result && is->event == was->event);
    assert(is->source_task_id == was->source_task_id); /* of every send */

    /* It waits, and what moved is written before its effect begins. */
    assert(m->step->due_ms >= m->now_ms);
    assert(m->step->save || !moved || m->memo->unsaved);
    assert(!m->memo->unsaved || is->state == READY || m->step->save);
    assert(m->step->save || !m->step->settles);

    /* P1: a doubt ends with an id, or with the task. */
    assert(was->state != SUBMITTING || !was->doubt || is->doubt ||
           is->state == RUNNING);
    assert(was->state != SUBMITTING || is->state != QUEUED || !was->doubt);
    assert(was->state != RUNNING || is->state != QUEUED || again);
    assert(!again || task_begins_again(is));
    assert(!moved || is->state != RUNNING || is->provider_task_id[0]);
    assert(!moved || is->state != RUNNING || is->deadline_ms != 0);
    assert(was->state == QUEUED || is->account[0] == was->account[0]);
    assert(was->first_sent_ms == is->first_sent_ms || was->state == QUEUED);

    /* P3: who settles says so, and never a second failure. */
    assert(m->step->settles ==
           (moved && (is->state == SUCCEEDED || is->state == FAILED)));
    assert(!m->step->settles || is->settled_ms == m->now_ms);
    assert(!failed || !was->late);
    assert(failed == (m->step->failure.kind != FAILURE_NONE));
    assert(!was->late || is->late);
    assert(is->state != LATE || !moved || is->provider_task_id[0]);

    /* P7: what is paid for and there isn't asked for again. Only from RUNNING
     * would a poll that comes in time say it again. */
    assert(!moved || !m->memo->unsaved || was->state == RUNNING ||
           m->step->save);
    assert(was->state != READY || is->state != RUNNING);
    assert(m->step->hold >= HOLD_NONE && m->step->hold < HOLD_REASONS_LEN);
}
