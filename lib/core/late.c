#include "core/late.h"

#include "core/retry.h"

#include <assert.h>

#define LATE_FAST_MS MINUTE_MS
#define LATE_FAST_UNTIL_MS (150 * MINUTE_MS)

/* ---- SUCCEEDED, FAILED ---- */

void late_told(struct move *m)
{
    struct task_row *row = m->row;
    assert(m->row->state == SUCCEEDED || m->row->state == FAILED);
    if (row->provider_task_id[0] && !row->submitted_ms) {
        row->submitted_ms = m->now_ms; /* learnt after it was settled */
    }
    if (row->state == FAILED && row->provider_task_id[0] &&
        (row->billed_open || row->kind == FAILURE_SUBMIT_UNKNOWN) &&
        m->now_ms < task_late_until_ms(row, m->policy->late_ms)) {
        move_enter(m, LATE);
        row->late = true;
        move_wait_until(m, move_poll_due_ms(m));
        return;
    }
    move_close(m);
}

void late_untold(struct move *m)
{
    m->memo->misses += 1;
    move_wait_for(m, move_backoff_ms(m, m->memo->misses));
}

/* ---- LATE ---- */

void late_again(struct move *m)
{
    assert(m->row->state == LATE);
    int64_t age_ms = m->now_ms - m->row->submitted_ms;
    int64_t wait_ms = age_ms < LATE_FAST_UNTIL_MS ? LATE_FAST_MS : HOUR_MS;
    move_wait_until(
        m, sooner(m->now_ms + retry_jitter_ms(wait_ms, m->policy->jitter),
                  longer(task_late_until_ms(m->row, m->policy->late_ms),
                         m->now_ms)));
}

void late_time_up(struct move *m)
{
    if (move_time_is_up(m)) {
        move_close(m);
        return;
    }
    late_again(m);
}

void late_failed(struct move *m)
{
    move_take_cost(m);
    move_close(m);
}
