#include "flow/stage.h"

#include "base/crashpoint.h"
#include "base/log.h"
#include "core/event.h"

#include <assert.h>

static void on_delivered(void *context, const struct err *err)
{
    struct ticket *ticket = context;
    struct stage *stage = ticket->stage;
    gate_leave(stage->gate, SLOT_ANNOUNCE);
    struct job *job = ticket_end(ticket);
    assert(!job || task_owes(job_task(job)->row.state) == OWES_ANNOUNCE);
    stage->announce_err = err ? *err : (struct err){0};
    if (!job) {
        return;
    }
    struct outcome outcome = {.kind = OUTCOME_ANNOUNCED};
    if (err) {
        outcome.kind = OUTCOME_UNANNOUNCED;
        outcome.message = str_of(err->text);
        enum log_level level =
            err->kind == ERR_PERMANENT ? LOG_ERROR : LOG_WARN;
        log_at(level, "an event was not taken by the broker and is sent again",
               LOG_TEXT("request_id", job_request_id(job)),
               LOG_TEXT("why", err->text));
    } else {
        CRASHPOINT("announce_acknowledged");
        metric_observe(stage->metrics.announce_latency,
                       (double)(clock_now_ms(stage->clock) -
                                job_task(job)->row.settled_ms) /
                           1e3);
    }
    stage_outcome(stage, job, &outcome);
}

static void unannounced(struct stage *stage, struct job *job, const char *why)
{
    stage_outcome_why(stage, job, OUTCOME_UNANNOUNCED, why);
}

void announce_begin(struct stage *stage, struct job *job)
{
    assert(task_owes(job_task(job)->row.state) == OWES_ANNOUNCE);
    struct event event;
    if (!event_open(str_of(job_task(job)->row.event), &event)) {
        log_at(LOG_ERROR, "the stored event of a task can't be read",
               LOG_TEXT("request_id", job_request_id(job)));
        unannounced(stage, job, "the stored event can't be read");
        return;
    }
    const struct outgoing outgoing = {
        .topic = stage->options->event_topic,
        .key = event.key,
        .value = event.value,
        .headers = event.headers,
        .headers_len = event.headers_len,
        .at_ms = clock_now_ms(stage->clock),
    };
    struct ticket *ticket = ticket_new(stage, job);
    struct err err = {0};
    if (!ticket) {
        unannounced(stage, job, "no memory");
        return;
    }
    CRASHPOINT("announce_before");
    gate_enter(stage->gate, SLOT_ANNOUNCE);
    if (!producer_send(stage->edges->producer, &outgoing, on_delivered, ticket,
                       &err)) {
        gate_leave(stage->gate, SLOT_ANNOUNCE);
        unannounced(stage, ticket_end(ticket), err.text);
        return;
    }
    CRASHPOINT("announce_sent");
}
