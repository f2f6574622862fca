#include "flow/stage.h"

#include "base/crashpoint.h"
#include "base/log.h"
#include "core/doubt.h"
#include "core/idempotency.h"
#include "core/source.h"
#include "flow/why.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/*
 * One POST. It outlives its job: when the lease is lost the reply is still
 * read, for its id only.
 */

struct send {
    struct list link;
    struct stage *stage;
    struct account *account; /* whom it goes to */
    const struct apimart *as;
    struct job_ref ref;
    int64_t task;
    int32_t submission;
    int64_t started_us; /* boot clock */
    char *request_id;
};

/** job: its slot is kept until what came of it is stored; null: it is gone. */
static void free_send(struct send *send, struct job *job)
{
    if (job) {
        gate_take_back(send->stage->gate, &send->account->lane, job);
    } else {
        gate_leave_submit(send->stage->gate, &send->account->lane);
    }
    list_remove(&send->link);
    free(send->request_id);
    free(send);
}

/** Asked right before the first byte would leave. */
static bool may_send(void *context)
{
    const struct send *send = context;
    const struct stage *stage = send->stage;
    const struct job *job = jobs_get(stage->jobs, send->ref);
    assert(!job || job->phase == JOB_ACTING);
    bool may = job && !job_task(job)->memo.cancel && gate_may_send(stage->gate);
    CRASHPOINT_IF(may, "post_may_send");
    return may;
}

/** The reason is gone, unless another account has it still. */
static void flows(struct stage *stage)
{
    for (size_t i = 0; i < stage->accounts->len; i++) {
        if (stage->accounts->at[i].lane.pace.failures > 0) {
            return;
        }
    }
    reasons_shared_over(stage->reasons, SHARED_THROTTLE);
    reasons_shared_over(stage->reasons, SHARED_UNREACHED);
}

/** What the reply says about all submissions, not only this one. */
static void judge_pace(const struct send *send, const struct outcome *outcome)
{
    struct stage *stage = send->stage;
    struct lane *lane = &send->account->lane;
    assert(outcome->kind >= 0 && outcome->kind < OUTCOMES_LEN);
    int64_t boot_ms = loop_boot_ms(stage->edges->loop);
    uint32_t random = loop_random(stage->edges->loop);
    switch (pace_news_of(outcome)) {
    case PACE_ACCEPTED:
        pace_accepted(&lane->pace);
        flows(stage);
        return;
    case PACE_UNREACHED:
        pace_pushed_back(&lane->pace, 0, boot_ms, random);
        why_shared(stage->reasons, stage->gate, lane, SHARED_UNREACHED,
                   outcome);
        break;
    case PACE_THROTTLED:
        pace_pushed_back(&lane->pace, outcome->retry_after_ms, boot_ms, random);
        why_shared(stage->reasons, stage->gate, lane, SHARED_THROTTLE, outcome);
        break;
    case PACE_NO_NEWS:
        break;
    }
    if (outcome_is_doubt(outcome->kind)) {
        metric_add(stage->metrics.doubts, 1);
        keys_ask(&send->account->keys);
    }
    stage->hooks->on_hold(stage->context, send->as->account, outcome->hold,
                          outcome->message);
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

/** A POST that may have left. */
static void measure(const struct send *send, const struct reply *reply,
                    const struct outcome *outcome)
{
    struct stage *stage = send->stage;
    struct metric *seconds = stage->metrics.submit_seconds[outcome->kind];
    assert(seconds); /* stage.c names all that a POST may come to */
    metric_observe(
        seconds,
        (double)(loop_boot_us(stage->edges->loop) - send->started_us) / 1e6);
    stage_replied(stage, EFFECT_SUBMIT, reply);
}

static void on_reply(void *context, const struct reply *reply)
{
    struct send *send = context;
    struct stage *stage = send->stage;
    struct outcome outcome = {0};
    arena_reset(&stage->scratch);
    apimart_read_submit(reply, clock_now_ms(stage->clock), &stage->scratch,
                        &outcome);
    CRASHPOINT_IF(outcome.kind == OUTCOME_ACCEPTED, "post_accepted");
    CRASHPOINT_IF(outcome.kind == OUTCOME_UNANSWERED, "post_unanswered");
    struct job *job = jobs_get(stage->jobs, send->ref);
    assert(!job || job_task(job)->row.state == SUBMITTING);
    bool gate = reply->end == REPLY_CANCELLED && !reply->sent;
    if (!gate) {
        measure(send, reply, &outcome);
        judge_pace(send, &outcome);
    }
    if (job && !gate) {
        slots_heard(&send->account->slots, &job_task(job)->row, &outcome,
                    clock_now_ms(stage->clock));
    }
    if (reply->replayed && outcome.kind == OUTCOME_ACCEPTED) {
        log_at(LOG_INFO, "the provider replayed an earlier submission",
               LOG_TEXT("request_id", send->request_id));
    }
    tell_evidence(send, &outcome);
    if (!job && outcome.kind == OUTCOME_ACCEPTED) {
        learn_id(stage->learn, &send->account->keys, send->task,
                 send->submission, str_of(send->request_id),
                 outcome.provider_task_id);
    }
    if (job && outcome.kind == OUTCOME_ACCEPTED &&
        !store_is_up(stage->edges->store)) {
        learn_warn(send->task, str_of(send->request_id),
                   outcome.provider_task_id);
    }
    free_send(send, job);
    if (job) {
        stage_outcome(stage, job, &outcome);
    }
}

static void not_started(struct stage *stage, struct job *job, const char *why)
{
    assert(job_task(job)->row.state == SUBMITTING);
    gate_give_back(stage->gate, job);
    stage_outcome_why(stage, job, OUTCOME_NOT_SENT, why);
}

/** Whoever sends it, and whenever: the key of this attempt. */
static bool key_of(const struct facts_row *facts, const struct task_row *row,
                   char key[static IDEMPOTENCY_KEY_BYTES])
{
    const struct send_identity send = {
        .salt = facts->salt,
        .request_id = facts->facts.request_id,
        .content = facts->content,
        .submission = row->submission,
        .attempt = row->attempt,
    };
    return idempotency_key(&send, key);
}

void submit_begin(struct stage *stage, struct job *job)
{
    assert(job->takes == SLOT_SUBMIT);
    assert(job->send_next && job->effect && job->effect->facts);
    const struct facts_row *facts = job->effect->facts;
    const struct task_row *row = &job_task(job)->row;
    struct policy policy = stage_policy(stage, row);
    struct account *account = account_of(stage->accounts, row->account);
    const struct apimart *as = account_apimart(stage->accounts, row->account);
    job->send_next = false; /* whatever comes of it, it was used */
    if (row->doubt &&
        !replay_may_leave(row, &policy, clock_now_ms(stage->clock))) {
        /* Storing the intent took long, or another word on keys came. */
        not_started(stage, job, "the time for a replay is over");
        return;
    }
    if (!as || strcmp(as->account, row->account) != 0 ||
        !gate_may_submit(stage->gate, &account->lane) ||
        job_task(job)->memo.cancel) {
        not_started(stage, job, "submissions are stopped");
        return;
    }
    const struct str body =
        source_join(facts->body, row->source_task_id, &job->effect->arena);
    if (!body.at) {
        not_started(stage, job, "no memory, or no id of what it extends");
        return;
    }
    char key[IDEMPOTENCY_KEY_BYTES];
    struct send *send = calloc(1, sizeof *send);
    if (send) {
        send->request_id = strdup(job_request_id(job));
    }
    if (!send || !send->request_id || !key_of(facts, row, key)) {
        if (send) {
            free(send->request_id);
        }
        free(send);
        not_started(stage, job, "no memory");
        return;
    }
    send->stage = stage;
    send->account = account;
    send->as = as;
    send->ref = job_ref(job);
    send->task = row->id;
    send->submission = row->submission;
    send->started_us = loop_boot_us(stage->edges->loop);
    list_add_tail(&stage->sends, &send->link);
    gate_pass(stage->gate, job);

    struct exchange exchange =
        apimart_submit(as, body, str_of(key), &job->effect->arena);
    struct err err = {0};
    metric_add(stage->metrics.submits, 1);
    CRASHPOINT("post_before");
    if (!exchange.url.at) {
        free_send(send, job);
        not_started(stage, job, "no memory");
        return;
    }
    if (!http_send(stage->edges->submit_http, &exchange,
                   stage->options->submit_timeout_ms, may_send, on_reply, send,
                   &err)) {
        struct job *same = jobs_get(stage->jobs, send->ref);
        free_send(send, same);
        not_started(stage, same, err.text);
    }
}
