#include "flow/take.h"

#include "base/log.h"
#include "core/retry.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SUSPECT_WAIT_MS 30000
#define SUSPECT_WAIT_MAX_MS 1800000

static char *copy_of(const char *text)
{
    return text ? strdup(text) : NULL;
}

bool take_row(struct job *job, const struct task_row *row)
{
    assert(row->id == job_task(job)->row.id);
    struct task_row taken = *row;
    taken.source_task_id = copy_of(row->source_task_id);
    taken.result = copy_of(row->result);
    taken.event = copy_of(row->event);
    if ((row->source_task_id && !taken.source_task_id) ||
        (row->result && !taken.result) || (row->event && !taken.event)) {
        task_row_done(&taken);
        return false;
    }
    task_row_done(&job_task(job)->row);
    job_task(job)->row = taken;
    return true;
}

int64_t take_suspect_ms(const struct job *job, struct loop *loop)
{
    assert(job->phase == JOB_WAITING);
    int over = job_task(job)->row.takeovers - SUSPECT_TAKEOVERS;
    if (over <= 0) {
        return 0;
    }
    int64_t wait_ms = retry_wait_ms(over, SUSPECT_WAIT_MS, SUSPECT_WAIT_MAX_MS,
                                    loop_random(loop));
    log_at(LOG_ERROR,
           "suspect: a task was taken over again and again; it waits",
           LOG_TEXT("request_id", job_request_id(job)),
           LOG_I64("takeovers", job_task(job)->row.takeovers),
           LOG_I64("wait_ms", wait_ms));
    return wait_ms;
}

void take_leave_alone(int64_t task)
{
    log_at(LOG_ERROR,
           "unreadable: this program cannot read a task's row and "
           "leaves it alone",
           LOG_I64("task", task));
}

struct job *take_in(struct jobs *jobs, const struct task_read *read)
{
    assert(!read->unreadable);
    struct job *job = jobs_add(jobs, read->row.id);
    if (!job) {
        return NULL;
    }
    const struct str names[SHEET_NAMES] = {
        [NAME_REQUEST_ID] = read->request_id,
        [NAME_TENANT] = read->tenant,
        [NAME_TRACEPARENT] = read->traceparent,
        [NAME_TRACESTATE] = read->tracestate,
    };
    if (!job_name(job, names) || !take_row(job, &read->row)) {
        jobs_remove(jobs, job);
        return NULL;
    }
    job_task(job)->memo.cancel = read->cancel;
    return job;
}

void take_facts(const struct facts_row *row, struct job *job)
{
    assert(row->id == job_task(job)->row.id);
    struct effect *effect = job_effect(job);
    struct arena *arena = effect ? &effect->arena : NULL;
    if (!arena) {
        return;
    }
    arena->failed = false; /* this try is another one */
    struct facts_row *copy = arena_alloc(arena, sizeof *copy);
    if (!copy) {
        return;
    }
    *copy = *row;
    struct str *texts[] = {
        &copy->body,
        &copy->content,
        &copy->salt,
        &copy->facts.metadata,
        &copy->facts.request_id,
        &copy->facts.tenant,
        &copy->facts.warnings,
        &copy->facts.tracestate,
        &copy->facts.traceparent,
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i]->at) {
            texts[i]->at = arena_copy(arena, texts[i]->at, texts[i]->len);
        }
    }
    if (!arena->failed) {
        effect->facts = copy;
    }
}
