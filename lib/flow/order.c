#include "flow/order.h"

#include "base/log.h"

#include <assert.h>

/** Whether it is between two effects, in a state that an order can end. A
 * doubt is told once: it settles by its own clock. So is what was taken over,
 * until it is answered. */
static bool may_obey(const struct job *job, bool told, int64_t now_ms)
{
    switch (job_task(job)->row.state) {
    case SUBMITTING:
        return !told &&
               (job->phase == JOB_WAITING || job->phase == JOB_LINED_UP);
    case RUNNING:
        return job->phase == JOB_WAITING &&
               !(told && task_is_strange(job_task(job), now_ms));
    case QUEUED:
    case LATE:
        return job->phase == JOB_WAITING;
    case READY: /* paid for, and nearly home */
    case SUCCEEDED:
    case FAILED:
    case CLOSED:
    case TASK_STATES_LEN:
        break;
    }
    return false;
}

static void cancel(struct engine *engine, struct job *job)
{
    const struct outcome outcome = {.kind = OUTCOME_CANCEL_ORDERED};
    bool told = job_task(job)->memo.cancel;
    if (!told) {
        log_at(LOG_INFO, "the operator cancels a task",
               LOG_TEXT("request_id", job_request_id(job)),
               LOG_I64("task", job_task(job)->row.id));
    }
    job_task(job)->memo.cancel = true;
    if (may_obey(job, told, engine_now_ms(engine))) {
        due_remove(&engine->due, job);
        engine_outcome(engine, job, &outcome);
    }
}

void order_cancel(struct engine *engine, const int64_t *tasks, size_t len)
{
    assert(tasks || !len);
    for (size_t i = 0; i < len; i++) {
        struct job *job = jobs_find(&engine->jobs, tasks[i]);
        if (job) {
            cancel(engine, job);
        }
    }
}
