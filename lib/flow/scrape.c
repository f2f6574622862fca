#include "flow/scrape.h"

#include "base/process.h"
#include "flow/survey.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

static void gauge(struct metrics *m, const char *name, const char *labels,
                  const char *help, double value)
{
    metric_set(metric_get(m, METRIC_GAUGE, name, labels, help), value);
}

static double since(int64_t now_ms, int64_t then_ms)
{
    return then_ms < now_ms ? (double)(now_ms - then_ms) / 1e3 : 0;
}

static void tell_waits(const struct engine *engine, struct metrics *m)
{
    char labels[64];
    struct lasting all[REASON_WORDS_MAX];
    survey_reasons(engine, all);
    for (size_t i = 0; reason_word(i); i++) {
        snprintf(labels, sizeof labels, "reason=\"%s\"", reason_word(i));
        gauge(m, "pixverse_tasks_waiting", labels,
              "Tasks whose tries have come to nothing for half a minute, by "
              "what came of the last.",
              (double)all[i].tasks);
    }
    for (int i = 0; i < SHARED_REASONS_LEN; i++) {
        snprintf(labels, sizeof labels, "reason=\"%s\"",
                 shared_reason_name((enum shared_reason)i));
        gauge(m, "pixverse_shared_reason", labels,
              "1 while tasks of this worker wait for it.",
              engine->reasons.shared[i].since_ms != 0);
    }
}

static void tell_tasks(struct engine *engine, struct metrics *m)
{
    struct survey now;
    survey_tasks(engine, &now);
    for (int i = 0; i < TASK_STATES_LEN; i++) {
        metric_set(engine->tally.states[i], (double)now.states[i]);
    }
    tenants_occupy(&engine->tally.tenants, &engine->turns.claims.shares.uses);
    gauge(m, "pixverse_tasks_of_other_accounts", NULL,
          "Tasks that wait for a worker with another key or base URL (hold "
          "account).",
          (double)now.held);
    gauge(m, "pixverse_tasks_parked", NULL,
          "Tasks that can't go on; the log names them.", (double)now.parked);
    gauge(m, "pixverse_tasks_suspect", NULL,
          "Tasks taken over again and again: tried rarely.",
          (double)now.suspects);
    gauge(m, "pixverse_tasks_in_doubt", NULL,
          "Tasks of this worker whose submission is unanswered.",
          (double)now.doubts);
    gauge(m, "pixverse_doubt_age_seconds", NULL,
          "Since the first send of the oldest of them; 0: none.",
          since(now.now_ms, now.doubt_since_ms));
    gauge(m, "pixverse_tasks_unannounced", NULL,
          "Settled tasks whose event Kafka has not taken yet.",
          (double)now.unannounced);
    gauge(m, "pixverse_unannounced_age_seconds", NULL,
          "Since the oldest of them settled; 0: none.",
          since(now.now_ms, now.settled_ms));
    gauge(m, "pixverse_video_expiry_seconds", NULL,
          "Until the first URL expires of a paid video that is not stored yet; "
          "+Inf: none waits, below 0: it has expired.",
          now.expires_ms == INT64_MAX
              ? INFINITY
              : (double)(now.expires_ms - now.now_ms) / 1e3);
}

static void counter(struct metrics *m, const char *name, const char *help,
                    double value)
{
    metric_set(metric_get(m, METRIC_COUNTER, name, NULL, help), value);
}

static void tell_process(struct metrics *m)
{
    struct process_usage usage;
    process_usage(&usage);
    counter(m, "process_cpu_seconds_total", "User and system CPU time spent.",
            usage.cpu_seconds);
    gauge(m, "process_resident_memory_bytes", NULL, "Resident memory size.",
          usage.resident_bytes);
    gauge(m, "process_virtual_memory_bytes", NULL, "Virtual memory size.",
          usage.virtual_bytes);
    gauge(m, "process_open_fds", NULL, "Open file descriptors.",
          usage.open_fds);
    gauge(m, "process_max_fds", NULL, "Most file descriptors that may be open.",
          usage.max_fds);
    struct metric *start =
        metric_get(m, METRIC_GAUGE, "process_start_time_seconds", NULL,
                   "When the process began, since the Unix epoch.");
    if (metric_value(start) == 0) { /* the clock may be set meanwhile */
        metric_set(start, usage.start_seconds);
    }
    gauge(m, "pixverse_build_info", "version=\"" PROGRAM_VERSION "\"",
          "1; the labels say which program this is.", 1);
}

void scrape(struct engine *engine, const struct consumer *consumer, bool ready,
            struct buf *out)
{
    assert(engine && out);
    struct metrics *m = engine->edges.metrics;
    tell_tasks(engine, m);
    tell_waits(engine, m);
    gauge(m, "pixverse_loop_longest_turn_seconds", NULL,
          "Longest turn of the loop in the last half minute to minute.",
          (double)loop_longest_turn_us(engine->edges.loop) / 1e6);
    gauge(m, "pixverse_ready", NULL,
          "1 while /readyz says 200: PostgreSQL and Kafka answer, and the "
          "worker is not draining.",
          ready);
    if (consumer) {
        const int64_t lag = consumer_lag(consumer);
        gauge(m, "pixverse_kafka_lag_messages", NULL,
              "Messages not yet read; NaN: unknown.",
              lag >= 0 ? (double)lag : NAN);
    }
    tell_process(m);
    metrics_write(m, out);
}
