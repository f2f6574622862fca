#include "flow/ties.h"

#include "base/log.h"
#include "flow/learn.h"

#include <assert.h>

void ties_ask_soon(const struct ties *ties)
{
    assert(ties->ask && ties->clock->loop);
    loop_defer(ties->clock->loop, ties->ask, ties->asker);
}

void ties_park(const struct ties *ties, struct job *job, const char *why)
{
    assert(list_is_empty(&job->link));
    log_at(LOG_ERROR, why, LOG_TEXT("request_id", job_request_id(job)));
    learn_tell(job);
    gate_give_back(ties->gate, job);
    job_enter(job, JOB_PARKED);
}
