#include "flow/owe.h"

#include "core/doubt.h"

#include <assert.h>

#define FAIL_RANK_MS INT64_C(3600000)
#define FAILS_COUNTED_MAX 4
#define ELSEWHERE_MS 60000 /* a task that only another worker can ask for */
#define DRAINING_MS 1000   /* a draining worker asks for nothing any more */

static struct owed effect(enum task_owes what)
{
    return (struct owed){.act = OWED_BEGIN, .effect = what};
}

static struct owed act(enum owed_act act, int64_t due_ms)
{
    return (struct owed){.act = act, .due_ms = due_ms};
}

static bool is_of_ours(const struct stage *stage, const struct task_row *row)
{
    return account_of(stage->accounts, row->account) != NULL;
}

static struct owed poll_due(const struct stage *stage, const struct job *job)
{
    const struct task_row *row = &job_task(job)->row;
    assert(row->state == RUNNING || row->state == LATE);
    int64_t now_ms = clock_now_ms(stage->clock);
    if (task_time_is_up(job_task(job), stage->options->late_ms, now_ms)) {
        return act(OWED_TIME_UP, now_ms);
    }
    if (stage->gate->draining) {
        return act(OWED_WAIT, now_ms + stage->options->poll_interval_ms);
    }
    if (!is_of_ours(stage, row)) {
        return act(OWED_ELSEWHERE, now_ms + ELSEWHERE_MS);
    }
    return effect(OWES_POLL);
}

/**
 * Nearest expiry first, but each failure in a row counts for an hour, up to
 * some: a host that holds a slot for nothing is asked again within seconds, and
 * would keep it from every video that expires after its own.
 */
static int64_t transfer_rank(const struct task *task)
{
    int32_t fails = task->memo.misses;
    assert(fails >= 0);
    fails = fails < FAILS_COUNTED_MAX ? fails : FAILS_COUNTED_MAX;
    return task_expires_ms(&task->row) + fails * FAIL_RANK_MS;
}

static struct owed transfer_due(const struct stage *stage,
                                const struct job *job)
{
    const struct task_row *row = &job_task(job)->row;
    assert(row->state == READY);
    int64_t now_ms = clock_now_ms(stage->clock);
    if (row->result && !job_task(job)->memo.wants_refresh) {
        return (struct owed){.act = OWED_TRANSFER_SLOT,
                             .rank_ms = transfer_rank(job_task(job))};
    }
    if (stage->gate->draining) {
        return act(OWED_WAIT, now_ms + DRAINING_MS);
    }
    if (is_of_ours(stage, row)) {
        return effect(OWES_POLL); /* for a fresh URL */
    }
    /* As long as anybody would look for a late video, a worker with its account
     * may come; then nobody came. */
    bool may_come = now_ms < task_late_until_ms(row, stage->options->late_ms);
    return may_come ? act(OWED_ELSEWHERE, now_ms + ELSEWHERE_MS)
                    : act(OWED_NO_NEWS, now_ms);
}

static struct owed doubt_due(struct stage *stage, const struct job *job)
{
    const struct policy policy = stage_policy(stage, &job_task(job)->row);
    int64_t now_ms = clock_now_ms(stage->clock);
    int64_t look_ms = job_task(job)->memo.reread_ms;
    int64_t due_ms = now_ms;
    assert(job_task(job)->row.state == SUBMITTING);
    enum doubt_act next =
        task_doubt_act(job_task(job), &policy, now_ms, &due_ms);
    if (next == DOUBT_ACT_SETTLE) {
        /* The save finds an id that somebody wrote meanwhile: it then matches
         * nothing and the row is read again. */
        return act(OWED_TIME_UP, now_ms);
    }
    if (next == DOUBT_ACT_REREAD || look_ms <= now_ms) {
        return act(OWED_ROW, now_ms);
    }
    if (next == DOUBT_ACT_REPLAY) {
        /* In line it waits like any other doubt: its row is read again, and it
         * settles in time, however long submissions are stopped. */
        int64_t until_ms = replay_until_ms(&job_task(job)->row, &policy);
        return act(OWED_REPLAY_SLOT, until_ms < look_ms ? until_ms : look_ms);
    }
    return act(OWED_WAIT, due_ms < look_ms ? due_ms : look_ms);
}

static struct owed submit_due(struct stage *stage, const struct job *job)
{
    assert(job_task(job)->row.state == SUBMITTING);
    if (!job->send_next) {
        return doubt_due(stage, job);
    }
    if (!job->effect || !job->effect->facts) {
        return act(OWED_FACTS, 0);
    }
    return effect(OWES_SUBMIT);
}

struct owed owe_now(struct stage *stage, const struct job *job)
{
    assert(job->due.place == 0 && list_is_empty(&job->link));
    enum task_owes what = task_owes(job_task(job)->row.state);
    switch (what) {
    case OWES_CLAIM: /* ours without one: it expired, or was cancelled */
        return act(OWED_TIME_UP, 0);
    case OWES_SUBMIT:
        return submit_due(stage, job);
    case OWES_POLL:
        return poll_due(stage, job);
    case OWES_TRANSFER:
        return transfer_due(stage, job);
    case OWES_ANNOUNCE:
        return effect(OWES_ANNOUNCE);
    case OWES_NOTHING:
        break;
    }
    assert(!"nothing is owed in this state");
    return act(OWED_WAIT, 0);
}

bool owe_is_replay(struct stage *stage, const struct job *job)
{
    const struct policy policy = stage_policy(stage, &job_task(job)->row);
    int64_t due_ms = 0;
    assert(job_task(job)->row.state == SUBMITTING && !job->send_next);
    return task_doubt_act(job_task(job), &policy, clock_now_ms(stage->clock),
                          &due_ms) == DOUBT_ACT_REPLAY;
}
