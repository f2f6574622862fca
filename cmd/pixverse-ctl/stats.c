#include "budgets.h"
#include "cells.h"

#include "core/history.h"
#include "core/task.h"
#include "merge.h"
#include "row.h"
#include "table.h"
#include "when.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* clang-format off */
static const struct option options[] = {
    {"--since", "DAY", "from this day (UTC) on, as 2026-11-22 or a time in it; default: all", false},
    {"--until", "DAY", "to this day, which counts too; default: today", false},
    {"--by", "LIST", "what to sum by: day, tenant, account, mode, kind, cell, several separated by commas; default day, and cell where there are several", false},
    {"--json", NULL, "one JSON object a line", false},
    {"--help", NULL, "this text", false},
    {0},
};
/* clang-format on */

static const char *const keys[] = {"cell",    "day",  "tenant",
                                   "account", "mode", "kind"};

#define KEYS_LEN (sizeof keys / sizeof *keys)
#define KEY_CELL 0 /* the others are columns */
#define DAY_BYTES 16

/** What is asked for. */
struct question {
    char since[DAY_BYTES]; /* dates */
    char until[DAY_BYTES];
    bool by[KEYS_LEN];
    char list[64]; /* an array literal of them */
};

/** A day, or the day of a time, as a date. */
static bool day_of(const struct options *given, const char *name, char *out)
{
    const char *text = options_get(given, name);
    struct tm utc = {0};
    int64_t ms = 0;
    if (!text) {
        return true;
    }
    const char *rest = strptime(text, "%Y-%m-%d", &utc);
    if (rest && !*rest) {
        ms = when_utc(&utc, &ms) ? ms : 0;
    } else if (!when_read(text, &ms)) {
        ms = 0;
    }
    time_t at_s = (time_t)(ms / 1000);
    if (ms <= 0 || !gmtime_r(&at_s, &utc) || utc.tm_year + 1900 > 9999) {
        ctl_usage("stats",
                  "%s \"%s\" is no day, allowed: a date as 2026-11-22, RFC "
                  "3339 with a zone, or milliseconds of Unix time",
                  name, text);
        return false;
    }
    return strftime(out, DAY_BYTES, "%Y-%m-%d", &utc) > 0;
}

static bool add_key(struct question *question, struct str word)
{
    for (size_t i = 0; i < KEYS_LEN; i++) {
        if (str_eq(word, str_of(keys[i]))) {
            question->by[i] = true;
            return true;
        }
    }
    ctl_usage("stats",
              "--by \"%.*s\" is nothing to sum by, allowed: day, tenant, "
              "account, mode, kind, cell (with DATABASE_URLS), several "
              "separated by commas",
              (int)word.len, word.at);
    return false;
}

static bool by_of(const struct ctl *ctl, const struct options *given,
                  struct question *question)
{
    const char *text = options_get(given, "--by");
    const char *usual = ctl->cells_len ? "cell,day" : "day";
    for (const char *at = text ? text : usual; at;) {
        size_t len = strcspn(at, ",");
        if (!add_key(question, str_trim((struct str){at, len}))) {
            return false;
        }
        at = at[len] ? at + len + 1 : NULL;
    }
    size_t n = 1;
    snprintf(question->list, sizeof question->list, "{");
    for (size_t i = KEY_CELL + 1; i < KEYS_LEN; i++) {
        if (question->by[i]) {
            n += (size_t)snprintf(question->list + n, sizeof question->list - n,
                                  "%s%s", n > 1 ? "," : "", keys[i]);
        }
    }
    snprintf(question->list + n, sizeof question->list - n, "}");
    return true;
}

/** Within which bound the n-th hundredth lies; 0: beyond the last. */
static int64_t within_ms(const json_t *row, int64_t percent)
{
    static const int64_t bounds[] = HISTORY_BOUNDS_MS;
    const json_t *latency = json_object_get(row, "latency");
    int64_t all = row_number(row, "count");
    int64_t so_far = 0;
    for (size_t i = 0; i + 1 < HISTORY_BUCKETS; i++) {
        so_far += json_integer_value(json_array_get(latency, i));
        if (so_far * 100 >= all * percent) {
            return bounds[i];
        }
    }
    return 0;
}

static const char *within_words(const json_t *row, int64_t percent, char *out,
                                size_t bytes)
{
    int64_t ms = within_ms(row, percent);
    if (!ms) {
        return "over a day";
    }
    return format_duration(ms, out, bytes);
}

static void dress(json_t *row)
{
    static const int64_t bounds[] = HISTORY_BOUNDS_MS;
    const json_t *kind = json_object_get(row, "kind");
    const json_t *mode = json_object_get(row, "mode");
    if (kind) {
        int64_t n = json_integer_value(kind);
        const char *word = n == FAILURE_NONE ? "completed"
                           : n < 0 || n >= FAILURE_KINDS_LEN
                               ? "unknown"
                               : failure_kind_name((enum failure_kind)n);
        json_object_set_new(row, "kind", json_string(word));
    }
    if (mode) {
        const char *word =
            request_mode_name((enum request_mode)json_integer_value(mode));
        json_object_set_new(row, "mode", json_string(word));
    }
    const json_t *latency = json_object_get(row, "latency");
    json_t *buckets = json_array();
    for (size_t i = 0; i < HISTORY_BUCKETS; i++) {
        json_t *bucket = json_pack(
            "{s:I}", "count",
            (json_int_t)json_integer_value(json_array_get(latency, i)));
        if (i + 1 < HISTORY_BUCKETS) {
            json_object_set_new(bucket, "below_ms", json_integer(bounds[i]));
        }
        json_array_append_new(buckets, bucket);
    }
    json_object_set_new(row, "latency", buckets);
}

static struct table *table_of(const struct question *question)
{
    struct column columns[KEYS_LEN + 7] = {0};
    static const char *const more[] = {"ENDS",    "COMPLETED", "COST",
                                       "CREDITS", "HALF IN",   "95 % IN"};
    static const char *const heads[] = {"CELL",    "DAY",  "TENANT",
                                        "ACCOUNT", "MODE", "KIND"};
    size_t n = 0;
    for (size_t i = 0; i < KEYS_LEN; i++) {
        if (question->by[i]) {
            columns[n++] = (struct column){heads[i], COLUMN_WHOLE};
        }
    }
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        columns[n++] = (struct column){more[i], COLUMN_CUT};
    }
    return table_new(columns);
}

static void add_row(struct table *table, const struct question *question,
                    json_t *row)
{
    char count[24];
    char completed[24];
    char cost[40];
    char credits[40];
    char half[40];
    char most[40];
    const char *cells[KEYS_LEN + 6] = {0};
    size_t n = 0;
    const char *half_words = within_words(row, 50, half, sizeof half);
    const char *most_words = within_words(row, 95, most, sizeof most);
    snprintf(count, sizeof count, "%" PRId64, row_number(row, "count"));
    snprintf(completed, sizeof completed, "%" PRId64,
             row_number(row, "completed"));
    snprintf(cost, sizeof cost, "%.10g",
             json_number_value(json_object_get(row, "cost")));
    snprintf(credits, sizeof credits, "%.10g",
             json_number_value(json_object_get(row, "credits_cost")));
    dress(row);
    for (size_t i = 0; i < KEYS_LEN; i++) {
        if (question->by[i]) {
            cells[n++] = row_text(row, keys[i]);
        }
    }
    cells[n++] = count;
    cells[n++] = completed;
    cells[n++] = cost;
    cells[n++] = credits;
    cells[n++] = half_words;
    cells[n] = most_words;
    table_add(table, cells, 0, HUE_PLAIN);
}

static int print(const struct ctl *ctl, const struct question *question,
                 json_t *rows)
{
    struct table *table = ctl->json ? NULL : table_of(question);
    size_t i;
    json_t *row;
    if (!ctl->json && !table) {
        fprintf(stderr, "pixverse-ctl: no memory\n");
        return EXIT_FAILED;
    }
    json_array_foreach(rows, i, row)
    {
        if (ctl->json) {
            dress(row);
            ctl_print_json(row);
        } else {
            add_row(table, question, row);
        }
    }
    if (table && json_array_size(rows)) {
        table_print(table, ctl->width, ctl->colours);
    } else if (table) {
        table_print(table, 0, false);
        printf("nothing ended then\n");
    }
    return EXIT_DONE;
}

/** Of all cells; null: of none. Their budgets go to `budgets`, unless null. */
static json_t *ask(struct ctl *ctl, const struct question *question,
                   json_t *budgets)
{
    const char *const params[] = {question->since, question->until,
                                  question->list};
    json_t *all = json_array();
    bool answered = false;
    for (size_t i = 0; i < cells_len(ctl); i++) {
        cells_turn(ctl, i);
        json_t *rows = ctl_rows(ctl, "ctl_stats", params, 3);
        answered = answered || rows;
        if (question->by[KEY_CELL]) {
            cells_mark(ctl, rows);
            json_array_extend(all, rows);
        } else {
            merge_stats(all, rows, keys + 1, KEYS_LEN - 1);
        }
        if (rows && budgets) {
            json_t *some = budgets_read(ctl);
            json_array_extend(budgets, some);
            json_decref(some);
        }
        json_decref(rows);
    }
    if (!answered) {
        json_decref(all);
    }
    return answered ? all : NULL;
}

static int run(struct ctl *ctl, const struct options *given)
{
    struct question question = {.since = "1970-01-01", .until = "9999-12-31"};
    if (given->words_len) {
        return ctl_usage("stats", "\"%s\" is too much: it takes flags only",
                         given->words[0]);
    }
    if (!day_of(given, "--since", question.since) ||
        !day_of(given, "--until", question.until) ||
        !by_of(ctl, given, &question)) {
        return EXIT_USAGE;
    }
    if (strcmp(question.since, question.until) > 0) {
        return ctl_usage("stats", "--since %s is after --until %s",
                         question.since, question.until);
    }
    json_t *budgets = ctl->json ? NULL : json_array();
    json_t *rows = ask(ctl, &question, budgets);
    int status = rows ? print(ctl, &question, rows) : EXIT_FAILED;
    if (status == EXIT_DONE && json_array_size(budgets) > 0) {
        fputs("\nbudgets now:\n", stdout);
        budgets_print(ctl, budgets);
    }
    json_decref(budgets);
    json_decref(rows);
    return cells_status(ctl, status);
}

const struct command command_stats = {
    .name = "stats",
    .usage = "[flags]",
    .help = "how many ended, how, at what cost and how fast, by day",
    .text =
        "Counts what has ended for good, one end a submission, on the day "
        "(UTC) of its end:\nwhat is there, and what was pruned "
        "(HISTORY_DAYS). Cost as far as the provider told\nit. Beneath the table: how "
        "budgets stand now (with --json: 'pixverse-ctl budget\nlist "
        "--json').\n\n"
        "Examples:\n"
        "  pixverse-ctl stats --since 2026-11-01\n"
        "  pixverse-ctl stats --by tenant,kind --json\n",
    .options = options,
    .run = run,
    .cells = true,
};
