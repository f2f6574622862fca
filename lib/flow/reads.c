#include "flow/reads.h"

#include "flow/line.h"
#include "flow/take.h"

#include <assert.h>

#define READS_MAX 500
#define MEMORY_MS 1000 /* until there may be some */

static void feed(void *context)
{
    struct reads *reads = context;
    while (!list_is_empty(&reads->starved)) {
        list_add_tail(&reads->facts, list_pop(&reads->starved));
    }
    ties_ask_soon(reads->ties);
}

bool reads_init(struct reads *reads, const struct ties *ties)
{
    assert(ties && ties->jobs);
    *reads = (struct reads){.ties = ties};
    list_init(&reads->facts);
    list_init(&reads->starved);
    list_init(&reads->rows);
    reads->timer = loop_timer_new(ties->clock->loop, feed, reads);
    return reads->timer != NULL;
}

void reads_done(struct reads *reads)
{
    loop_timer_free(reads->timer);
}

void reads_add_facts(struct reads *reads, struct job *job)
{
    assert(!job->in_flush);
    job_enter(job, JOB_READING);
    list_add_tail(&reads->facts, &job->link);
}

void reads_add_row(struct reads *reads, struct job *job)
{
    assert(!job->in_flush);
    job_enter(job, JOB_REREADING);
    list_add_tail(&reads->rows, &job->link);
}

bool reads_is_idle(const struct reads *reads)
{
    return list_is_empty(&reads->facts) && list_is_empty(&reads->rows);
}

static bool has_facts(const struct reads *reads, const struct task_row *row)
{
    struct job *job = jobs_find(reads->ties->jobs, row->id);
    assert(job);
    return job_has_facts(job);
}

/** Jobs that wait for their facts, and those that will need them right after
 * this save, because a transfer can begin at once. */
static void gather_facts(struct reads *reads, struct turn *turn,
                         struct arena *arena)
{
    int slots = gate_transfers_room(reads->ties->gate);
    int64_t *ids =
        line_take(&reads->facts, arena, &reads->sent_facts,
                  &reads->sent_facts_len, READS_MAX, turn->saves_len);
    size_t len = reads->sent_facts_len;
    for (size_t i = 0; ids && i < turn->saves_len && slots > 0; i++) {
        const struct task_row *row = turn->saves[i];
        if (row->state == READY && row->result && !has_facts(reads, row)) {
            ids[len++] = row->id;
            slots--;
        }
    }
    turn->facts = ids;
    turn->facts_len = len;
}

void reads_gather(struct reads *reads, struct turn *turn, struct arena *arena)
{
    assert(!turn->facts && !turn->rereads && !turn->mine);
    gather_facts(reads, turn, arena);
    turn->rereads = line_take(&reads->rows, arena, &reads->sent_rows,
                              &reads->sent_rows_len, READS_MAX, 0);
    turn->rereads_len = reads->sent_rows_len;
}

void reads_facts_came(struct reads *reads, const struct turn_result *result)
{
    const struct ties *ties = reads->ties;
    for (size_t i = 0; i < result->facts_len; i++) {
        struct job *job = jobs_find(ties->jobs, result->facts[i].id);
        if (!job) {
            continue;
        }
        take_facts(&result->facts[i], job);
        if (job->phase != JOB_READING) {
            continue;
        }
        /* Claimed anew since this was asked, it may stand in line already. */
        list_remove(&job->link);
        if (job->effect && job->effect->facts) {
            ties->hooks->on_facts(ties->context, job);
        } else {
            list_add_tail(&reads->starved, &job->link);
            loop_timer_set(reads->timer, MEMORY_MS);
        }
    }
    for (size_t i = 0; i < reads->sent_facts_len; i++) {
        struct job *job = jobs_get(ties->jobs, reads->sent_facts[i]);
        if (job && job->phase == JOB_READING && list_is_empty(&job->link) &&
            (!job->effect || !job->effect->facts)) {
            ties_park(ties, job, "a task without its request is left alone");
        }
    }
    reads->sent_facts_len = 0;
}

void reads_rows_came(struct reads *reads, const struct turn_result *result,
                     int64_t now_ms)
{
    const struct ties *ties = reads->ties;
    for (size_t i = 0; i < result->rereads_len; i++) {
        const struct task_row *row = &result->rereads[i].row;
        struct job *job = jobs_find(ties->jobs, row->id);
        if (!job || job->phase != JOB_REREADING) {
            continue;
        }
        job->seen = true;
        list_remove(&job->link); /* as with facts */
        if (result->rereads[i].unreadable) {
            take_leave_alone(row->id);
            ties->hooks->on_gone(ties->context, job);
            continue;
        }
        job_task(job)->memo.cancel |= result->rereads[i].cancel;
        job_task(job)->memo.read_ms = now_ms;
        ties->hooks->on_row(ties->context, job, row);
    }
    for (size_t i = 0; i < reads->sent_rows_len; i++) {
        struct job *job = jobs_get(ties->jobs, reads->sent_rows[i]);
        if (job && job->phase == JOB_REREADING && !job->seen) {
            ties->hooks->on_gone(ties->context,
                                 job); /* it has left the table */
        }
    }
    reads->sent_rows_len = 0;
}

void reads_lost(struct reads *reads)
{
    const struct jobs *jobs = reads->ties->jobs;
    line_again(jobs, &reads->facts, reads->sent_facts, reads->sent_facts_len,
               JOB_READING);
    line_again(jobs, &reads->rows, reads->sent_rows, reads->sent_rows_len,
               JOB_REREADING);
    reads->sent_facts_len = 0;
    reads->sent_rows_len = 0;
}
