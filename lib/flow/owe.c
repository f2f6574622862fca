#include "flow/owe.h"

#include "base/crashpoint.h"
#include "core/doubt.h"
#include "flow/stage.h"
#include "flow/turn.h"

#include <assert.h>

#define FAIL_RANK_MS INT64_C(3600000)
#define FAILS_COUNTED_MAX 4
#define ELSEWHERE_MS 60000 /* a task that only another worker can ask for */

static void set_timer(struct engine *engine)
{
    const struct heap_entry *first = heap_first(&engine->due);
    if (first) {
        int64_t wait_ms = first->due_ms - loop_boot_ms(engine->edges.loop);
        loop_timer_set(engine->timer, wait_ms > 0 ? wait_ms : 0);
    }
}

/** In JOB_WAITING until due_ms of PostgreSQL's clock. */
void owe_from(struct engine *engine, struct job *job, int64_t due_ms)
{
    int64_t boot_ms = due_ms - engine->clock_offset_ms;
    job->phase = JOB_WAITING;
    const struct heap_entry *first = heap_first(&engine->due);
    bool sooner = !first || boot_ms < first->due_ms;
    heap_put(&engine->due, &job->due, boot_ms);
    if (sooner) {
        set_timer(engine);
    }
}

/* ---- what is due ---------------------------------------------------------------- */

static void time_up(struct engine *engine, struct job *job)
{
    const struct outcome outcome = {.kind = OUTCOME_TIME_UP};
    engine_outcome(engine, job, &outcome);
}

void owe_act(struct engine *engine, struct job *job,
             void (*begin)(struct engine *engine, struct job *job))
{
    job->phase = JOB_ACTING;
    job->began_ms = loop_boot_ms(engine->edges.loop);
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
    owe_from(engine, job, engine_now_ms(engine) + ELSEWHERE_MS);
}

static void poll_due(struct engine *engine, struct job *job)
{
    const struct task_row *row = &job->task.row;
    int64_t now_ms = engine_now_ms(engine);
    if (task_time_is_up(row, engine->options.late_ms, now_ms)) {
        time_up(engine, job);
    } else if (engine->draining) {
        owe_from(engine, job, now_ms + engine->options.poll_interval_ms);
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
    job->phase = JOB_LINED_UP;
    heap_put(&engine->transfers, &job->due, transfer_rank(&job->task));
    engine_slot_free(engine);
}

static void ready_due(struct engine *engine, struct job *job)
{
    const struct task_row *row = &job->task.row;
    int64_t now_ms = engine_now_ms(engine);
    if (row->result && !job->task.memo.wants_refresh) {
        line_up_transfer(engine, job);
    } else if (engine->draining) {
        owe_from(engine, job, now_ms + 1000);
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
    job->phase = JOB_REREADING;
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
    owe_from(engine, job, until_ms < look_ms ? until_ms : look_ms);
    list_add_tail(&engine->replays, &job->link);
    engine_slot_free(engine);
}

static void doubt_due(struct engine *engine, struct job *job)
{
    struct policy policy = engine_policy(engine);
    int64_t now_ms = engine_now_ms(engine);
    int64_t due_ms = now_ms;
    list_remove(&job->link); /* out of the line, if it stood there */
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
        owe_from(engine, job, due_ms < look_ms ? due_ms : look_ms);
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
    int64_t boot_ms = loop_boot_ms(engine->edges.loop);
    const struct heap_entry *first;
    while ((first = heap_first(&engine->due)) && first->due_ms <= boot_ms) {
        struct job *job = LIST_OWNER(first, struct job, due);
        heap_remove(&engine->due, &job->due);
        owe_now(engine, job);
    }
    set_timer(engine);
}

/* ---- slots ---------------------------------------------------------------------- */

bool engine_may_submit(const struct engine *engine)
{
    return engine->lease_ok && !engine->draining &&
           engine->hold == HOLD_NONE && !engine->storage_untried &&
           lease_may_submit(engine->bump_started_ms, engine->options.lease_ms,
                            loop_boot_ms(engine->edges.loop));
}

/** The head of the line has a slot, if it still wants one: time has passed. */
static void start_replay(struct engine *engine)
{
    const struct outcome outcome = {.kind = OUTCOME_REPLAY_INTENT};
    struct job *job = LIST_OWNER(list_pop(&engine->replays), struct job, link);
    struct policy policy = engine_policy(engine);
    int64_t due_ms = 0;
    heap_remove(&engine->due, &job->due);
    if (task_doubt_act(&job->task, &policy, engine_now_ms(engine), &due_ms) !=
        DOUBT_ACT_REPLAY) {
        owe_now(engine, job);
        return;
    }
    CRASHPOINT("replay_before_intent");
    engine->submits_under_way++;
    job->takes = SLOT_SUBMIT;
    job->send_next = true;
    engine_outcome(engine, job, &outcome);
}

static void fill_slots(void *context)
{
    struct engine *engine = context;
    while (engine->transfers_under_way < engine->options.transfers_max &&
           !engine->draining) {
        struct heap_entry *first = heap_first(&engine->transfers);
        if (!first) {
            break;
        }
        struct job *job = LIST_OWNER(first, struct job, due);
        heap_remove(&engine->transfers, first);
        engine->transfers_under_way++;
        job->takes = SLOT_TRANSFER;
        owe_act(engine, job, transfer_begin);
    }
    int64_t boot_ms = loop_boot_ms(engine->edges.loop);
    while (!list_is_empty(&engine->replays) && engine_may_submit(engine) &&
           pace_room(&engine->pace, engine->submits_under_way, boot_ms) > 0) {
        start_replay(engine);
    }
    turn_soon(engine);
}

void engine_slot_free(struct engine *engine)
{
    loop_defer(engine->edges.loop, fill_slots, engine);
}
