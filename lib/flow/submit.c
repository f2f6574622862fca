#include "flow/stage.h"

#include "base/crashpoint.h"
#include "base/log.h"
#include "core/doubt.h"
#include "flow/why.h"

#include <stdlib.h>
#include <string.h>

/*
 * One POST. It outlives its job: when the lease is lost the reply is still
 * read, for its id only.
 */

struct send {
    struct list link;
    struct engine *engine;
    struct job_ref ref;
    int64_t task;
    char *request_id;
    char *idempotency_key;
};

static void free_send(struct send *send)
{
    gate_leave(&send->engine->gate, SLOT_SUBMIT);
    list_remove(&send->link);
    free(send->request_id);
    free(send->idempotency_key);
    free(send);
}

/** libcurl asks right before the first byte would leave. */
static bool may_send(void *context)
{
    const struct send *send = context;
    const struct engine *engine = send->engine;
    const struct job *job = jobs_get(&engine->jobs, send->ref);
    bool may =
        job && !job->task.memo.cancel && gate_may_send(&engine->gate);
    CRASHPOINT_IF(may, "post_may_send");
    return may;
}

/** What the reply says about all submissions, not only this one. */
static void judge_pace(struct engine *engine, const struct outcome *outcome)
{
    int64_t boot_ms = loop_boot_ms(engine->edges.loop);
    uint32_t random = loop_random(engine->edges.loop);
    switch (pace_news_of(outcome)) {
    case PACE_ACCEPTED:
        pace_accepted(&engine->gate.pace);
        reasons_shared_over(&engine->reasons, SHARED_THROTTLE);
        reasons_shared_over(&engine->reasons, SHARED_UNREACHED);
        return;
    case PACE_UNREACHED:
        pace_pushed_back(&engine->gate.pace, 0, boot_ms, random);
        why_shared(engine, SHARED_UNREACHED, outcome);
        break;
    case PACE_THROTTLED:
        pace_pushed_back(&engine->gate.pace, outcome->retry_after_ms, boot_ms,
                         random);
        why_shared(engine, SHARED_THROTTLE, outcome);
        break;
    case PACE_NO_NEWS:
        break;
    }
    if (outcome_is_doubt(outcome->kind)) {
        metric_add(engine->metrics.doubts, 1);
        keys_ask(&engine->keys);
    }
    engine_hold(engine, outcome->hold, outcome->message);
}

/** Evidence that we make nothing of is somebody's to look at. */
static void tell_evidence(const struct send *send,
                          const struct outcome *outcome)
{
    if (outcome->unread) {
        log_at(LOG_WARN, "accepted, but the answer names no single task",
               LOG_TEXT("request_id", send->request_id),
               LOG_I64("http_status", outcome->http_status),
               LOG_STR("why", outcome->message));
    } else if (outcome->kind == OUTCOME_ACCEPTED && outcome->message.len) {
        log_at(LOG_INFO, "accepted, and the answer names more than one id",
               LOG_TEXT("request_id", send->request_id),
               LOG_STR("provider_task_id", outcome->provider_task_id),
               LOG_STR("why", outcome->message));
    }
}

static void on_reply(void *context, const struct reply *reply)
{
    struct send *send = context;
    struct engine *engine = send->engine;
    struct outcome outcome = {0};
    arena_reset(&engine->scratch);
    apimart_read_submit(reply, engine_now_ms(engine), &engine->scratch,
                        &outcome);
    CRASHPOINT_IF(outcome.kind == OUTCOME_ACCEPTED, "post_accepted");
    CRASHPOINT_IF(outcome.kind == OUTCOME_UNANSWERED, "post_unanswered");
    struct job *job = jobs_get(&engine->jobs, send->ref);
    bool gate = reply->end == REPLY_CANCELLED && !reply->sent;
    if (!gate) {
        judge_pace(engine, &outcome);
    }
    if (reply->replayed && outcome.kind == OUTCOME_ACCEPTED) {
        log_at(LOG_INFO, "the provider replayed an earlier submission",
               LOG_TEXT("request_id", send->request_id));
    }
    tell_evidence(send, &outcome);
    if (!job && outcome.kind == OUTCOME_ACCEPTED) {
        learn_id(&engine->learn, send->task, str_of(send->request_id),
                 str_of(send->idempotency_key), outcome.provider_task_id);
    }
    if (job && outcome.kind == OUTCOME_ACCEPTED &&
        !store_is_up(engine->edges.store)) {
        learn_warn(send->task, str_of(send->request_id),
                   outcome.provider_task_id);
    }
    free_send(send);
    if (job) {
        engine_outcome(engine, job, &outcome);
    }
}

static void not_started(struct engine *engine, struct job *job, const char *why)
{
    gate_give_back(&engine->gate, job);
    const struct outcome outcome = {.kind = OUTCOME_NOT_SENT,
                                    .message = str_of(why)};
    engine_outcome(engine, job, &outcome);
}

void submit_begin(struct engine *engine, struct job *job)
{
    const struct facts_row *facts = job->effect->facts;
    const struct task_row *row = &job->task.row;
    struct policy policy = engine_policy(engine);
    if (row->doubt && !replay_may_leave(row, &policy, engine_now_ms(engine))) {
        /* Storing the intent took long, or another word on keys came. */
        not_started(engine, job, "the time for a replay is over");
        return;
    }
    if (!gate_may_submit(&engine->gate) || job->task.memo.cancel) {
        not_started(engine, job, "submissions are stopped");
        return;
    }
    struct send *send = calloc(1, sizeof *send);
    if (send) {
        send->request_id = strdup(job_request_id(job));
        send->idempotency_key =
            strndup(facts->idempotency_key.at, facts->idempotency_key.len);
    }
    if (!send || !send->request_id || !send->idempotency_key) {
        if (send) {
            free(send->request_id);
            free(send->idempotency_key);
        }
        free(send);
        not_started(engine, job, "no memory");
        return;
    }
    send->engine = engine;
    send->ref = job_ref(job);
    send->task = job->task.row.id;
    list_add_tail(&engine->sends, &send->link);
    gate_pass(&engine->gate, job);

    struct exchange exchange =
        apimart_submit(&engine->options.apimart, facts->body,
                       facts->idempotency_key, &job->effect->arena);
    struct err err = {0};
    metric_add(engine->metrics.submits, 1);
    CRASHPOINT("post_before");
    if (!exchange.url.at) {
        free_send(send);
        not_started(engine, job, "no memory");
        return;
    }
    if (!http_send(engine->edges.submit_http, &exchange,
                   engine->options.submit_timeout_ms, may_send, on_reply, send,
                   &err)) {
        struct job *same = jobs_get(&engine->jobs, send->ref);
        free_send(send);
        not_started(engine, same, err.text);
    }
}
