#include "doctor_storage.h"

#include "core/history.h"
#include "edge/schema.h"
#include "edge/topics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROWS_MAX INT64_C(100000000)
#define SKEW_MS 2000 /* beyond what asking takes */
#define WISHES_MAX 4

/* clang-format off */
static const struct option options[] = {
    {"--rows", "N", "look at so many of the newest requests, default 100000", false},
    {"--storage", NULL, "compare what is stored with what was told, both ways: this takes its time", false},
    {"--json", NULL, "one JSON object a finding", false},
    {"--help", NULL, "this text", false},
    {0},
};
/* clang-format on */

/* ---- PostgreSQL ---- */

/** The findings of a statement; false after saying why it can't be asked. */
static bool ask(struct doctor *doctor, const char *query,
                const char *const *params, size_t params_len)
{
    json_t *rows = ctl_rows(doctor->ctl, query, params, params_len);
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row)
    {
        char since[25];
        int64_t since_ms = row_number(row, "since_ms");
        if (since_ms > 0) {
            str_time(since_ms, since);
        }
        doctor_tell(doctor, row_text(row, "finding"), row_number(row, "n"),
                    json_object_get(row, "of"), since_ms > 0 ? since : NULL);
    }
    bool good = rows != NULL;
    json_decref(rows);
    return good;
}

static int64_t here_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool look_at_clock(struct doctor *doctor, int64_t *now_ms)
{
    int64_t before_ms = here_ms();
    json_t *rows = ctl_rows(doctor->ctl, "ctl_now", NULL, 0);
    int64_t after_ms = here_ms();
    if (!rows) {
        return false;
    }
    *now_ms = row_number(json_array_get(rows, 0), "now_ms");
    json_decref(rows);
    int64_t ahead_ms = before_ms - *now_ms; /* at the least */
    int64_t behind_ms = *now_ms - after_ms;
    int64_t skew_ms = ahead_ms > behind_ms ? ahead_ms : behind_ms;
    if (skew_ms > SKEW_MS) {
        char span[40];
        char detail[100];
        snprintf(detail, sizeof detail, "this machine's is %s %s",
                 format_duration(skew_ms, span, sizeof span),
                 ahead_ms > behind_ms ? "ahead" : "behind");
        doctor_tell_one(doctor, "clock", detail);
    }
    return true;
}

static bool look_at_postgres(struct doctor *doctor, int64_t rows_max)
{
    const struct settings *settings = &doctor->ctl->settings;
    struct schema_state state;
    struct err err = {0};
    char rows[24];
    char prune[24];
    int64_t now_ms;
    const char *param = rows;
    if (!ask(doctor, "ctl_doctor_rights", NULL, 0)) {
        return false;
    }
    if (!schema_read(settings->database_url, &state, &err) ||
        !schema_fits(&state, &err)) {
        fprintf(stderr, "pixverse-ctl doctor: %s\n", err.text);
        return false;
    }
    if (!look_at_clock(doctor, &now_ms) ||
        !ask(doctor, "ctl_doctor_postgres", NULL, 0)) {
        return false;
    }
    snprintf(rows, sizeof rows, "%" PRId64, rows_max);
    if (!ask(doctor, "ctl_doctor_rows", &param, 1)) {
        return false;
    }
    const struct history_days days = {.history = settings->history_days};
    snprintf(prune, sizeof prune, "%" PRId64,
             history_prune_before_ms(&days, now_ms));
    param = prune;
    return ask(doctor, "ctl_doctor_fleet", &param, 1);
}

/* ---- Kafka ---- */

static void on_topic(void *context, const struct topic_wish *wish,
                     enum topic_end end, const char *why)
{
    char detail[600];
    snprintf(detail, sizeof detail, "%s: %s", wish->name, why ? why : "");
    switch (end) {
    case TOPIC_THERE:
    case TOPIC_MADE:
        break;
    case TOPIC_DOUBTFUL:
        doctor_tell_one(context, "topic_doubt", detail);
        break;
    case TOPIC_FAULT:
        doctor_tell_one(context, "topic", detail);
        break;
    }
}

static void look_at_topics(struct doctor *doctor)
{
    const struct settings *s = &doctor->ctl->settings;
    const struct topics_options topics = {
        .brokers = s->kafka_brokers,
        .group = s->kafka_group,
        .properties = doctor->ctl->properties,
        .properties_len = s->kafka_conf_len,
    };
    const struct topic_wish wishes[WISHES_MAX] = {
        {s->kafka_request_topic, TOPIC_READ},
        {s->kafka_event_topic, TOPIC_WRITE},
        {s->kafka_rejected_topic, TOPIC_WRITE},
        {s->kafka_progress_topic, TOPIC_WRITE},
    };
    size_t len = s->kafka_progress_topic[0] ? WISHES_MAX : WISHES_MAX - 1;
    struct err err = {0};
    if (!topics_check(&topics, wishes, len, on_topic, doctor, &err)) {
        doctor_tell_one(doctor, "kafka", err.text);
    }
}

/* ---- The whole ---- */

static int run(struct ctl *ctl, const struct options *given)
{
    struct doctor doctor = {.ctl = ctl};
    const char *rows = options_get(given, "--rows");
    int64_t rows_max = 100000;
    if (given->words_len > 0) {
        return ctl_usage("doctor", "\"%s\" is one word too many",
                         given->words[0]);
    }
    if (rows && !str_to_i64(str_of(rows), 0, ROWS_MAX, &rows_max)) {
        return ctl_usage("doctor", "--rows is \"%s\", allowed: 0..%" PRId64,
                         rows, ROWS_MAX);
    }
    if (!look_at_postgres(&doctor, rows_max)) {
        return EXIT_USAGE; /* it can't look */
    }
    look_at_topics(&doctor);
    if (options_has(given, "--storage") && !doctor_storage(&doctor, rows_max)) {
        return EXIT_USAGE;
    }
    if (!ctl->json) {
        printf("%" PRId64 " fault%s, %" PRId64 " warning%s\n", doctor.faults,
               doctor.faults == 1 ? "" : "s", doctor.warnings,
               doctor.warnings == 1 ? "" : "s");
    }
    return doctor.faults + doctor.warnings ? EXIT_FAILED : EXIT_DONE;
}

const struct command command_doctor = {
    .name = "doctor",
    .usage = "[flags]",
    .help = "look for what is wrong, and say what to do",
    .text =
        "Rows that don't agree with one another or with their events, what "
        "lies still (doubts,\nends nobody was told of, deadlines, expiries, "
        "holds), workers, clocks, PostgreSQL (rights,\nsequences, bloat, old "
        "snapshots, settings) and topics. Nothing is changed. Exit status:\n0 "
        "nothing found, 1 findings, 2 it can't look.\n\n"
        "--storage asks for every video that was told (of the newest --rows "
        "requests) whether it is\nthere and as long, and for everything that "
        "is stored under a name of KEY_TEMPLATE whether\nit was told. It "
        "reads no video, and remembers no more than a page.\n\n"
        "Examples:\n"
        "  pixverse-ctl doctor\n"
        "  pixverse-ctl doctor --json | jq -r 'select(.level == "
        "\"fault\").finding'\n",
    .options = options,
    .run = run,
};
