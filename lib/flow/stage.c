#include "flow/stage.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/** What a POST may come to. */
static const enum outcome_kind submit_ends[] = {
    OUTCOME_ACCEPTED, OUTCOME_NOT_SENT,   OUTCOME_PUT_OFF,
    OUTCOME_REFUSED,  OUTCOME_UNANSWERED, OUTCOME_INDETERMINATE,
};

static const char *const reply_classes[REPLY_CLASSES_LEN] = {
#define X(name) name,
    REPLY_CLASSES(X)
#undef X
};

static void provider_metrics_init(struct stage_metrics *s, struct metrics *m)
{
    static const char *const effects[EFFECTS_LEN] = {"submit", "poll"};
    char labels[64];
    for (size_t i = 0; i < sizeof submit_ends / sizeof *submit_ends; i++) {
        snprintf(labels, sizeof labels, "outcome=\"%s\"",
                 outcome_kind_name(submit_ends[i]));
        s->submit_seconds[submit_ends[i]] = metric_get(
            m, METRIC_HISTOGRAM, "pixverse_submit_seconds", labels,
            "From the beginning of a POST to its answer, by what it meant.");
    }
    for (int i = 0; i < EFFECTS_LEN; i++) {
        for (int k = 0; k < REPLY_CLASSES_LEN; k++) {
            snprintf(labels, sizeof labels, "effect=\"%s\",status=\"%s\"",
                     effects[i], reply_classes[k]);
            s->replies[i][k] = metric_get(
                m, METRIC_COUNTER, "pixverse_provider_replies_total", labels,
                "Answers of the provider by HTTP status; none: none came.");
        }
    }
    s->poll_seconds = metric_get(m, METRIC_HISTOGRAM, "pixverse_poll_seconds",
                                 NULL, "From a GET's leaving to its answer.");
}

static int reply_class(const struct reply *reply)
{
    const int hundreds = reply->status / 100;
    if (reply->end != REPLY_WHOLE && !reply->status) {
        return REPLY_CLASSES_LEN - 1;
    }
    if (reply->status == 429) {
        return 3;
    }
    switch (hundreds) {
    case 2:
        return 0;
    case 3:
        return 1;
    case 4:
        return 2;
    case 5:
        return 4;
    default:
        return 5;
    }
}

void stage_replied(struct stage *stage, int effect, const struct reply *reply)
{
    assert(effect >= 0 && effect < EFFECTS_LEN);
    metric_add(stage->metrics.replies[effect][reply_class(reply)], 1);
}

static void metrics_init(struct stage_metrics *s, struct metrics *m)
{
    s->poll_lateness =
        metric_get(m, METRIC_HISTOGRAM, "pixverse_poll_lateness_seconds", NULL,
                   "From a poll's due time to its start.");
    s->announce_latency =
        metric_get(m, METRIC_HISTOGRAM, "pixverse_announce_seconds", NULL,
                   "From settling a task to the broker's acknowledgement.");
    s->submits = metric_get(m, METRIC_COUNTER, "pixverse_submits_total", NULL,
                            "POSTs begun.");
    s->doubts = metric_get(m, METRIC_COUNTER, "pixverse_doubts_total", NULL,
                           "Submissions whose answer did not come.");
    s->polls = metric_get(m, METRIC_COUNTER, "pixverse_polls_total", NULL,
                          "GETs begun.");
    provider_metrics_init(s, m);
    s->video_bytes = metric_get(m, METRIC_COUNTER, "pixverse_video_bytes_total",
                                NULL, "Bytes of videos fetched.");
}

void stage_init(struct stage *stage)
{
    assert(stage->options && stage->edges && stage->clock && stage->jobs);
    assert(stage->due && stage->gate && stage->accounts && stage->learn);
    assert(stage->reasons && stage->hooks);
    list_init(&stage->sends);
    arena_init(&stage->scratch, 16384, 0);
    stage->announce_err = (struct err){0};
    metrics_init(&stage->metrics, stage->edges->metrics);
}

void stage_done(struct stage *stage)
{
    arena_done(&stage->scratch);
}

struct policy stage_policy(const struct stage *stage,
                           const struct task_row *row)
{
    const struct stage_options *o = stage->options;
    struct account *account = account_of(stage->accounts, row->account);
    const struct apimart *as = account_apimart(stage->accounts, row->account);
    /* What is not ours waits by the usual lifetime of a key. */
    const struct keys *keys =
        account ? &account->keys : &stage->accounts->at[0].keys;
    assert(o->poll_interval_ms > 0 && o->submit_timeout_ms > 0);
    return (struct policy){
        .poll_interval_ms = o->poll_interval_ms,
        .submit_timeout_ms = o->submit_timeout_ms,
        .deadline_ms = o->deadline_ms,
        .late_ms = o->late_ms,
        .chain_wait_ms = o->chain_wait_ms,
        .attempts_max = o->attempts_max,
        .doubt = keys_policy(keys),
        .key_lifetime_ms = keys->lifetime_ms,
        .account = as ? as->account : "",
        .jitter = loop_random(stage->edges->loop),
        .transfer_free = !stage->gate->draining &&
                         !due_has_transfer(stage->due) &&
                         gate_transfers_room(stage->gate) > 0,
    };
}

void stage_outcome(struct stage *stage, struct job *job,
                   const struct outcome *outcome)
{
    /* A transfer goes on while its row is saved. */
    assert(job->phase == JOB_ACTING || job_task(job)->row.state == READY);
    assert(outcome->kind >= 0 && outcome->kind < OUTCOMES_LEN);
    stage->hooks->on_outcome(stage->context, job, outcome);
}

void stage_outcome_why(struct stage *stage, struct job *job,
                       enum outcome_kind kind, const char *why)
{
    assert(why);
    const struct outcome outcome = {.kind = kind, .message = str_of(why)};
    stage_outcome(stage, job, &outcome);
}

struct ticket *ticket_new(struct stage *stage, const struct job *job)
{
    assert(job->phase == JOB_ACTING);
    struct ticket *ticket = malloc(sizeof *ticket);
    if (ticket) {
        *ticket = (struct ticket){.stage = stage, .ref = job_ref(job)};
    }
    return ticket;
}

struct job *ticket_end(struct ticket *ticket)
{
    struct job *job = jobs_get(ticket->stage->jobs, ticket->ref);
    free(ticket);
    assert(!job || job->phase == JOB_ACTING);
    return job;
}
