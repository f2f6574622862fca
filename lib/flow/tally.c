#include "flow/tally.h"

#include "base/log.h"

#include <assert.h>
#include <stdio.h>

bool tally_init(struct tally *tally, int64_t tenants_max, struct metrics *m)
{
    assert(m);
    char labels[64];
    for (int i = 0; i < OUTCOMES_LEN; i++) {
        snprintf(labels, sizeof labels, "outcome=\"%s\"",
                 outcome_kind_name((enum outcome_kind)i));
        tally->outcomes[i] =
            metric_get(m, METRIC_COUNTER, "pixverse_outcomes_total", labels,
                       "What came of effects.");
    }
    for (int i = 0; i < TASK_STATES_LEN; i++) {
        snprintf(labels, sizeof labels, "state=\"%s\"",
                 task_state_name((enum task_state)i));
        tally->states[i] = metric_get(m, METRIC_GAUGE, "pixverse_tasks", labels,
                                      "Tasks of this worker by state.");
    }
    for (int i = 0; i < FAILURE_KINDS_LEN; i++) {
        snprintf(labels, sizeof labels, "kind=\"%s\"",
                 i ? failure_kind_name((enum failure_kind)i) : "completed");
        tally->ended[i] = metric_get(m, METRIC_COUNTER, "pixverse_ended_total",
                                     labels, "Tasks settled, by their end.");
    }
    for (int i = 0; i < DELIVERY_DIFFERENCES_LEN; i++) {
        snprintf(labels, sizeof labels, "kind=\"%s\"",
                 delivery_code((enum delivery_difference)i));
        tally->differ[i] = metric_get(
            m, METRIC_COUNTER, "pixverse_deliveries_differ_total", labels,
            "Completed tasks whose videos aren't what was ordered.");
    }
    for (int i = 0; i < 2; i++) {
        tally->settle_seconds[i] = metric_get(
            m, METRIC_HISTOGRAM_MINUTES, "pixverse_settle_seconds",
            i ? "end=\"completed\"" : "end=\"failed\"",
            "From a request's being received to its end's being stored.");
    }
    tally->cost = metric_get(
        m, METRIC_COUNTER, "pixverse_cost_total", NULL,
        "Cost of settled tasks, as the provider told it (its field cost).");
    tally->cost_unknown = metric_get(
        m, METRIC_COUNTER, "pixverse_cost_unknown_total", NULL,
        "Settled tasks that the provider took, and whose cost nobody told.");
    tally->attempts = metric_get(
        m, METRIC_COUNTER, "pixverse_attempts_total", NULL,
        "Tasks queued again, unbilled, because the provider had no room.");
    return tenants_init(&tally->tenants, (size_t)tenants_max, m);
}

void tally_done(struct tally *tally)
{
    tenants_done(&tally->tenants);
}

/** A step that settles. */
static void count_end(struct tally *tally, const struct job *job,
                      const struct step *step, struct metric *account_cost)
{
    const struct task_row *row = &step->next.row;
    const bool completed = row->kind == FAILURE_NONE;
    const double cost = row->has_cost && row->cost > 0 ? row->cost : 0;
    metric_add(tally->ended[row->kind], 1);
    for (int i = 0; i < DELIVERY_DIFFERENCES_LEN; i++) {
        metric_add(tally->differ[i], step->differs & DELIVERY_BIT(i) ? 1 : 0);
    }
    const int64_t took_ms = row->settled_ms - row->received_ms;
    metric_observe(tally->settle_seconds[completed],
                   took_ms > 0 ? (double)took_ms / 1e3 : 0);
    metric_add(tally->cost, cost);
    if (account_cost) {
        metric_add(account_cost, cost);
    }
    metric_add(tally->cost_unknown,
               !row->has_cost && row->provider_task_id[0] ? 1 : 0);
    tenants_settled(&tally->tenants, job_tenant(job), completed, cost);
}

static void log_step(const struct job *job, enum task_state from,
                     const struct outcome *outcome, const struct step *step)
{
    const struct task_row *row = &step->next.row;
    enum log_level level = step->settles && row->state == FAILED &&
                                   row->kind != FAILURE_INVALID_REQUEST
                               ? LOG_WARN
                               : LOG_INFO;
    const struct log_field end = {0};
    char cost[32];
    struct log_field fields[16];
    size_t n = 0;
    fields[n++] = LOG_TEXT("request_id", job_request_id(job));
    fields[n++] = LOG_I64("task", row->id);
    fields[n++] = LOG_TEXT("from", task_state_name(from));
    fields[n++] = LOG_TEXT("to", task_state_name(row->state));
    fields[n++] = LOG_TEXT("outcome", outcome_kind_name(outcome->kind));
    if (row->provider_task_id[0]) {
        fields[n++] = LOG_TEXT("provider_task_id", row->provider_task_id);
    }
    if (row->state == FAILED) {
        fields[n++] = LOG_TEXT("kind", failure_kind_name(row->kind));
    }
    if (outcome->message.at) {
        fields[n++] = LOG_STR("why", outcome->message);
    }
    if (outcome->kind == OUTCOME_STORED && outcome->videos_len) {
        int64_t bytes = 0;
        for (size_t i = 0; i < outcome->videos_len; i++) {
            bytes += outcome->videos[i].bytes;
        }
        fields[n++] = LOG_STR("uri", outcome->videos[0].uri);
        fields[n++] = LOG_I64("videos", outcome->videos_len);
        fields[n++] = LOG_I64("bytes", bytes);
        if (row->has_cost) {
            snprintf(cost, sizeof cost, "%.6g", row->cost);
            fields[n++] = LOG_TEXT("cost", cost);
        }
    }
    if (step->hold != HOLD_NONE) {
        fields[n++] = LOG_TEXT("hold", hold_reason_name(step->hold));
    }
    fields[n] = end;
    log_line(level, "task", fields);
}

void tally_step(struct tally *tally, const struct job *job,
                const struct outcome *outcome, const struct step *step,
                struct metric *account_cost)
{
    assert(outcome->kind >= 0 && outcome->kind < OUTCOMES_LEN);
    assert(step->next.row.id == job_task(job)->row.id);
    metric_add(tally->outcomes[outcome->kind], 1);
    enum task_state from = job_task(job)->row.state;
    metric_add(tally->attempts,
               step->next.row.attempt - job_task(job)->row.attempt);
    if (step->next.row.state != from) {
        log_step(job, from, outcome, step);
    }
    if (step->settles) {
        count_end(tally, job, step, account_cost);
    }
}

void tally_claim(const struct job *job)
{
    assert(job_task(job)->row.state == SUBMITTING);
    log_at(LOG_INFO, "task", LOG_TEXT("request_id", job_request_id(job)),
           LOG_I64("task", job_task(job)->row.id), LOG_TEXT("from", "queued"),
           LOG_TEXT("to", "submitting"), LOG_TEXT("outcome", "CLAIMED"));
}
