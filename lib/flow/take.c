#include "flow/turn.h"

#include "base/log.h"
#include "core/retry.h"
#include "flow/owe.h"

#include <stdlib.h>
#include <string.h>

/*
 * Rows that become ours: claimed, taken over, or found to be ours. A row that
 * this program can't read is left alone; one that took worker after worker with
 * it is tried late.
 */

#define SUSPECT_WAIT_MS 30000
#define SUSPECT_WAIT_MAX_MS 1800000

bool engine_replace_row(struct job *job, const struct task_row *row)
{
    char *result = row->result ? strdup(row->result) : NULL;
    char *event = row->event ? strdup(row->event) : NULL;
    if ((row->result && !result) || (row->event && !event)) {
        free(result);
        free(event);
        return false;
    }
    task_row_done(&job->task.row);
    job->task.row = *row;
    job->task.row.result = result;
    job->task.row.event = event;
    return true;
}

static char *names_of(const struct task_read *read)
{
    const struct str texts[JOB_NAMES] = {read->request_id, read->tenant,
                                         read->traceparent, read->tracestate};
    size_t bytes = 0;
    for (size_t i = 0; i < JOB_NAMES; i++) {
        bytes += texts[i].len + 1;
    }
    char *names = malloc(bytes);
    char *at = names;
    for (size_t i = 0; names && i < JOB_NAMES; i++) {
        if (texts[i].len) {
            memcpy(at, texts[i].at, texts[i].len);
        }
        at[texts[i].len] = '\0';
        at += texts[i].len + 1;
    }
    return names;
}

/** A row that took worker after worker with it is tried late and rarely. */
static void suspect(struct engine *engine, struct job *job)
{
    int over = job->task.row.takeovers - SUSPECT_TAKEOVERS;
    if (over <= 0 || job->phase != JOB_WAITING) {
        return;
    }
    int64_t wait_ms = retry_wait_ms(over, SUSPECT_WAIT_MS, SUSPECT_WAIT_MAX_MS,
                                    loop_random(engine->edges.loop));
    log_at(LOG_ERROR, "suspect: a task was taken over again and again; it waits",
           LOG_TEXT("request_id", job_request_id(job)),
           LOG_I64("takeovers", job->task.row.takeovers),
           LOG_I64("wait_ms", wait_ms));
    due_from(&engine->due, job, engine_now_ms(engine) + wait_ms);
}

void take_leave_alone(int64_t task)
{
    log_at(LOG_ERROR, "unreadable: this program cannot read a task's row and "
                      "leaves it alone",
           LOG_I64("task", task));
}

struct job *engine_take_in(struct engine *engine, const struct task_read *read,
                           bool fresh_claim)
{
    if (read->unreadable) {
        take_leave_alone(read->row.id);
        return NULL;
    }
    struct job *job = jobs_add(&engine->jobs, read->row.id);
    if (!job) {
        turn_short_of_memory(engine);
        return NULL;
    }
    job->names = names_of(read);
    if (!job->names || !engine_replace_row(job, &read->row)) {
        jobs_remove(&engine->jobs, job);
        turn_short_of_memory(engine);
        return NULL;
    }
    job->task.memo.cancel = read->cancel;
    if (fresh_claim) {
        job->send_next = true;
        log_at(LOG_INFO, "task", LOG_TEXT("request_id", job_request_id(job)),
               LOG_I64("task", job->task.row.id), LOG_TEXT("from", "queued"),
               LOG_TEXT("to", "submitting"), LOG_TEXT("outcome", "CLAIMED"));
        return job;
    }
    const struct outcome outcome = {.kind = OUTCOME_TAKEN_OVER};
    engine_outcome(engine, job, &outcome);
    suspect(engine, job);
    return job;
}

void engine_start_claimed(struct engine *engine, struct job *job)
{
    gate_lend(&engine->gate, job, SLOT_SUBMIT);
    owe_now(engine, job);
}
