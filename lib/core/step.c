#include "core/step.h"

#include "core/retry.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Each cell of the table is one rule: a small function that turns the copy of
 * the task in `step->next` into the next task. Rules read like the sentences
 * of DESIGN that they come from.
 */

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)

#define BACKOFF_BASE_MS (1 * SECOND_MS)
#define BACKOFF_CAP_MS MINUTE_MS
#define SPREAD_MS (2 * SECOND_MS)   /* first polls of orphans */
#define REREAD_MS (8 * SECOND_MS)   /* a doubt's row: promised at least every 10 s */
#define LOST_DENIALS 5
#define LOST_AFTER_MS (10 * MINUTE_MS)
#define LOST_FROM_MS (2 * MINUTE_MS) /* after acceptance; before it is lag */
#define UNUSABLE_TIMES 3
#define UNUSABLE_OVER_MS HOUR_MS
#define LATE_FAST_MS MINUTE_MS
#define LATE_FAST_UNTIL_MS (150 * MINUTE_MS)
#define ASSET_LIFE_MS (24 * HOUR_MS) /* where the provider named no expiry */
#define ASSET_SILENT_MS (24 * HOUR_MS) /* a silent host counts as refusing */

/** One application of a rule. */
struct move {
    struct step *step;
    struct task_row *row;   /* step->next.row */
    struct task_memo *memo; /* step->next.memo */
    const struct outcome *outcome;
    const struct policy *policy;
    int64_t now_ms;
};

typedef void rule_fn(struct move *m);

/* ---- words that rules are made of ---------------------------------------- */

static void wait_until(struct move *m, int64_t due_ms)
{
    m->step->due_ms = due_ms;
}

static void wait_for(struct move *m, int64_t wait_ms)
{
    wait_until(m, m->now_ms + wait_ms);
}

static int64_t backoff_ms(const struct move *m, int tries)
{
    return retry_wait_ms(tries, BACKOFF_BASE_MS, BACKOFF_CAP_MS,
                         m->policy->jitter);
}

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void enter(struct move *m, enum task_state state)
{
    if (m->row->state != state) {
        m->row->takeovers = 0;
        m->memo->misses = 0;
        m->memo->denials = 0;
        m->memo->refusals = 0;
        m->memo->wants_refresh = false;
    }
    m->row->state = state;
    m->step->save = true;
    wait_for(m, 0);
}

static void settle(struct move *m, enum task_state state)
{
    enter(m, state);
    m->row->settled_ms = m->now_ms;
    m->step->settles = true;
}

static void close_row(struct move *m)
{
    enter(m, CLOSED);
}

/** A second failure is never told: what failed after it just ends. */
static void fail(struct move *m, enum failure_kind kind, struct str message)
{
    if (m->row->late) {
        close_row(m);
        return;
    }
    settle(m, FAILED);
    m->row->kind = kind;
    m->step->failure = (struct failure){
        .kind = kind,
        .message = message,
        .http_status = m->outcome->http_status,
        .provider_code = m->outcome->provider_code,
    };
}

static void take_cost(struct move *m)
{
    if (m->outcome->has_cost) {
        m->row->has_cost = true;
        m->row->cost = m->outcome->cost;
        m->row->credits_cost = m->outcome->credits_cost;
    }
}

static char *text_copy(struct str text)
{
    char *copy = text.at ? malloc(text.len + 1) : NULL;
    if (copy) {
        memcpy(copy, text.at, text.len);
        copy[text.len] = '\0';
    }
    return copy;
}

static int64_t poll_wait_ms(const struct move *m)
{
    return retry_jitter_ms(m->policy->poll_interval_ms, m->policy->jitter);
}

/** Due at `due_ms`, but at the deadline at the latest. */
static void wait_within_deadline(struct move *m, int64_t due_ms)
{
    wait_until(m, sooner(due_ms, longer(m->row->deadline_ms, m->now_ms)));
}

static int64_t late_until_ms(const struct task_row *row,
                             const struct policy *policy)
{
    return row->submitted_ms + policy->late_ms;
}

/* ---- any state ------------------------------------------------------------- */

static void stay_now(struct move *m)
{
    wait_for(m, 0);
}

static void ignore(struct move *m)
{
    wait_for(m, m->policy->poll_interval_ms);
}

static void stay_spread(struct move *m)
{
    wait_for(m, m->policy->jitter % SPREAD_MS);
}

/* ---- QUEUED ---------------------------------------------------------------- */

static void claim(struct move *m)
{
    enter(m, SUBMITTING);
    snprintf(m->row->account, sizeof m->row->account, "%s",
             m->policy->account);
    m->row->sends += 1;
    m->row->doubt = false;
    m->row->first_sent_ms = m->now_ms;
    m->row->last_sent_ms = m->now_ms;
}

static void queue_time_up(struct move *m)
{
    if (!m->row->deadline_ms || m->now_ms < m->row->deadline_ms) {
        enter(m, QUEUED); /* claimed by mistake: back to the others */
        return;
    }
    fail(m, FAILURE_TIMED_OUT,
         STR("the deadline passed before it could be submitted"));
}

static void cancel(struct move *m)
{
    fail(m, FAILURE_CANCELLED, STR("cancelled by the operator"));
}

/* ---- SUBMITTING ------------------------------------------------------------ */

/** Back among the waiting: nothing that was sent can have been accepted. */
static void requeue(struct move *m, int64_t not_before_ms)
{
    enter(m, QUEUED);
    m->row->owner = 0;
    m->row->not_before_ms = not_before_ms;
    m->row->tries += 1;
}

/** A send that is known to have come to nothing gives its count back. */
static void give_back(struct move *m)
{
    assert(m->row->sends > 0);
    m->row->sends -= 1;
}

static void wait_in_doubt(struct move *m, int64_t not_before_ms)
{
    int64_t due_ms = m->now_ms;
    enum doubt_act act =
        task_doubt_act(&m->step->next, m->policy, m->now_ms, &due_ms);
    if (act == DOUBT_ACT_WAIT) {
        not_before_ms = longer(not_before_ms, due_ms);
    }
    m->memo->reread_ms = m->now_ms + REREAD_MS;
    wait_until(m, not_before_ms);
}

static void submit_taken_over(struct move *m)
{
    m->row->doubt = true;
    wait_in_doubt(m, m->now_ms);
}

static void accept(struct move *m)
{
    size_t len = m->outcome->provider_task_id.len;
    assert(len > 0 && len < sizeof m->row->provider_task_id);
    enter(m, RUNNING);
    memcpy(m->row->provider_task_id, m->outcome->provider_task_id.at, len);
    m->row->provider_task_id[len] = '\0';
    m->row->submitted_ms = m->now_ms;
    m->row->doubt = false;
    if (!m->row->deadline_ms) {
        m->row->deadline_ms = m->now_ms + m->policy->deadline_ms;
    }
    wait_within_deadline(m, m->now_ms + poll_wait_ms(m));
}

static void not_sent(struct move *m)
{
    give_back(m);
    int64_t wait_ms = backoff_ms(m, m->row->tries + 1);
    if (!m->row->doubt) {
        requeue(m, m->now_ms + wait_ms);
        return;
    }
    m->row->tries += 1;
    m->step->save = true;
    wait_in_doubt(m, m->now_ms + wait_ms);
}

static void intend_replay(struct move *m)
{
    assert(m->row->doubt);
    m->row->sends += 1;
    m->row->last_sent_ms = m->now_ms;
    m->step->save = true;
    wait_for(m, 0);
}

static void put_off(struct move *m)
{
    int64_t wait_ms = m->outcome->retry_after_ms;
    if (!wait_ms) {
        wait_ms = backoff_ms(m, m->row->tries + 1);
    }
    if (m->outcome->key_running) {
        /* The first call under our key still runs: whoever sent it, it may be
         * accepted. This is no proof that nothing was. */
        if (m->row->doubt) {
            give_back(m);
        }
        m->row->doubt = true;
        m->step->save = true;
        wait_in_doubt(m, m->now_ms + wait_ms);
        return;
    }
    give_back(m);
    if (!m->row->doubt) {
        requeue(m, m->outcome->hold == HOLD_THROTTLE ? m->now_ms + wait_ms : 0);
        return;
    }
    m->row->tries += 1;
    m->step->save = true;
    wait_in_doubt(m, m->now_ms + wait_ms);
}

static void refused(struct move *m)
{
    if (!m->row->doubt) {
        fail(m, m->outcome->failure, m->outcome->message);
        return;
    }
    /* It speaks for this send only; the doubtful one is still open. */
    give_back(m);
    m->row->tries += 1;
    m->step->save = true;
    wait_in_doubt(m, m->now_ms + retry_wait_ms(m->row->tries, 10 * SECOND_MS,
                                               HOUR_MS, m->policy->jitter));
}

static void unanswered(struct move *m)
{
    m->row->doubt = true; /* not written: a takeover concludes the same */
    wait_in_doubt(m, m->now_ms + backoff_ms(m, m->row->sends));
}

static void indeterminate(struct move *m)
{
    m->row->doubt = true;
    m->row->sends = 1 + REPLAYS_MAX; /* no replay is left */
    m->step->save = true;
    wait_in_doubt(m, m->now_ms);
}

static void doubt_time_up(struct move *m)
{
    int64_t due_ms = m->now_ms;
    switch (task_doubt_act(&m->step->next, m->policy, m->now_ms, &due_ms)) {
    case DOUBT_ACT_SETTLE:
        fail(m, FAILURE_SUBMIT_UNKNOWN,
             STR("the provider's answer to the submission never came: it may "
                 "have been accepted and billed"));
        return;
    case DOUBT_ACT_WAIT:
        wait_in_doubt(m, due_ms);
        return;
    case DOUBT_ACT_REPLAY:
        wait_in_doubt(m, m->now_ms);
        return;
    }
}

/* ---- RUNNING --------------------------------------------------------------- */

static void running_time_up(struct move *m)
{
    if (m->now_ms < m->row->deadline_ms) {
        wait_within_deadline(m, m->now_ms + poll_wait_ms(m));
        return;
    }
    m->row->billed_open = !m->row->late;
    fail(m, FAILURE_TIMED_OUT, STR("the deadline passed before it finished"));
}

static void still_running(struct move *m)
{
    m->memo->misses = 0;
    m->memo->denials = 0;
    wait_within_deadline(m, m->now_ms + poll_wait_ms(m));
}

static void finished(struct move *m)
{
    take_cost(m);
    m->row->generated_ms =
        m->outcome->generated_ms ? m->outcome->generated_ms : m->now_ms;
    free(m->row->result);
    m->row->result = text_copy(m->outcome->result);
    enter(m, READY);
    m->memo->wants_refresh = m->row->result == NULL;
    if (m->memo->wants_refresh) {
        wait_for(m, poll_wait_ms(m));
    }
}

static void upstream_failed(struct move *m)
{
    take_cost(m);
    fail(m, m->outcome->failure, m->outcome->message);
}

/** Denied under another key than the one that submitted: says nothing. */
static bool denied_to_stranger(struct move *m)
{
    if (m->outcome->same_key) {
        return false;
    }
    m->memo->account_hold = true;
    m->step->hold = HOLD_ACCOUNT;
    return true;
}

static void denied(struct move *m)
{
    if (denied_to_stranger(m)) {
        wait_within_deadline(m, m->now_ms + MINUTE_MS);
        return;
    }
    if (m->now_ms - m->row->submitted_ms >= LOST_FROM_MS) {
        if (m->memo->denials == 0) {
            m->memo->denied_since_ms = m->now_ms;
        }
        m->memo->denials += 1;
    }
    if (m->memo->denials >= LOST_DENIALS &&
        m->now_ms - m->memo->denied_since_ms >= LOST_AFTER_MS) {
        m->row->billed_open = !m->row->late;
        fail(m, FAILURE_TASK_LOST, STR("the provider no longer knows the task"));
        return;
    }
    wait_within_deadline(m, m->now_ms + poll_wait_ms(m));
}

static int64_t missed_wait_ms(struct move *m)
{
    m->memo->misses += 1;
    m->memo->denials = 0;
    m->step->hold = m->outcome->hold;
    int64_t wait_ms = retry_wait_ms(m->memo->misses, m->policy->poll_interval_ms,
                                    MINUTE_MS, m->policy->jitter);
    return longer(wait_ms, m->outcome->retry_after_ms);
}

static void missed(struct move *m)
{
    wait_within_deadline(m, m->now_ms + missed_wait_ms(m));
}

/* ---- READY ----------------------------------------------------------------- */

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
    wait_for(m, longer(backoff_ms(m, m->memo->misses),
                       m->outcome->retry_after_ms));
}

/** A fresh poll brought nothing better than what was refused. */
static void no_better_url(struct move *m)
{
    m->memo->wants_refresh = m->row->result == NULL;
    if (!m->row->result) {
        if (m->now_ms >= late_until_ms(m->row, m->policy)) {
            fail(m, FAILURE_ASSET_UNUSABLE,
                 STR("the provider completed the task without a video"));
            return;
        }
    } else if (m->memo->refusals > 0 && m->now_ms >= task_expires_ms(m->row)) {
        fail(m, FAILURE_ASSET_EXPIRED,
             STR("the video's URL has expired and the provider gives no other"));
        return;
    }
    transfer_again(m);
}

static void refreshed(struct move *m)
{
    take_cost(m);
    struct str old = str_of(m->row->result);
    if (!m->outcome->result.at || str_eq(old, m->outcome->result)) {
        no_better_url(m);
        return;
    }
    char *result = text_copy(m->outcome->result);
    if (!result) {
        transfer_again(m);
        return;
    }
    free(m->row->result);
    m->row->result = result;
    m->memo->wants_refresh = false;
    m->memo->refusals = 0;
    m->step->save = true; /* the URLs are part of the state */
    wait_for(m, 0);
}

static void refresh_denied(struct move *m)
{
    if (denied_to_stranger(m)) {
        transfer_again(m);
        return;
    }
    no_better_url(m);
}

static void refresh_missed(struct move *m)
{
    m->step->hold = m->outcome->hold;
    transfer_again(m);
}

static void ready_time_up(struct move *m)
{
    wait_for(m, 0);
}

static void stored(struct move *m)
{
    m->row->stored_ms = m->outcome->stored_ms;
    settle(m, SUCCEEDED);
    m->row->kind = FAILURE_NONE;
}

static void fetch_refused(struct move *m)
{
    m->memo->refusals += 1;
    m->memo->wants_refresh = true;
    if (m->memo->refusals == 1) {
        wait_for(m, 0); /* a fresh poll may bring a fresh URL at once */
        return;
    }
    transfer_again(m);
}

static void fetch_failed(struct move *m)
{
    if (m->now_ms >= task_expires_ms(m->row) + ASSET_SILENT_MS) {
        fetch_refused(m);
        return;
    }
    transfer_again(m);
}

static void unusable(struct move *m)
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
        fail(m, FAILURE_ASSET_UNUSABLE, m->outcome->message);
        return;
    }
    m->memo->wants_refresh = true;
    wait_for(m, UNUSABLE_OVER_MS / (UNUSABLE_TIMES - 1));
}

static void oversize(struct move *m)
{
    fail(m, FAILURE_ASSET_UNUSABLE, m->outcome->message);
}

static void store_failed(struct move *m)
{
    m->step->hold = m->outcome->hold;
    transfer_again(m);
}

/* ---- SUCCEEDED, FAILED ------------------------------------------------------ */

static void told(struct move *m)
{
    const struct task_row *row = m->row;
    if (row->state == FAILED && row->provider_task_id[0] &&
        (row->billed_open || row->kind == FAILURE_SUBMIT_UNKNOWN) &&
        m->now_ms < late_until_ms(row, m->policy)) {
        enter(m, LATE);
        m->row->late = true;
        wait_for(m, poll_wait_ms(m));
        return;
    }
    close_row(m);
}

static void untold(struct move *m)
{
    m->memo->misses += 1;
    wait_for(m, backoff_ms(m, m->memo->misses));
}

/* ---- LATE -------------------------------------------------------------------- */

static void late_again(struct move *m)
{
    int64_t age_ms = m->now_ms - m->row->submitted_ms;
    int64_t wait_ms = age_ms < LATE_FAST_UNTIL_MS ? LATE_FAST_MS : HOUR_MS;
    wait_until(m, sooner(m->now_ms + retry_jitter_ms(wait_ms, m->policy->jitter),
                         longer(late_until_ms(m->row, m->policy), m->now_ms)));
}

static void late_time_up(struct move *m)
{
    if (m->now_ms >= late_until_ms(m->row, m->policy)) {
        close_row(m);
        return;
    }
    late_again(m);
}

static void late_failed(struct move *m)
{
    take_cost(m);
    close_row(m);
}

/* ---- the table ---------------------------------------------------------------- */

/** A cell that can't happen: what would ask for it is a bug. */
static void never(struct move *m)
{
    (void)m;
    assert(!"an outcome that cannot happen in this state");
}

/* clang-format off */
static rule_fn *const table[TASK_STATES_LEN][OUTCOMES_LEN] = {
#define ROW(claimed, taken, time, cancel_, accepted, notsent, intent, putoff, refused_, unans, indet, \
            running, finished_, failed, denied_, missed_, stored_, ffailed, frefused, unus, over, sfailed, annd, unannd) \
    { [OUTCOME_CLAIMED] = claimed, [OUTCOME_TAKEN_OVER] = taken, [OUTCOME_TIME_UP] = time, \
      [OUTCOME_CANCEL_ORDERED] = cancel_, [OUTCOME_ACCEPTED] = accepted, [OUTCOME_NOT_SENT] = notsent, \
      [OUTCOME_REPLAY_INTENT] = intent, [OUTCOME_PUT_OFF] = putoff, [OUTCOME_REFUSED] = refused_, \
      [OUTCOME_UNANSWERED] = unans, [OUTCOME_INDETERMINATE] = indet, [OUTCOME_STILL_RUNNING] = running, \
      [OUTCOME_FINISHED] = finished_, [OUTCOME_UPSTREAM_FAILED] = failed, [OUTCOME_DENIED] = denied_, \
      [OUTCOME_MISSED] = missed_, [OUTCOME_STORED] = stored_, [OUTCOME_FETCH_FAILED] = ffailed, \
      [OUTCOME_FETCH_REFUSED] = frefused, [OUTCOME_UNUSABLE] = unus, [OUTCOME_OVERSIZE] = over, \
      [OUTCOME_STORE_FAILED] = sfailed, [OUTCOME_ANNOUNCED] = annd, [OUTCOME_UNANNOUNCED] = unannd }

    [QUEUED] = ROW(
        claim, stay_now, queue_time_up, cancel,
        never, never, never, never, never, never, never,
        never, never, never, never, never,
        never, never, never, never, never, never,
        never, never),
    [SUBMITTING] = ROW(
        never, submit_taken_over, doubt_time_up, cancel,
        accept, not_sent, intend_replay, put_off, refused, unanswered, indeterminate,
        never, never, never, never, never,
        never, never, never, never, never, never,
        never, never),
    [RUNNING] = ROW(
        never, stay_spread, running_time_up, cancel,
        stay_now, never, never, never, never, never, never,
        still_running, finished, upstream_failed, denied, missed,
        never, never, never, never, never, never,
        never, never),
    [READY] = ROW(
        never, stay_now, ready_time_up, cancel,
        stay_now, never, never, never, never, never, never,
        no_better_url, refreshed, no_better_url, refresh_denied, refresh_missed,
        stored, fetch_failed, fetch_refused, unusable, oversize, store_failed,
        never, never),
    [SUCCEEDED] = ROW(
        never, stay_now, stay_now, ignore,
        stay_now, never, never, never, never, never, never,
        never, never, never, never, never,
        never, never, never, never, never, never,
        told, untold),
    [FAILED] = ROW(
        never, stay_now, stay_now, ignore,
        stay_now, never, never, never, never, never, never,
        never, never, never, never, never,
        never, never, never, never, never, never,
        told, untold),
    [LATE] = ROW(
        never, stay_spread, late_time_up, close_row,
        stay_now, never, never, never, never, never, never,
        late_again, finished, late_failed, late_again, late_again,
        never, never, never, never, never, never,
        never, never),
    [CLOSED] = ROW(
        never, never, never, never,
        never, never, never, never, never, never, never,
        never, never, never, never, never,
        never, never, never, never, never, never,
        never, never),
#undef ROW
};
/* clang-format on */

struct step task_step(const struct task *task, const struct outcome *outcome,
                      const struct policy *policy, int64_t now_ms)
{
    struct step step = {.next = *task, .due_ms = now_ms};
    struct move move = {
        .step = &step,
        .row = &step.next.row,
        .memo = &step.next.memo,
        .outcome = outcome,
        .policy = policy,
        .now_ms = now_ms,
    };
    table[task->row.state][outcome->kind](&move);
    if (step.save) {
        step.next.row.version += 1;
    }
    return step;
}

bool step_is_possible(enum task_state state, enum outcome_kind kind)
{
    return table[state][kind] != never;
}

/* ---- doubt --------------------------------------------------------------------- */

int64_t replay_until_ms(const struct task_row *row, const struct policy *policy)
{
    return row->first_sent_ms + policy->key_lifetime_ms / 6 * 5;
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

    if (now_ms >= until_ms || policy->doubt == DOUBT_SETTLE) {
        act = DOUBT_ACT_SETTLE;
        at_ms = answered_ms;
    } else if (!ours || policy->doubt == DOUBT_WAIT) {
        act = DOUBT_ACT_WAIT;
    } else if (row->sends > REPLAYS_MAX) {
        act = DOUBT_ACT_SETTLE;
        at_ms = answered_ms;
    } else {
        act = DOUBT_ACT_REPLAY;
        at_ms = now_ms;
    }
    if (act == DOUBT_ACT_WAIT || now_ms < at_ms) {
        *due_ms = longer(at_ms, now_ms + 1);
        return DOUBT_ACT_WAIT;
    }
    return act;
}

/* ---- how payment stands ----------------------------------------------------------- */

enum billing { BILLED_NO, BILLED_YES, BILLED_BY_COST, BILLED_OPEN };

static enum billing billing_of(const struct task_row *row,
                               enum failure_kind kind)
{
    const bool may_be_accepted = row->provider_task_id[0] || row->doubt;
    switch (kind) {
    case FAILURE_INVALID_REQUEST:
    case FAILURE_SUBMIT_REFUSED:
        return BILLED_NO;
    case FAILURE_ASSET_EXPIRED:
    case FAILURE_ASSET_UNUSABLE:
        return BILLED_YES;
    case FAILURE_TIMED_OUT:
        return may_be_accepted ? BILLED_OPEN : BILLED_NO;
    case FAILURE_MODERATION:
    case FAILURE_PROVIDER_FAILED:
    case FAILURE_CANCELLED:
        return may_be_accepted ? BILLED_BY_COST : BILLED_NO;
    case FAILURE_SUBMIT_UNKNOWN:
    case FAILURE_TASK_LOST:
        return BILLED_OPEN;
    case FAILURE_NONE: /* completed: paid, unless its cost says otherwise */
        return row->has_cost ? BILLED_BY_COST : BILLED_YES;
    case FAILURE_KINDS_LEN:
        break;
    }
    assert(!"no such kind");
    return BILLED_OPEN;
}

const char *task_billed(const struct task_row *row, enum failure_kind kind)
{
    switch (billing_of(row, kind)) {
    case BILLED_NO:
        return "no";
    case BILLED_YES:
        return "yes";
    case BILLED_OPEN:
        return "unknown";
    case BILLED_BY_COST:
        break;
    }
    if (!row->has_cost) {
        return "unknown";
    }
    return row->cost > 0 ? "yes" : "no";
}

bool task_retry_safe(const struct task_row *row, enum failure_kind kind)
{
    switch (kind) {
    case FAILURE_INVALID_REQUEST:
    case FAILURE_SUBMIT_REFUSED:
        return true;
    case FAILURE_PROVIDER_FAILED:
    case FAILURE_CANCELLED:
    case FAILURE_TIMED_OUT:
        return strcmp(task_billed(row, kind), "no") == 0;
    case FAILURE_NONE:
    case FAILURE_MODERATION:
    case FAILURE_SUBMIT_UNKNOWN:
    case FAILURE_TASK_LOST:
    case FAILURE_ASSET_EXPIRED:
    case FAILURE_ASSET_UNUSABLE:
    case FAILURE_KINDS_LEN:
        break;
    }
    return false;
}

/* ---- names -------------------------------------------------------------------------- */

static const char *const outcome_names[] = {
#define X(name) #name,
    OUTCOMES(X)
#undef X
};

static const char *const hold_names[] = {
    [HOLD_NONE] = "",           [HOLD_AUTH] = "auth",
    [HOLD_BALANCE] = "balance", [HOLD_CHANNEL] = "channel",
    [HOLD_STORAGE] = "storage", [HOLD_ACCOUNT] = "account",
    [HOLD_OPERATOR] = "operator", [HOLD_THROTTLE] = "throttle",
};

const char *outcome_kind_name(enum outcome_kind kind)
{
    return outcome_names[kind];
}

const char *hold_reason_name(enum hold_reason reason)
{
    return hold_names[reason];
}

bool hold_reason_parse(struct str name, enum hold_reason *reason)
{
    for (int i = 1; i < HOLD_REASONS_LEN; i++) {
        if (str_eq(name, str_of(hold_names[i]))) {
            *reason = (enum hold_reason)i;
            return true;
        }
    }
    return false;
}

const char *task_owes(enum task_state state)
{
    static const char *const owes[] = {
#define X(name, text, effect) effect,
        TASK_STATES(X)
#undef X
    };
    return owes[state];
}
