#include "core/ready.h"

#include <stdlib.h>
#include <string.h>

#define UNUSABLE_TIMES 3
#define UNUSABLE_OVER_MS HOUR_MS
#define ASSET_LIFE_MS (24 * HOUR_MS)   /* where the provider named no expiry */
#define ASSET_SILENT_MS (24 * HOUR_MS) /* a silent host counts as refusing */

/** The earliest `expires_at` in a result, 0 where it names none. */
static int64_t result_expires_ms(const char *result)
{
    static const char name[] = "\"expires_at\":";
    int64_t first_ms = 0;
    for (const char *at = result; at && (at = strstr(at, name));) {
        at += sizeof name - 1;
        int64_t ms = strtoll(at, NULL, 10);
        if (ms > 0 && (!first_ms || ms < first_ms)) {
            first_ms = ms;
        }
    }
    return first_ms;
}

int64_t task_expires_ms(const struct task_row *row)
{
    int64_t expires_ms = result_expires_ms(row->result);
    return expires_ms ? expires_ms : row->generated_ms + ASSET_LIFE_MS;
}

static void transfer_again(struct move *m)
{
    m->memo->misses += 1;
    move_wait_for(m, longer(move_backoff_ms(m, m->memo->misses),
                            m->outcome->retry_after_ms));
}

/** A fresh poll brought nothing better than what was refused. */
void ready_no_better_url(struct move *m)
{
    m->memo->wants_refresh = m->row->result == NULL;
    if (!m->row->result) {
        if (m->now_ms >= task_late_until_ms(m->row, m->policy)) {
            move_fail(m, FAILURE_ASSET_UNUSABLE,
                      STR("the provider completed the task without a video"));
            return;
        }
    } else if (m->memo->refusals > 0 && m->now_ms >= task_expires_ms(m->row)) {
        move_fail(
            m, FAILURE_ASSET_EXPIRED,
            STR("the video's URL has expired and the provider gives no other"));
        return;
    }
    transfer_again(m);
}

void ready_refreshed(struct move *m)
{
    move_take_cost(m);
    struct str old = str_of(m->row->result);
    if (!m->outcome->result.at || str_eq(old, m->outcome->result)) {
        ready_no_better_url(m);
        return;
    }
    m->result = m->outcome->result;
    m->memo->wants_refresh = false;
    m->memo->refusals = 0;
    m->step->save = true; /* the URLs are part of the state */
    move_wait_for(m, 0);
}

void ready_denied(struct move *m)
{
    if (move_denied_to_stranger(m)) {
        transfer_again(m);
        return;
    }
    ready_no_better_url(m);
}

void ready_missed(struct move *m)
{
    m->step->hold = m->outcome->hold;
    transfer_again(m);
}

void ready_time_up(struct move *m)
{
    move_wait_for(m, 0);
}

void ready_stored(struct move *m)
{
    m->row->stored_ms = m->outcome->stored_ms;
    move_settle(m, SUCCEEDED);
    m->row->kind = FAILURE_NONE;
}

void ready_fetch_refused(struct move *m)
{
    m->memo->refusals += 1;
    m->memo->wants_refresh = true;
    if (m->memo->misses == 0) {
        /* A fresh poll may bring a fresh URL at once; but a host that refuses
         * each of them is not asked without end. */
        m->memo->misses = 1;
        move_wait_for(m, 0);
        return;
    }
    transfer_again(m);
}

void ready_fetch_failed(struct move *m)
{
    if (m->now_ms >= task_expires_ms(m->row) + ASSET_SILENT_MS) {
        ready_fetch_refused(m);
        return;
    }
    transfer_again(m);
}

void ready_unusable(struct move *m)
{
    size_t len = sizeof m->memo->unusable_hash - 1;
    if (len > m->outcome->hash.len) {
        len = m->outcome->hash.len;
    }
    if (m->memo->unusable == 0 || strlen(m->memo->unusable_hash) != len ||
        memcmp(m->memo->unusable_hash, m->outcome->hash.at, len) != 0) {
        m->memo->unusable = 0;
        m->memo->unusable_since_ms = m->now_ms;
        memcpy(m->memo->unusable_hash, m->outcome->hash.at, len);
        m->memo->unusable_hash[len] = '\0';
    }
    m->memo->unusable += 1;
    int64_t over_ms = m->now_ms - m->memo->unusable_since_ms;
    if (m->memo->unusable >= UNUSABLE_TIMES && over_ms >= UNUSABLE_OVER_MS) {
        move_fail(m, FAILURE_ASSET_UNUSABLE, m->outcome->message);
        return;
    }
    m->memo->wants_refresh = true;
    /* The first time it may be a page that somebody on the way served in the
     * video's place: that is over soon. */
    move_wait_for(m, m->memo->unusable == 1
                         ? move_backoff_ms(m, 1)
                         : UNUSABLE_OVER_MS / (UNUSABLE_TIMES - 1));
}

void ready_oversize(struct move *m)
{
    move_fail(m, FAILURE_ASSET_UNUSABLE, m->outcome->message);
}

void ready_store_failed(struct move *m)
{
    m->step->hold = m->outcome->hold;
    transfer_again(m);
}
