#include "flow/owe.h"

#include "base/crashpoint.h"
#include "core/doubt.h"
#include "flow/stage.h"
#include "flow/turn.h"

#include <assert.h>

#define FAIL_RANK_MS INT64_C(3600000)
#define FAILS_COUNTED_MAX 4
#define ELSEWHERE_MS 60000 /* a task that only another worker can ask for */

/* ---- what is due ---------------------------------------------------------------- */

static void time_up(struct engine *engine, struct job *job)
{
    const struct outcome outcome = {.kind = OUTCOME_TIME_UP};
    engine_outcome(engine, job, &outcome);
}

void owe_act(struct engine *engine, struct job *job,
             void (*begin)(struct engine *engine, struct job *job))
{
    job_enter(job, JOB_ACTING);
    job->began_ms = clock_boot_ms(&engine->clock);
    begin(engine, job);
}

static bool is_of_our_url(const struct engine *engine,
                          const struct task_row *row)
{
    return apimart_same_url(row->account, engine->options.apimart.account);
}

/** Submitted elsewhere: a worker with that URL has to ask. */
static void wait_for_its_url(struct engine *engine, struct job *job)
{
    job->hold = HOLD_ACCOUNT;
    due_from(&engine->due, job, engine_now_ms(engine) + ELSEWHERE_MS);
}

static void poll_due(struct engine *engine, struct job *job)
{
    const struct task_row *row = &job->task.row;
    int64_t now_ms = engine_now_ms(engine);
    if (task_time_is_up(row, engine->options.late_ms, now_ms)) {
        time_up(engine, job);
    } else if (engine->gate.draining) {
        due_from(&engine->due, job, now_ms + engine->options.poll_interval_ms);
    } else if (!is_of_our_url(engine, row)) {
        wait_for_its_url(engine, job);
    } else {
        owe_act(engine, job, poll_begin);
    }
}

/**
 * Nearest expiry first, but each failure in a row counts for an hour, up to
 * some: a host that holds a slot for nothing is asked again within seconds, and
 * would keep it from every video that expires after its own.
 */
static int64_t transfer_rank(const struct task *task)
{
    int32_t fails = task->memo.misses;
    fails = fails < FAILS_COUNTED_MAX ? fails : FAILS_COUNTED_MAX;
    return task_expires_ms(&task->row) + fails * FAIL_RANK_MS;
}

static void line_up_transfer(struct engine *engine, struct job *job)
{
    due_line_up(&engine->due, job, transfer_rank(&job->task));
    gate_look(&engine->gate);
}

static void ready_due(struct engine *engine, struct job *job)
{
    const struct task_row *row = &job->task.row;
    int64_t now_ms = engine_now_ms(engine);
    if (row->result && !job->task.memo.wants_refresh) {
        line_up_transfer(engine, job);
    } else if (engine->gate.draining) {
        due_from(&engine->due, job, now_ms + 1000);
    } else if (!is_of_our_url(engine, row) &&
               now_ms <
                   task_late_until_ms(row, engine->options.late_ms)) {
        wait_for_its_url(engine, job);
    } else if (!is_of_our_url(engine, row)) {
        /* As long as anybody would look for a late video: nobody came. */
        const struct outcome outcome = {.kind = OUTCOME_STILL_RUNNING};
        engine_outcome(engine, job, &outcome);
    } else {
        owe_act(engine, job, poll_begin);
    }
}

static void reread(struct engine *engine, struct job *job)
{
    job_enter(job, JOB_REREADING);
    list_add_tail(&engine->rereaders, &job->link);
    turn_soon(engine);
}

/** For a slot. Meanwhile it waits like any other doubt: its row is read again,
 * and it settles in time, however long submissions are stopped. */
static void line_up_replay(struct engine *engine, struct job *job,
                           const struct policy *policy)
{
    int64_t until_ms = replay_until_ms(&job->task.row, policy);
    int64_t look_ms = job->task.memo.reread_ms;
    due_from(&engine->due, job, until_ms < look_ms ? until_ms : look_ms);
    due_line_up_replay(&engine->due, job);
    gate_look(&engine->gate);
}

static void doubt_due(struct engine *engine, struct job *job)
{
    struct policy policy = engine_policy(engine);
    int64_t now_ms = engine_now_ms(engine);
    int64_t due_ms = now_ms;
    enum doubt_act next = task_doubt_act(&job->task, &policy, now_ms, &due_ms);
    if (next == DOUBT_ACT_SETTLE) {
        /* The save finds an id that somebody wrote meanwhile: it then matches
         * nothing and the row is read again. */
        time_up(engine, job);
    } else if (next == DOUBT_ACT_REREAD ||
               job->task.memo.reread_ms <= now_ms) {
        job->task.memo.reread_ms = now_ms + DOUBT_REREAD_MS;
        reread(engine, job);
    } else if (next == DOUBT_ACT_REPLAY) {
        line_up_replay(engine, job, &policy);
    } else {
        int64_t look_ms = job->task.memo.reread_ms;
        due_from(&engine->due, job, due_ms < look_ms ? due_ms : look_ms);
    }
}

static void submit_due(struct engine *engine, struct job *job)
{
    if (!job->send_next) {
        doubt_due(engine, job);
        return;
    }
    if (!job->effect || !job->effect->facts) {
        engine_read_facts(engine, job);
        return;
    }
    job->send_next = false;
    owe_act(engine, job, submit_begin);
}

void owe_now(struct engine *engine, struct job *job)
{
    switch (task_owes(job->task.row.state)) {
    case OWES_CLAIM: /* ours without one: it expired, or was cancelled */
        time_up(engine, job);
        return;
    case OWES_SUBMIT:
        submit_due(engine, job);
        return;
    case OWES_POLL:
        poll_due(engine, job);
        return;
    case OWES_TRANSFER:
        ready_due(engine, job);
        return;
    case OWES_ANNOUNCE:
        owe_act(engine, job, announce_begin);
        return;
    case OWES_NOTHING:
        break;
    }
    assert(!"nothing is owed in this state");
}

void owe_timer(void *context)
{
    struct engine *engine = context;
    int64_t boot_ms = clock_boot_ms(&engine->clock);
    struct job *job;
    while ((job = due_pop(&engine->due, boot_ms))) {
        owe_now(engine, job);
    }
}

/* ---- slots ---------------------------------------------------------------------- */

/** The head of the line has a slot, if it still wants one: time has passed. */
static void start_replay(struct engine *engine)
{
    const struct outcome outcome = {.kind = OUTCOME_REPLAY_INTENT};
    struct job *job = due_pop_replay(&engine->due);
    struct policy policy = engine_policy(engine);
    int64_t due_ms = 0;
    if (task_doubt_act(&job->task, &policy, engine_now_ms(engine), &due_ms) !=
        DOUBT_ACT_REPLAY) {
        owe_now(engine, job);
        return;
    }
    CRASHPOINT("replay_before_intent");
    gate_lend(&engine->gate, job, SLOT_SUBMIT);
    job->send_next = true;
    engine_outcome(engine, job, &outcome);
}

void owe_fill_slots(void *context)
{
    struct engine *engine = context;
    struct gate *gate = &engine->gate;
    while (due_has_transfer(&engine->due) && gate_transfers_room(gate) > 0 &&
           !gate->draining) {
        struct job *job = due_pop_transfer(&engine->due);
        gate_lend(gate, job, SLOT_TRANSFER);
        owe_act(engine, job, transfer_begin);
    }
    while (due_has_replay(&engine->due) && gate_may_submit(gate) &&
           gate_submits_room(gate) > 0) {
        start_replay(engine);
    }
    turn_soon(engine);
}
