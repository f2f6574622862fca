#include "flow/stage.h"

#include "base/crashpoint.h"
#include "base/log.h"
#include "core/event.h"

#include <assert.h>
#include <stdio.h>

#define POLL_TIMEOUT_MS 20000

/** Progress may be lost: whether it arrived is nobody's business. */
static void on_told(void *context, const struct err *err)
{
    (void)context;
    (void)err;
}

/** On change only, best effort. */
static void tell_progress(struct stage *stage, struct job *job,
                          const struct outcome *outcome)
{
    assert(outcome->kind == OUTCOME_STILL_RUNNING);
    struct task_memo *memo = &job_task(job)->memo;
    if (outcome->progress == memo->progress &&
        str_eq(outcome->status, str_of(memo->status))) {
        return; /* nearly always */
    }
    char status[sizeof memo->status];
    snprintf(status, sizeof status, "%.*s", (int)outcome->status.len,
             outcome->status.at ? outcome->status.at : "");
    if (outcome->progress == memo->progress &&
        strcmp(status, memo->status) == 0) {
        return;
    }
    memo->progress = outcome->progress;
    memcpy(memo->status, status, sizeof status);
    if (!stage->options->progress_topic) {
        return;
    }
    unsigned char random[16];
    loop_random_bytes(stage->edges->loop, random, sizeof random);
    const struct facts facts = {
        .request_id = str_of(job_request_id(job)),
        .tenant = str_of(job_tenant(job)),
        .traceparent = str_of(job_traceparent(job)),
        .tracestate = str_of(job_tracestate(job)),
    };
    struct event event;
    if (!event_progress(&job_task(job)->row, &facts, outcome->status,
                        outcome->progress, clock_now_ms(stage->clock), random,
                        &stage->scratch, &event)) {
        return;
    }
    const struct outgoing outgoing = {
        .topic = stage->options->progress_topic,
        .key = event.key,
        .value = event.value,
        .headers = event.headers,
        .headers_len = event.headers_len,
        .at_ms = clock_now_ms(stage->clock),
    };
    struct err err;
    if (!producer_send(stage->edges->producer, &outgoing, on_told, NULL,
                       &err)) {
        return; /* a full window is no reason to wait */
    }
}

/** The request leaves now: what it waited for a connection counts as late. */
static bool note_start(void *context)
{
    struct ticket *ticket = context;
    struct stage *stage = ticket->stage;
    ticket->started_us = loop_boot_us(stage->edges->loop);
    int64_t late_ms = ticket->started_us / 1000 - ticket->due_ms;
    metric_observe(stage->metrics.poll_lateness, (double)late_ms / 1e3);
    return true;
}

static void on_reply(void *context, const struct reply *reply)
{
    struct ticket *ticket = context;
    struct stage *stage = ticket->stage;
    gate_leave(stage->gate, SLOT_POLL);
    if (ticket->started_us) {
        metric_observe(
            stage->metrics.poll_seconds,
            (double)(loop_boot_us(stage->edges->loop) - ticket->started_us) /
                1e6);
        stage_replied(stage, EFFECT_POLL, reply);
    }
    struct job *job = ticket_end(ticket);
    if (!job) {
        return;
    }
    const struct task_row *row = &job_task(job)->row;
    struct outcome outcome = {0};
    arena_reset(&stage->scratch);
    apimart_read_poll(reply, str_of(row->provider_task_id),
                      clock_now_ms(stage->clock), &stage->scratch, &outcome);
    CRASHPOINT_IF(outcome.kind == OUTCOME_FINISHED, "poll_finished");
    const struct apimart *as = account_apimart(stage->accounts, row->account);
    assert(as);
    slots_heard(&account_of(stage->accounts, row->account)->slots, row,
                &outcome, clock_now_ms(stage->clock));
    outcome.same_key = strcmp(row->account, as->account) == 0;
    if (outcome.hold == HOLD_AUTH || outcome.hold == HOLD_CHANNEL) {
        stage->hooks->on_hold(stage->context, as->account, outcome.hold,
                              outcome.message);
    }
    if (outcome.kind == OUTCOME_STILL_RUNNING) {
        tell_progress(stage, job, &outcome);
    }
    stage_outcome(stage, job, &outcome);
}

static void missed(struct stage *stage, struct job *job, const char *why)
{
    stage_outcome_why(stage, job, OUTCOME_MISSED, why);
}

void poll_begin(struct stage *stage, struct job *job)
{
    assert(job_task(job)->row.state == RUNNING ||
           job_task(job)->row.state == LATE ||
           job_task(job)->row.state == READY);
    const struct apimart *as =
        account_apimart(stage->accounts, job_account(job));
    assert(as); /* else it is owed elsewhere */
    struct ticket *ticket = ticket_new(stage, job);
    if (!ticket) {
        missed(stage, job, "no memory");
        return;
    }
    ticket->due_ms = job->due.due_ms;
    metric_add(stage->metrics.polls, 1);
    arena_reset(&stage->scratch);
    struct exchange exchange = apimart_poll(
        as, str_of(job_task(job)->row.provider_task_id), &stage->scratch);
    if (stage->scratch.failed) {
        missed(stage, ticket_end(ticket), "no memory");
        return;
    }
    struct err err = {0};
    gate_enter(stage->gate, SLOT_POLL);
    if (!poller_send(stage->edges->poller, &exchange, POLL_TIMEOUT_MS,
                     note_start, on_reply, ticket, &err)) {
        gate_leave(stage->gate, SLOT_POLL);
        missed(stage, ticket_end(ticket), err.text);
    }
}
