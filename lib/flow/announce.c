#include "flow/stage.h"

#include "base/crashpoint.h"
#include "base/log.h"
#include "core/event.h"

static void on_delivered(void *context, const struct err *err)
{
    struct ticket *ticket = context;
    struct engine *engine = ticket->engine;
    gate_leave(&engine->gate, SLOT_ANNOUNCE);
    struct job *job = ticket_end(ticket);
    engine->announce_err = err ? *err : (struct err){0};
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
        metric_observe(
            engine->metrics.announce_latency,
            (double)(engine_now_ms(engine) - job->task.row.settled_ms) / 1e3);
    }
    engine_outcome(engine, job, &outcome);
}

static void unannounced(struct engine *engine, struct job *job, const char *why)
{
    const struct outcome outcome = {.kind = OUTCOME_UNANNOUNCED,
                                    .message = str_of(why)};
    engine_outcome(engine, job, &outcome);
}

void announce_begin(struct engine *engine, struct job *job)
{
    struct event event;
    if (!event_open(str_of(job->task.row.event), &event)) {
        log_at(LOG_ERROR, "the stored event of a task can't be read",
               LOG_TEXT("request_id", job_request_id(job)));
        unannounced(engine, job, "the stored event can't be read");
        return;
    }
    const struct outgoing outgoing = {
        .topic = engine->options.event_topic,
        .key = event.key,
        .value = event.value,
        .headers = event.headers,
        .headers_len = event.headers_len,
        .at_ms = engine_now_ms(engine),
    };
    struct ticket *ticket = ticket_new(engine, job);
    struct err err = {0};
    if (!ticket) {
        unannounced(engine, job, "no memory");
        return;
    }
    CRASHPOINT("announce_before");
    gate_enter(&engine->gate, SLOT_ANNOUNCE);
    if (!producer_send(engine->edges.producer, &outgoing, on_delivered, ticket,
                       &err)) {
        gate_leave(&engine->gate, SLOT_ANNOUNCE);
        unannounced(engine, ticket_end(ticket), err.text);
        return;
    }
    CRASHPOINT("announce_sent");
}
