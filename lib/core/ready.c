#include "core/ready.h"

#include "core/retry.h"
#include "core/until.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OVER_TIMES 3 /* refusals of URLs that are over by their own word */
#define UNUSABLE_TIMES 3
#define UNUSABLE_OVER_MS HOUR_MS
#define UNUSABLE_BASE_MS (2 * SECOND_MS)
#define UNUSABLE_CAP_MS (10 * MINUTE_MS)
#define ASSET_SILENT_MS (24 * HOUR_MS) /* a silent host counts as refusing */

static void transfer_again(struct move *m)
{
    assert(m->row->state == READY);
    assert(m->outcome->retry_after_ms >= 0);
    m->memo->misses += 1;
    move_wait_for(m, longer(move_backoff_ms(m, m->memo->misses),
                            m->outcome->retry_after_ms));
}

static void fail_expired(struct move *m)
{
    assert(m->memo->refusals > 0);
    move_fail(m, FAILURE_ASSET_EXPIRED,
              STR("the video's URL has expired and the provider gives no "
                  "other"));
}

/** The URLs stay as they are. */
static void same_again(struct move *m)
{
    if (m->row->unusable[0] && m->memo->refusals == 0) {
        move_wait_for(m, 0); /* it has waited before it was polled afresh */
        return;
    }
    transfer_again(m);
}

/** A fresh poll brought nothing better than what was refused. */
void ready_no_better_url(struct move *m)
{
    assert(m->row->state == READY);
    m->memo->wants_refresh = m->row->result == NULL;
    if (!m->row->result) {
        if (m->now_ms >= task_late_until_ms(m->row, m->policy->late_ms)) {
            move_fail(m, FAILURE_ASSET_UNUSABLE,
                      STR("the provider completed the task without a video"));
            return;
        }
    } else if (m->memo->refusals > 0 && m->now_ms >= task_expires_ms(m->row)) {
        fail_expired(m);
        return;
    }
    same_again(m);
}

/** Something else than before came. A provider may set a new end with each
 * poll, and sign a URL anew, long after the video is gone. */
static void take_result(struct move *m, struct str fresh)
{
    const struct str old = str_of(m->row->result);
    const bool other = !old.at || !result_has_same_urls(old, fresh);
    const bool over = m->now_ms >= task_result_expires_ms(m->row, fresh);
    if (over && m->memo->refusals >= (other ? OVER_TIMES : 1)) {
        fail_expired(m);
        return;
    }
    m->result = fresh;
    m->memo->wants_refresh = false;
    m->step->save = true; /* the URLs are part of the state */
    if (!other) {
        same_again(m);
        return;
    }
    m->memo->refusals = over ? m->memo->refusals : 0;
    move_wait_for(m, 0);
}

void ready_refreshed(struct move *m)
{
    assert(m->row->state == READY);
    assert(m->outcome->kind == OUTCOME_FINISHED);
    move_take_cost(m);
    const struct str fresh = m->outcome->result;
    if (!fresh.at || str_eq(str_of(m->row->result), fresh)) {
        ready_no_better_url(m);
        return;
    }
    take_result(m, fresh);
}

void ready_denied(struct move *m)
{
    assert(m->row->state == READY);
    if (move_denied_to_stranger(m)) {
        transfer_again(m);
        return;
    }
    ready_no_better_url(m);
}

void ready_missed(struct move *m)
{
    assert(m->row->state == READY);
    m->step->hold = m->outcome->hold;
    transfer_again(m);
}

void ready_time_up(struct move *m)
{
    assert(m->row->state == READY);
    move_wait_for(m, 0);
}

void ready_stored(struct move *m)
{
    assert(m->row->state == READY);
    assert(m->outcome->kind == OUTCOME_STORED);
    m->row->stored_ms = m->outcome->stored_ms;
    move_settle(m, SUCCEEDED);
    m->row->kind = FAILURE_NONE;
}

void ready_fetch_refused(struct move *m)
{
    assert(m->row->state == READY);
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
    assert(m->row->state == READY);
    if (m->now_ms >= task_expires_ms(m->row) + ASSET_SILENT_MS) {
        ready_fetch_refused(m);
        return;
    }
    transfer_again(m);
}

/** What is known of bodies that failed the check: row.unusable. */
struct unusable {
    int times; /* with the same hash; counted to UNUSABLE_TIMES */
    int64_t since_ms;
    char hash[17]; /* its first digits */
};

static struct unusable read_unusable(const struct task_row *row)
{
    struct unusable u = {0};
    long long since_ms = 0;
    if (sscanf(row->unusable, "%1d %lld %16s", &u.times, &since_ms, u.hash) !=
        3) {
        return (struct unusable){0};
    }
    u.since_ms = since_ms;
    return u;
}

/** A takeover goes on with it: it is stored, where it has changed. */
static void write_unusable(struct move *m, const struct unusable *u)
{
    char text[UNUSABLE_BYTES];
    snprintf(text, sizeof text, "%d %lld %s", u->times, (long long)u->since_ms,
             u->hash);
    if (strcmp(text, m->row->unusable) != 0) {
        memcpy(m->row->unusable, text, sizeof text);
        m->step->save = true;
    }
}

void ready_unusable(struct move *m)
{
    assert(m->row->state == READY);
    assert(m->outcome->kind == OUTCOME_UNUSABLE);
    struct unusable u = read_unusable(m->row);
    char hash[sizeof u.hash];
    snprintf(hash, sizeof hash, "%.*s", (int)m->outcome->hash.len,
             m->outcome->hash.at ? m->outcome->hash.at : "");
    if (u.times == 0 || strcmp(u.hash, hash) != 0) {
        u = (struct unusable){.since_ms = m->now_ms};
        memcpy(u.hash, hash, sizeof hash);
    }
    u.times += u.times < UNUSABLE_TIMES ? 1 : 0;
    const int64_t verdict_ms = u.since_ms + UNUSABLE_OVER_MS;
    if (u.times >= UNUSABLE_TIMES && m->now_ms >= verdict_ms) {
        move_fail(m, FAILURE_ASSET_UNUSABLE, m->outcome->message);
        return;
    }
    write_unusable(m, &u);
    if (m->memo->misses >= UNUSABLE_TIMES &&
        m->now_ms >= task_expires_ms(m->row) + UNUSABLE_OVER_MS) {
        /* Where the video was is a page, and another one each time. */
        ready_fetch_refused(m);
        return;
    }
    m->memo->wants_refresh = true;
    m->memo->misses += 1;
    /* It may be a page that somebody on the way served in the video's place:
     * that is over soon. Only the verdict needs the hour. */
    int64_t wait_ms = retry_wait_ms(m->memo->misses, UNUSABLE_BASE_MS,
                                    UNUSABLE_CAP_MS, m->policy->jitter);
    if (m->now_ms < verdict_ms) {
        wait_ms = sooner(wait_ms, verdict_ms - m->now_ms);
    }
    move_wait_for(m, wait_ms);
}

void ready_oversize(struct move *m)
{
    assert(m->row->state == READY);
    move_fail(m, FAILURE_ASSET_UNUSABLE, m->outcome->message);
}

void ready_store_failed(struct move *m)
{
    m->step->hold = m->outcome->hold;
    transfer_again(m);
}
