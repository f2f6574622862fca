#include "ctl.h"

#include "row.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* clang-format off */
static const struct option options[] = {
    {"--state", "STATE", "queued, submitting, running, ready, succeeded, failed, late or closed", true},
    {"--tenant", "NAME", "only this tenant's", false},
    {"--since", "TIME", "received within 90s, 30m, 2h or 7d, or since 2026-11-22[T06:00:00]", false},
    {"--limit", "N", "at most so many, the newest first; default 50", false},
    {"--json", NULL, "one JSON object a line", false},
    {"--help", NULL, "this text", false},
    {0},
};
/* clang-format on */

/** "{0,3}" of --state; false after saying which is none. */
static bool states_of(const struct options *given, struct buf *states)
{
    for (size_t i = 0; i < given->len; i++) {
        enum task_state state;
        if (strcmp(given->values[i].name, "--state") != 0) {
            continue;
        }
        if (!task_state_parse(str_of(given->values[i].value), &state)) {
            ctl_usage("list", "\"%s\" is no state", given->values[i].value);
            return false;
        }
        buf_printf(states, "%s%d", states->len ? "," : "{", (int)state);
    }
    if (states->len) {
        buf_add_char(states, '}');
    }
    return true;
}

static int64_t unit_seconds(char unit)
{
    switch (unit) {
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3600;
    case 'd':
        return 86400;
    default:
        return 0;
    }
}

static bool since_of(const char *text, int64_t *since_ms)
{
    size_t len = strlen(text);
    int64_t number;
    int64_t unit_s = len > 1 ? unit_seconds(text[len - 1]) : 0;
    if (unit_s &&
        str_to_i64((struct str){text, len - 1}, 0, 1000000000, &number)) {
        *since_ms = ((int64_t)time(NULL) - number * unit_s) * 1000;
        return true;
    }
    struct tm utc = {0};
    const char *rest = strptime(text, "%Y-%m-%d", &utc);
    if (rest && *rest == 'T') {
        rest = strptime(rest + 1, "%H:%M:%S", &utc);
    }
    if (!rest || (*rest != '\0' && strcmp(rest, "Z") != 0)) {
        return false;
    }
    *since_ms = (int64_t)timegm(&utc) * 1000;
    return true;
}

static void print_table(const struct ctl *ctl, const json_t *rows)
{
    static const char *const heads[] = {"REQUEST", "TENANT", "STATE", "MODE",
                                        "PRIO",    "AGE",    "COST",  "TASK"};
    struct table table;
    table_init(&table, heads, sizeof heads / sizeof heads[0]);
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        char state[60];
        char priority[24];
        char age[40];
        char cost[40] = "";
        const char *kind = row_text(row, "kind");
        bool late = json_is_true(json_object_get(row, "late"));
        bool closed = strcmp(row_text(row, "state"), "closed") == 0;
        const char *word = !closed   ? row_text(row, "state")
                           : kind[0] ? "failed"
                                     : "completed";
        snprintf(state, sizeof state, "%s%s%s%s", word, kind[0] ? ": " : "",
                 kind, late ? " (late)" : "");
        snprintf(priority, sizeof priority, "%" PRId64,
                 row_number(row, "priority"));
        format_duration(row_number(row, "age_ms"), age, sizeof age);
        if (json_object_get(row, "cost")) {
            snprintf(cost, sizeof cost, "%.4g",
                     json_number_value(json_object_get(row, "cost")));
        }
        const char *const cells[] = {row_text(row, "request_id"),
                                     row_text(row, "tenant"),
                                     state,
                                     row_text(row, "mode"),
                                     priority,
                                     age,
                                     cost,
                                     row_text(row, "provider_task_id")};
        table_add(&table, cells);
    }
    table_print(&table, ctl->width);
    table_done(&table);
}

static int print_rows(const struct ctl *ctl, json_t *rows)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        row_dress(row);
        if (ctl->json) {
            ctl_print_json(row);
        }
    }
    if (!ctl->json && json_array_size(rows) == 0) {
        puts("no request fits (pixverse-ctl submit makes one)");
    } else if (!ctl->json) {
        print_table(ctl, rows);
    }
    return EXIT_DONE;
}

static int run(struct ctl *ctl, const struct options *given)
{
    if (given->words_len > 0) {
        return ctl_usage("list", "\"%s\" is one word too many",
                         given->words[0]);
    }
    const char *limit = options_get(given, "--limit");
    const char *since = options_get(given, "--since");
    int64_t limit_number = 50;
    int64_t since_ms = 0;
    if (limit && !str_to_i64(str_of(limit), 1, 1000000, &limit_number)) {
        return ctl_usage("list", "--limit is \"%s\", allowed: 1..1000000",
                         limit);
    }
    if (since && !since_of(since, &since_ms)) {
        return ctl_usage("list",
                         "--since is \"%s\", allowed: 90s, 30m, 2h, 7d "
                         "or 2026-11-22T06:00:00",
                         since);
    }
    struct buf states;
    buf_init(&states, 0);
    int status = EXIT_USAGE;
    if (states_of(given, &states)) {
        char limit_text[24];
        char since_text[24];
        snprintf(limit_text, sizeof limit_text, "%" PRId64, limit_number);
        snprintf(since_text, sizeof since_text, "%" PRId64, since_ms);
        const char *params[] = {states.len ? states.bytes : NULL,
                                options_get(given, "--tenant"), since_text,
                                limit_text};
        json_t *rows = ctl_rows(ctl, "ctl_list", params, 4);
        status = rows ? print_rows(ctl, rows) : EXIT_FAILED;
        json_decref(rows);
    }
    buf_done(&states);
    return status;
}

const struct command command_list = {
    .name = "list",
    .usage = "[flags]",
    .help = "the newest requests and where they are",
    .text = "Examples:\n"
            "  pixverse-ctl list --state running --state ready\n"
            "  pixverse-ctl list --tenant studio-a --since 2h --json\n",
    .options = options,
    .run = run,
};
