#include "core/move.h"

#include "core/retry.h"

#include <stdlib.h>
#include <string.h>

#define BACKOFF_BASE_MS (1 * SECOND_MS)
#define BACKOFF_CAP_MS MINUTE_MS

void move_wait_until(struct move *m, int64_t due_ms)
{
    m->step->due_ms = due_ms;
}

void move_wait_for(struct move *m, int64_t wait_ms)
{
    move_wait_until(m, m->now_ms + wait_ms);
}

int64_t move_backoff_ms(const struct move *m, int tries)
{
    return retry_wait_ms(tries, BACKOFF_BASE_MS, BACKOFF_CAP_MS,
                         m->policy->jitter);
}

void move_enter(struct move *m, enum task_state state)
{
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

void move_take_cost(struct move *m)
{
    if (m->outcome->has_cost) {
        m->row->has_cost = true;
        m->row->cost = m->outcome->cost;
        m->row->credits_cost = m->outcome->credits_cost;
    }
}

int64_t move_poll_wait_ms(const struct move *m)
{
    return retry_jitter_ms(m->policy->poll_interval_ms, m->policy->jitter);
}

void move_wait_within_deadline(struct move *m, int64_t due_ms)
{
    move_wait_until(m, sooner(due_ms, longer(m->row->deadline_ms, m->now_ms)));
}

bool move_time_is_up(const struct move *m)
{
    return task_time_is_up(m->row, m->policy->late_ms, m->now_ms);
}

bool move_denied_to_stranger(struct move *m)
{
    if (m->outcome->same_key) {
        return false;
    }
    m->step->hold = HOLD_ACCOUNT;
    return true;
}
