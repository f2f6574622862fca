#include "flow/status.h"

#define UNTOLD_MS 10000 /* that an end may take to be announced */

static void missing(struct buf *out, const char *what, const char *why)
{
    buf_printf(out, "not ready: %s%s%s\n", what, why[0] ? ": " : "", why);
}

static bool list_missing(const struct status *s, struct buf *out)
{
    size_t before = out->len;
    if (s->draining) {
        missing(out, "draining", "");
    }
    if (s->schema_misfit) {
        missing(out, "the schema does not fit", s->store_why);
    } else if (!s->store_up) {
        missing(out, "no PostgreSQL", s->store_why);
    }
    if (!s->consumer_up) {
        missing(out, "no Kafka for requests", s->consumer_why);
    }
    if (!s->producer_up) {
        missing(out, "no Kafka for events", s->producer_why);
    }
    return out->len > before;
}

static void list_holds(const struct status *s, struct buf *out)
{
    for (size_t i = 0; i < s->fleet->holds_len; i++) {
        const struct fleet_hold *hold = &s->fleet->holds[i];
        char since[25];
        str_time(hold->since_ms, since);
        buf_printf(out, "hold: %s%s since %s: %s\n",
                   hold_reason_name(hold->reason),
                   hold->ours ? "" : " (another scope)", since, hold->message);
    }
}

/** Tasks whose wait is not told by their state. */
struct odd {
    int64_t now_ms;
    size_t untold;     /* ended, and the events topic does not take it */
    int64_t oldest_ms; /* of these */
    size_t held;   /* for a worker with another key or base URL */
    size_t parked; /* without a request, or refused by the store: left alone */
    size_t suspects; /* their workers died, again and again: tried rarely */
};

static void count_odd(void *context, struct job *job)
{
    struct odd *odd = context;
    odd->held += job->hold == HOLD_ACCOUNT;
    odd->parked += job->phase == JOB_PARKED;
    odd->suspects += job->task.row.takeovers > SUSPECT_TAKEOVERS;
    const struct task_row *row = &job->task.row;
    if ((row->state == SUCCEEDED || row->state == FAILED) &&
        row->settled_ms < odd->now_ms - UNTOLD_MS) {
        odd->untold++;
        odd->oldest_ms = row->settled_ms < odd->oldest_ms ? row->settled_ms
                                                          : odd->oldest_ms;
    }
}

static struct odd tasks_odd(const struct status *s)
{
    struct odd odd = {.now_ms = engine_now_ms(s->engine),
                      .oldest_ms = INT64_MAX};
    jobs_each(&s->engine->jobs, count_odd, &odd);
    return odd;
}

static void list_odd(const struct status *s, struct buf *out)
{
    const struct unreadable *unreadable = &s->fleet->unreadable;
    const struct odd odd = tasks_odd(s);
    if (unreadable->last.rows > 0) {
        buf_printf(out,
                   "unreadable: %lld rows are left for a later program, the "
                   "first that of %s\n",
                   (long long)unreadable->last.rows, unreadable->last.first);
    }
    if (odd.parked > 0) {
        buf_printf(out, "parked: %zu tasks can't go on; the log names them\n",
                   odd.parked);
    }
    if (odd.suspects > 0) {
        buf_printf(out, "suspect: %zu tasks were taken over again and again; the "
                        "log names them\n",
                   odd.suspects);
    }
    if (odd.untold > 0) {
        char since[25];
        const char *why = s->engine->announce_err.text;
        str_time(odd.oldest_ms, since);
        buf_printf(out, "untold: %zu ends wait to be announced, since %s%s%s\n",
                   odd.untold, since, why[0] ? ": " : "", why);
    }
    if (odd.held > 0) {
        buf_printf(out,
                   "hold: account: %zu tasks were sent under another key or "
                   "base URL than ours\n",
                   odd.held);
    }
}

static void answer_ready(const struct status *s, struct admin_answer *answer)
{
    answer->content_type = "text/plain; charset=utf-8";
    answer->status = 200;
    if (list_missing(s, answer->body)) {
        answer->status = 503;
    } else {
        buf_add_text(answer->body, "ready\n");
    }
    list_holds(s, answer->body);
    list_odd(s, answer->body);
}

static void answer_scale(const struct status *s, struct admin_answer *answer)
{
    answer->content_type = "application/json";
    answer->status = 200;
    buf_printf(answer->body,
               "{\"queued\":%lld,\"in_flight\":%lld,\"workers\":%zu,"
               "\"tasks_max\":%d}\n",
               (long long)s->fleet->queued, (long long)s->fleet->in_flight,
               fleet_alive(s->fleet), s->engine->options.tasks_max);
}

static void count_state(void *context, struct job *job)
{
    size_t *counts = context;
    counts[job->task.row.state]++;
}

static void answer_metrics(const struct status *s, struct admin_answer *answer)
{
    size_t counts[TASK_STATES_LEN] = {0};
    jobs_each(&s->engine->jobs, count_state, counts);
    for (int i = 0; i < TASK_STATES_LEN; i++) {
        metric_set(s->engine->metrics.states[i], (double)counts[i]);
    }
    struct metrics *m = s->engine->edges.metrics;
    const struct odd odd = tasks_odd(s);
    metric_set(metric_get(m, METRIC_GAUGE, "pixverse_tasks_of_other_accounts",
                          NULL,
                          "Tasks that wait for a worker with another key or "
                          "base URL (hold account)."),
               (double)odd.held);
    metric_set(metric_get(m, METRIC_GAUGE, "pixverse_tasks_parked", NULL,
                          "Tasks that can't go on; the log names them."),
               (double)odd.parked);
    metric_set(metric_get(m, METRIC_GAUGE, "pixverse_tasks_suspect", NULL,
                          "Tasks taken over again and again: tried rarely."),
               (double)odd.suspects);
    metric_set(metric_get(m, METRIC_GAUGE, "pixverse_loop_longest_turn_seconds",
                          NULL, "Longest turn of the loop since last asked."),
               (double)loop_longest_turn_us(s->engine->edges.loop) / 1e6);
    if (s->intake->consumer) {
        metric_set(metric_get(m, METRIC_GAUGE, "pixverse_kafka_lag", NULL,
                              "Messages not yet read; -1: unknown."),
                   (double)consumer_lag(s->intake->consumer));
    }
    answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
    answer->status = 200;
    metrics_write(m, answer->body);
}

void status_answer(void *context, struct str path, struct admin_answer *answer)
{
    const struct status *s = context;
    if (str_eq(path, STR("/healthz"))) {
        answer->content_type = "text/plain; charset=utf-8";
        answer->status = 200;
        buf_add_text(answer->body, "ok\n");
    } else if (str_eq(path, STR("/readyz"))) {
        answer_ready(s, answer);
    } else if (str_eq(path, STR("/metrics"))) {
        answer_metrics(s, answer);
    } else if (str_eq(path, STR("/scale"))) {
        answer_scale(s, answer);
    }
}
