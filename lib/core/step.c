#include "core/step.h"

#include "core/late.h"
#include "core/move.h"
#include "core/ready.h"
#include "core/retry.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Each cell of the table is one rule: a small function that turns the copy of
 * the task in `step->next` into the next task. Rules read like the sentences
 * of DESIGN that they come from.
 */

#define SPREAD_MS (2 * SECOND_MS) /* first polls of orphans */
#define LOST_DENIALS 5
#define LOST_AFTER_MS (10 * MINUTE_MS)
#define LOST_FROM_MS (2 * MINUTE_MS) /* after acceptance; before it is lag */
#define ANSWER_MS (10 * MINUTE_MS)   /* what was taken over waits for one */
#define APART_MS (4 * SECOND_MS)     /* replays of what was taken over again */

/* ---- any state ---- */

static void stay_now(struct move *m)
{
    move_wait_for(m, 0);
}

static void ignore(struct move *m)
{
    move_wait_for(m, m->policy->poll_interval_ms);
}

static void stay_spread(struct move *m)
{
    move_wait_for(m, m->policy->jitter % SPREAD_MS);
}

/* ---- QUEUED ---- */

/** sql/query/claim.sql says the same to the database, and gives the owner. */
static void claim(struct move *m)
{
    move_enter(m, SUBMITTING);
    snprintf(m->row->account, sizeof m->row->account, "%s", m->policy->account);
    m->row->sends += 1;
    /* In doubt already: sent before the database was set back, perhaps. The
     * key's life counts from when that can have been. */
    if (!m->row->doubt || m->row->first_sent_ms > m->now_ms) {
        m->row->first_sent_ms = m->now_ms;
    }
    m->row->last_sent_ms = m->now_ms;
}

static void cancel(struct move *m)
{
    move_fail(m, FAILURE_CANCELLED, STR("cancelled by the operator"));
}

static void queue_time_up(struct move *m)
{
    if (m->memo->cancel) {
        cancel(m);
        return;
    }
    if (m->row->kind == FAILURE_SOURCE_FAILED) {
        move_source_failed(m);
        return;
    }
    if (!m->row->deadline_ms || m->now_ms < m->row->deadline_ms) {
        move_enter(m, QUEUED); /* taken by mistake: back to the others */
        m->row->owner = 0;
        return;
    }
    move_fail(m, FAILURE_TIMED_OUT,
              STR("the deadline passed before it could be submitted"));
}

/* ---- SUBMITTING ---- */

/** Back among the waiting: nothing that was sent can have been accepted. */
static void requeue(struct move *m, int64_t not_before_ms)
{
    assert(m->row->state == SUBMITTING && !m->row->doubt);
    if (m->memo->cancel) {
        cancel(m);
        return;
    }
    move_enter(m, QUEUED);
    m->row->owner = 0;
    m->row->not_before_ms = not_before_ms;
    m->row->tries += 1;
}

/** A send that is known to have come to nothing gives its count back. */
static void give_back(struct move *m)
{
    m->row->sends = m->row->sends > 0 ? m->row->sends - 1 : 0;
}

/** Replayed no sooner than that; the row is read again meanwhile. */
static void wait_in_doubt(struct move *m, int64_t replay_ms)
{
    int64_t due_ms = m->now_ms;
    assert(m->row->state == SUBMITTING);
    m->memo->replay_ms = replay_ms;
    m->memo->reread_ms = m->now_ms + DOUBT_REREAD_MS;
    if (strcmp(m->row->account, m->policy->account) != 0) {
        m->step->hold = HOLD_ACCOUNT;
    }
    (void)task_doubt_act(&m->step->next, m->policy, m->now_ms, &due_ms);
    move_wait_until(m, sooner(due_ms, m->memo->reread_ms));
}

/** What runs has one: the request's own, or the worker's. */
static void give_deadline(struct move *m)
{
    if (!m->row->deadline_ms) {
        m->row->deadline_ms = m->now_ms + m->policy->deadline_ms;
        m->step->save = true;
    }
}

/** Its id is in the row. */
static void run(struct move *m)
{
    assert(m->row->provider_task_id[0]);
    move_enter(m, RUNNING);
    m->row->submitted_ms = m->now_ms;
    m->row->doubt = false;
    m->memo->strange_until_ms = 0; /* nobody can have polled it */
    give_deadline(m);
    move_wait_within_deadline(m, move_poll_due_ms(m));
}

/** One whose sending kills its worker must not spend the replays of those that
 * are sent beside it: from the second takeover on each has a time of its own.
 * It stays short: who kills often would else leave no time for the others. */
static int64_t apart_ms(const struct move *m)
{
    return m->row->takeovers > 1 ? m->policy->jitter % APART_MS : 0;
}

static void submit_taken_over(struct move *m)
{
    if (m->row->provider_task_id[0]) {
        run(m); /* somebody learnt it before we took over */
        return;
    }
    m->row->doubt = true;
    m->memo->strange_until_ms = m->now_ms + STRANGE_MS;
    wait_in_doubt(m, m->now_ms + apart_ms(m));
}

static void accept(struct move *m)
{
    assert(m->row->state == SUBMITTING);
    size_t len = m->outcome->provider_task_id.len;
    assert(len > 0 && len < sizeof m->row->provider_task_id);
    memcpy(m->row->provider_task_id, m->outcome->provider_task_id.at, len);
    m->row->provider_task_id[len] = '\0';
    run(m);
}

/** Its doubt is resolved first: a send may be on its way. No other begins, and
 * what is known of it when nobody can answer any more decides how it ends. */
static void submit_cancelled(struct move *m)
{
    m->memo->cancel = true;
    m->row->doubt = true;
    wait_in_doubt(m, m->memo->replay_ms);
}

static void not_sent(struct move *m)
{
    give_back(m);
    int64_t wait_ms = move_backoff_ms(m, m->row->tries + 1);
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
    move_wait_for(m, 0);
}

/**
 * A hold lets everything begin again when it is lifted. But where something
 * before the provider refused, it may be for this request's own words (a
 * firewall reads them): it steps back behind the others, beyond the next lift
 * of the hold and further each time. And where a hold for want of money was
 * lifted and this one is refused again, what is left may do for others: they
 * come first, for a minute.
 */
static int64_t put_off_until_ms(const struct move *m, int64_t wait_ms)
{
    assert(!m->row->doubt && wait_ms >= 0);
    if (m->outcome->hold == HOLD_CHANNEL) {
        wait_ms = retry_wait_ms(m->row->tries + 1, MINUTE_MS, HOUR_MS,
                                m->policy->jitter);
    } else if (m->outcome->hold == HOLD_BALANCE && m->row->tries > 0) {
        wait_ms = MINUTE_MS;
    } else if (m->outcome->hold != HOLD_THROTTLE) {
        return 0;
    }
    return m->now_ms + wait_ms;
}

static void put_off(struct move *m)
{
    int64_t wait_ms = m->outcome->retry_after_ms;
    if (!wait_ms) {
        wait_ms = move_backoff_ms(m, m->row->tries + 1);
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
        requeue(m, put_off_until_ms(m, wait_ms));
        return;
    }
    m->row->tries += 1;
    m->step->save = true;
    wait_in_doubt(m, m->now_ms + wait_ms);
}

static void refused(struct move *m)
{
    assert(m->outcome->failure != FAILURE_NONE);
    if (!m->row->doubt) {
        move_fail(m, m->outcome->failure, m->outcome->message);
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
    wait_in_doubt(m, m->now_ms + move_backoff_ms(m, m->row->sends));
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
    if (task_doubt_act(&m->step->next, m->policy, m->now_ms, &due_ms) !=
        DOUBT_ACT_SETTLE) {
        wait_in_doubt(m, m->memo->replay_ms);
        return;
    }
    if (m->memo->cancel) {
        move_fail(m, FAILURE_CANCELLED,
                  STR("cancelled by the operator; no answer to the submission "
                      "names its task: it may have been accepted and billed"));
        return;
    }
    move_fail(m, FAILURE_SUBMIT_UNKNOWN,
              STR("no answer to the submission names its task: it may have "
                  "been accepted and billed"));
}

/* ---- RUNNING ---- */

static void running_taken_over(struct move *m)
{
    m->memo->strange_until_ms = m->now_ms + ANSWER_MS;
    give_deadline(m);
    stay_spread(m);
}

static void running_time_up(struct move *m)
{
    give_deadline(m);
    if (!move_time_is_up(m)) {
        move_wait_within_deadline(m, move_poll_due_ms(m));
        return;
    }
    m->row->billed_open = !m->row->late;
    move_fail(m, FAILURE_TIMED_OUT,
              STR("the deadline passed before it finished"));
}

/** The order is kept until a poll has told whether there is a video. */
static void running_cancelled(struct move *m)
{
    if (!move_is_strange(m)) {
        cancel(m);
        return;
    }
    m->memo->cancel = true;
    stay_now(m);
}

static void still_running(struct move *m)
{
    m->memo->answered = true;
    m->memo->misses = 0;
    m->memo->denials = 0;
    if (m->memo->cancel) {
        cancel(m);
        return;
    }
    move_wait_within_deadline(m, move_poll_due_ms(m));
}

/** A fresh poll says it again: where the transfer begins at once, its end is
 * what is saved. */
static void finished(struct move *m)
{
    const bool running = m->row->state == RUNNING;
    move_take_cost(m);
    m->row->generated_ms =
        m->outcome->generated_ms ? m->outcome->generated_ms : m->now_ms;
    m->result = m->outcome->result;
    move_enter(m, READY);
    m->memo->wants_refresh = !m->result.at;
    if (m->memo->wants_refresh) {
        move_wait_until(m, move_poll_due_ms(m));
        return;
    }
    m->memo->unsaved = running && m->policy->transfer_free;
    m->step->save = !m->memo->unsaved;
}

/** Nothing was made, nothing is to be paid, no other send can have brought
 * anything, and it is worth another attempt. */
static bool is_worth_another(const struct move *m)
{
    return m->outcome->overload && m->outcome->has_cost &&
           m->outcome->cost == 0 && m->outcome->credits_cost == 0 &&
           m->row->attempt < m->policy->attempts_max && m->row->sends == 1 &&
           !m->row->doubt && !m->row->late && !m->memo->cancel &&
           !move_time_is_up(m);
}

/** Its id stays until it is written: again.sql keeps what it was. */
static void begin_again(struct move *m)
{
    move_enter(m, QUEUED);
    m->row->attempt += 1;
    m->row->owner = 0;
    m->row->settled_ms = m->now_ms;
    m->row->tries = 0;
    m->row->not_before_ms =
        m->now_ms + retry_wait_ms(m->row->attempt, 20 * SECOND_MS, HOUR_MS / 4,
                                  m->policy->jitter);
}

static void upstream_failed(struct move *m)
{
    assert(m->outcome->failure != FAILURE_NONE);
    move_take_cost(m);
    if (is_worth_another(m)) {
        begin_again(m);
        return;
    }
    move_fail(m, m->outcome->failure, m->outcome->message);
}

static void denied(struct move *m)
{
    if (move_denied_to_stranger(m)) {
        move_wait_within_deadline(m, m->now_ms + MINUTE_MS);
        return;
    }
    m->memo->answered = true;
    if (m->now_ms - m->row->submitted_ms >= LOST_FROM_MS) {
        if (m->memo->denials == 0) {
            m->memo->denied_since_ms = m->now_ms;
        }
        m->memo->denials += 1;
    }
    if (m->memo->denials >= LOST_DENIALS &&
        m->now_ms - m->memo->denied_since_ms >= LOST_AFTER_MS) {
        m->row->billed_open = !m->row->late;
        move_fail(m, FAILURE_TASK_LOST,
                  STR("the provider no longer knows the task"));
        return;
    }
    move_wait_within_deadline(m, move_poll_due_ms(m));
}

static int64_t missed_wait_ms(struct move *m)
{
    m->memo->misses += 1;
    m->step->hold = m->outcome->hold;
    int64_t wait_ms =
        retry_wait_ms(m->memo->misses, m->policy->poll_interval_ms, MINUTE_MS,
                      m->policy->jitter);
    return longer(wait_ms, m->outcome->retry_after_ms);
}

static void missed(struct move *m)
{
    move_wait_within_deadline(m, m->now_ms + missed_wait_ms(m));
}

/* ---- the table ---- */

/** A cell that can't happen: what would ask for it is a bug. */
static void never(struct move *m)
{
    (void)m;
    assert(!"an outcome that cannot happen in this state");
}

/** What rules tell apart. SUCCEEDED and FAILED are one: settled, to be told
 * next. CLOSED has no column, for it takes nothing. */
enum column {
    IN_QUEUED,
    IN_SUBMITTING,
    IN_RUNNING,
    IN_READY,
    IN_LATE,
    TOLD_NEXT,
    COLUMNS_LEN
};

/* clang-format off */
#define _ never
#define RULES(R) \
    /* outcome          QUEUED          SUBMITTING          RUNNING              READY                LATE          told next */ \
    R(CLAIMED,          claim,          _,                  _,                   _,                   _,            _)           \
                                                                                                                                 \
    R(TAKEN_OVER,       stay_now,       submit_taken_over,  running_taken_over,  stay_now,            stay_spread,  stay_now)    \
    R(TIME_UP,          queue_time_up,  doubt_time_up,      running_time_up,     ready_time_up,       late_time_up, stay_now)    \
    R(CANCEL_ORDERED,   cancel,         submit_cancelled,   running_cancelled,   stay_now,            move_close,   ignore)      \
                                                                                                                                 \
    R(ACCEPTED,         _,              accept,             stay_now,            stay_now,            stay_now,     stay_now)    \
    R(NOT_SENT,         _,              not_sent,           _,                   _,                   _,            _)           \
    R(REPLAY_INTENT,    _,              intend_replay,      _,                   _,                   _,            _)           \
    R(PUT_OFF,          _,              put_off,            _,                   _,                   _,            _)           \
    R(REFUSED,          _,              refused,            _,                   _,                   _,            _)           \
    R(UNANSWERED,       _,              unanswered,         _,                   _,                   _,            _)           \
    R(INDETERMINATE,    _,              indeterminate,      _,                   _,                   _,            _)           \
                                                                                                                                 \
    R(STILL_RUNNING,    _,              _,                  still_running,       ready_no_better_url, late_again,   _)           \
    R(FINISHED,         _,              _,                  finished,            ready_refreshed,     finished,     _)           \
    R(UPSTREAM_FAILED,  _,              _,                  upstream_failed,     ready_no_better_url, late_failed,  _)           \
    R(DENIED,           _,              _,                  denied,              ready_denied,        late_again,   _)           \
    R(MISSED,           _,              _,                  missed,              ready_missed,        late_again,   _)           \
                                                                                                                                 \
    R(TAKES_LONG,       _,              _,                  _,                   stay_now,            _,            _)           \
    R(STORED,           _,              _,                  _,                   ready_stored,        _,            _)           \
    R(FETCH_FAILED,     _,              _,                  _,                   ready_fetch_failed,  _,            _)           \
    R(FETCH_REFUSED,    _,              _,                  _,                   ready_fetch_refused, _,            _)           \
    R(UNUSABLE,         _,              _,                  _,                   ready_unusable,      _,            _)           \
    R(OVERSIZE,         _,              _,                  _,                   ready_oversize,      _,            _)           \
    R(STORE_FAILED,     _,              _,                  _,                   ready_store_failed,  _,            _)           \
                                                                                                                                 \
    R(ANNOUNCED,        _,              _,                  _,                   _,                   _,            late_told)   \
    R(UNANNOUNCED,      _,              _,                  _,                   _,                   _,            late_untold)

static rule_fn *const table[OUTCOMES_LEN][COLUMNS_LEN] = {
#define R(outcome, queued, submitting, running, ready, late, told_next) \
    [OUTCOME_##outcome] = {queued, submitting, running, ready, late, told_next},
    RULES(R)
#undef R
};

/* A column too few or too many is an error of the macro, a row too many one of
 * -Woverride-init: a row too few is one of this. */
#define R(outcome, queued, submitting, running, ready, late, told_next) +1
static_assert(RULES(R) == OUTCOMES_LEN, "each outcome has its row");
#undef R
#undef _
/* clang-format on */

static rule_fn *rule_of(enum task_state state, enum outcome_kind kind)
{
    static const enum column columns[] = {
        [QUEUED] = IN_QUEUED,    [SUBMITTING] = IN_SUBMITTING,
        [RUNNING] = IN_RUNNING,  [READY] = IN_READY,
        [SUCCEEDED] = TOLD_NEXT, [FAILED] = TOLD_NEXT,
        [LATE] = IN_LATE,
    };
    static_assert(sizeof columns / sizeof *columns == CLOSED &&
                      CLOSED + 1 == TASK_STATES_LEN,
                  "all states but CLOSED, which is the last");
    assert(state >= 0 && state < TASK_STATES_LEN);
    assert(kind >= 0 && kind < OUTCOMES_LEN);
    return state == CLOSED ? never : table[kind][columns[state]];
}

/** The rule alone: texts that the task owns are looked at, never changed. */
static struct str apply_rule(struct step *step, const struct task *task,
                             const struct outcome *outcome,
                             const struct policy *policy, int64_t now_ms)
{
    assert(task && outcome && policy && policy->account && now_ms >= 0);
    *step = (struct step){.next = *task, .due_ms = now_ms};
    struct move move = {
        .step = step,
        .row = &step->next.row,
        .memo = &step->next.memo,
        .outcome = outcome,
        .policy = policy,
        .now_ms = now_ms,
    };
    rule_of(task->row.state, outcome->kind)(&move);
    /* What was READY in memory alone is saved with whatever comes next. */
    step->save = step->save || task->memo.unsaved;
    move_check(&move, task);
    return move.result;
}

bool task_step_settles(const struct task *task, const struct outcome *outcome,
                       const struct policy *policy, int64_t now_ms,
                       enum task_state *next)
{
    struct step step;
    (void)apply_rule(&step, task, outcome, policy, now_ms);
    *next = step.next.row.state;
    return step.settles;
}

/** Without memory READY has no result, and asks for it again. */
static void take_result(struct step *step, struct str result)
{
    assert(result.at && step->next.row.state == READY);
    struct task *task = &step->next;
    free(task->row.result);
    task->row.result = malloc(result.len + 1);
    if (!task->row.result) {
        task->memo.wants_refresh = true;
        step->save = true; /* nothing of it begins at once */
        return;
    }
    memcpy(task->row.result, result.at, result.len);
    task->row.result[result.len] = '\0';
}

struct step task_step(const struct task *task, const struct outcome *outcome,
                      const struct policy *policy, int64_t now_ms)
{
    struct step step;
    struct str result = apply_rule(&step, task, outcome, policy, now_ms);
    if (result.at) {
        take_result(&step, result);
    }
    if (step.save) {
        step.next.row.version += 1;
        step.next.memo.unsaved = false;
    }
    return step;
}

bool step_is_possible(enum task_state state, enum outcome_kind kind)
{
    return rule_of(state, kind) != never;
}
