#include "ctl.h"

#include "row.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* clang-format off */
static const struct option options[] = {
    {"--interval", "SECONDS", "between two looks, default 2", false},
    {"--count", "N", "stop after so many looks; default: go on", false},
    {"--json", NULL, "one JSON object a look", false},
    {"--help", NULL, "this text", false},
    {0},
};
/* clang-format on */

static void dress(json_t *row)
{
    json_object_set_new(row, "states", row_states(row));
    char time_text[25];
    str_time(row_number(row, "now_ms"), time_text);
    json_object_set_new(row, "time", json_string(time_text));
    json_object_del(row, "now_ms");
    size_t i;
    json_t *end;
    json_array_foreach(json_object_get(row, "ends"), i, end)
    {
        json_object_set_new(end, "now_ms",
                            json_integer(row_number(end, "closed_ms")));
        row_dress(end);
    }
}

static void print_holds(const struct ctl *ctl, const json_t *holds)
{
    static const struct column columns[] = {{"HELD BY", COLUMN_WHOLE},
                                            {"SCOPE", COLUMN_CUT},
                                            {"SINCE", COLUMN_WHOLE},
                                            {"BECAUSE", COLUMN_CUT},
                                            {0}};
    struct table *table = table_new(columns);
    size_t i;
    json_t *hold;
    json_array_foreach(holds, i, hold)
    {
        char since[25];
        str_time(row_number(hold, "since_ms"), since);
        const char *const cells[] = {row_text(hold, "reason"),
                                     row_text(hold, "scope"), since,
                                     row_text(hold, "message")};
        table_add(table, cells, 0, HUE_BAD);
    }
    if (table_rows(table) > 0) {
        putchar('\n');
    }
    table_print(table, ctl->width, ctl->colours);
}

static void print_ends(const struct ctl *ctl, const json_t *ends)
{
    static const struct column columns[] = {
        {"TOLD", COLUMN_WHOLE}, {"REQUEST", COLUMN_WHOLE}, {"END", COLUMN_CUT},
        {"MODE", COLUMN_CUT},   {"TOOK", COLUMN_CUT},      {0}};
    struct table *table = table_new(columns);
    size_t i;
    json_t *end;
    json_array_foreach(ends, i, end)
    {
        char took[40];
        const char *kind = row_text(end, "kind");
        format_duration(row_number(end, "age_ms"), took, sizeof took);
        const char *const cells[] = {
            row_text(json_object_get(end, "times"), "closed"),
            row_text(end, "request_id"), kind[0] ? kind : "completed",
            row_text(end, "mode"), took};
        table_add(table, cells, 2, kind[0] ? HUE_BAD : HUE_GOOD);
    }
    if (table_rows(table) > 0) {
        putchar('\n');
    }
    table_print(table, ctl->width, ctl->colours);
}

static void print_screen(const struct ctl *ctl, const json_t *row)
{
    if (ctl->width > 0) {
        fputs("\x1b[H\x1b[2J", stdout);
    }
    printf("%s  %" PRId64 " workers\n", row_text(row, "time"),
           row_number(row, "workers"));
    const char *name;
    json_t *count;
    json_object_foreach(json_object_get(row, "states"), name, count)
    {
        printf("  %s %" JSON_INTEGER_FORMAT, name, json_integer_value(count));
    }
    putchar('\n');
    print_holds(ctl, json_object_get(row, "holds"));
    print_ends(ctl, json_object_get(row, "ends"));
    fflush(stdout);
}

static bool look(struct ctl *ctl)
{
    json_t *rows = ctl_rows(ctl, "ctl_watch", NULL, 0);
    json_t *row = json_array_get(rows, 0);
    if (row) {
        dress(row);
        if (ctl->json) {
            ctl_print_json(row);
        } else {
            print_screen(ctl, row);
        }
    }
    bool good = row != NULL && !ferror(stdout);
    json_decref(rows);
    return good;
}

static int run(struct ctl *ctl, const struct options *given)
{
    const char *interval = options_get(given, "--interval");
    const char *count = options_get(given, "--count");
    int64_t interval_s = 2;
    int64_t looks = INT64_MAX;
    if (given->words_len > 0) {
        return ctl_usage("watch", "\"%s\" is one word too many",
                         given->words[0]);
    }
    if (interval && !str_to_i64(str_of(interval), 1, 3600, &interval_s)) {
        return ctl_usage("watch", "--interval is \"%s\", allowed: 1..3600",
                         interval);
    }
    if (count && !str_to_i64(str_of(count), 1, INT64_MAX, &looks)) {
        return ctl_usage("watch", "--count is \"%s\", allowed: 1 or more",
                         count);
    }
    while (look(ctl)) {
        if (--looks == 0) {
            return EXIT_DONE;
        }
        struct timespec span = {.tv_sec = interval_s};
        nanosleep(&span, NULL);
    }
    return EXIT_FAILED;
}

const struct command command_watch = {
    .name = "watch",
    .usage = "[flags]",
    .help = "counts by state, holds and the newest ends, again and again",
    .text = "Examples:\n"
            "  pixverse-ctl watch\n"
            "  pixverse-ctl watch --json --count 1\n",
    .options = options,
    .run = run,
};
