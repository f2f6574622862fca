#include "flow/stage.h"

#include <assert.h>
#include <stdlib.h>

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
    s->video_bytes = metric_get(m, METRIC_COUNTER, "pixverse_video_bytes_total",
                                NULL, "Bytes of videos fetched.");
}

void stage_init(struct stage *stage)
{
    assert(stage->options && stage->edges && stage->clock && stage->jobs);
    assert(stage->due && stage->gate && stage->keys && stage->learn);
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

struct policy stage_policy(const struct stage *stage)
{
    const struct stage_options *o = stage->options;
    assert(o->poll_interval_ms > 0 && o->submit_timeout_ms > 0);
    return (struct policy){
        .poll_interval_ms = o->poll_interval_ms,
        .submit_timeout_ms = o->submit_timeout_ms,
        .deadline_ms = o->deadline_ms,
        .late_ms = o->late_ms,
        .chain_wait_ms = o->chain_wait_ms,
        .doubt = keys_policy(stage->keys),
        .key_lifetime_ms = stage->keys->lifetime_ms,
        .account = o->apimart.account,
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
    assert(job->phase == JOB_ACTING || job->task.row.state == READY);
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
