#include "ctl.h"

#include "row.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* clang-format off */
static const struct option options[] = {
    {"--state", "STATE", "queued, submitting, running, ready, succeeded, completed, failed, late, closed, or a kind of failure", true},
    {"--tenant", "NAME", "only this tenant's", false},
    {"--since", "TIME", "received within 90s, 30m, 2h or 7d, or since 2026-11-22[T06:00:00]", false},
    {"--limit", "N", "at most so many, the newest first; default 50", false},
    {"--json", NULL, "one JSON object a line", false},
    {"--help", NULL, "this text", false},
    {0},
};
/* clang-format on */

/** "{0,3}" of all words. */
static void add_number(struct buf *numbers, int number)
{
    buf_printf(numbers, "%s%d", numbers->len ? "," : "{", number);
}

/** The word that a row is shown with, without what stands around it. */
static struct str without_dress(struct str word)
{
    static const char *const before[] = {"failed: ", "late: "};
    const struct str late = STR(" (late)");
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        if (str_starts(word, str_of(before[i]))) {
            word.at += strlen(before[i]);
            word.len -= strlen(before[i]);
        }
    }
    if (str_ends(word, late)) {
        word.len -= late.len;
    }
    return word;
}

/** A state, or a word that is shown in its place: what is told is completed, or
 * failed as one of the kinds. false: neither.
 *
 * @param states  Gets states.
 * @param pairs   Gets 100 * state + kind. */
static bool add_state(struct str word, struct buf *states, struct buf *pairs)
{
    enum task_state state;
    enum failure_kind kind;
    word = without_dress(word);
    bool failed = str_eq(word, STR("failed"));
    if (str_eq(word, STR("completed"))) {
        add_number(pairs, CLOSED * 100);
        return true;
    }
    if (!failed && task_state_parse(word, &state)) {
        add_number(states, (int)state);
        return true;
    }
    if (!failed && (!failure_kind_parse(word, &kind) || kind == FAILURE_NONE)) {
        return false;
    }
    for (int k = FAILURE_NONE + 1; k < FAILURE_KINDS_LEN; k++) {
        if (failed || k == (int)kind) {
            add_number(pairs, FAILED * 100 + k);
            add_number(pairs, CLOSED * 100 + k);
        }
        if (!failed && k == (int)kind) {
            add_number(pairs, LATE * 100 + k);
        }
    }
    return true;
}

/** Whether every --state is one; says which is none. */
static bool states_of(const struct options *given, struct buf *states,
                      struct buf *pairs)
{
    for (size_t i = 0; i < given->len; i++) {
        if (strcmp(given->values[i].name, "--state") == 0 &&
            !add_state(str_of(given->values[i].value), states, pairs)) {
            ctl_usage("list",
                      "\"%s\" is no state, allowed: queued, submitting, "
                      "running, ready, succeeded, completed, failed, late, "
                      "closed, or a kind of failure such as timed_out",
                      given->values[i].value);
            return false;
        }
    }
    /* One word given means that nothing else fits. */
    if (states->len || pairs->len) {
        buf_add_text(states, states->len ? "}" : "{}");
        buf_add_text(pairs, pairs->len ? "}" : "{}");
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

/** The word that is shown: what --state takes too. */
static const char *word_of(const json_t *row)
{
    const char *state = row_text(row, "state");
    if (strcmp(state, "closed") != 0) {
        return state;
    }
    return row_text(row, "kind")[0] ? "failed" : "completed";
}

static enum hue hue_of(const char *word)
{
    static const struct {
        const char *word;
        enum hue hue;
    } hues[] = {
        {"completed", HUE_GOOD}, {"succeeded", HUE_GOOD},
        {"failed", HUE_BAD},     {"late", HUE_BAD},
        {"queued", HUE_WAITS},   {"submitting", HUE_BUSY},
        {"running", HUE_BUSY},   {"ready", HUE_BUSY},
    };
    for (size_t i = 0; i < sizeof hues / sizeof hues[0]; i++) {
        if (strcmp(hues[i].word, word) == 0) {
            return hues[i].hue;
        }
    }
    return HUE_PLAIN;
}

static void add_row(struct table *table, const json_t *row)
{
    char state[60];
    char priority[24];
    char span[40];
    char when[60];
    char took[40] = "";
    char cost[40] = "";
    const char *kind = row_text(row, "kind");
    bool late = json_is_true(json_object_get(row, "late"));
    snprintf(state, sizeof state, "%s%s%s%s", word_of(row), kind[0] ? ": " : "",
             kind, late ? " (late)" : "");
    snprintf(priority, sizeof priority, "%" PRId64,
             row_number(row, "priority"));
    snprintf(when, sizeof when, "%s ago",
             format_duration(row_number(row, "ago_ms"), span, sizeof span));
    if (json_object_get(json_object_get(row, "times"), "settled")) {
        format_duration(row_number(row, "age_ms"), took, sizeof took);
    }
    if (json_object_get(row, "cost")) {
        snprintf(cost, sizeof cost, "%.4g",
                 json_number_value(json_object_get(row, "cost")));
    }
    const char *const cells[] = {row_text(row, "request_id"),
                                 row_text(row, "tenant"),
                                 state,
                                 row_text(row, "mode"),
                                 priority,
                                 when,
                                 took,
                                 cost,
                                 row_text(row, "provider_task_id")};
    table_add(table, cells, 2, hue_of(word_of(row)));
}

static void print_table(const struct ctl *ctl, const json_t *rows)
{
    static const struct column columns[] = {
        {"REQUEST", COLUMN_WHOLE}, {"TENANT", COLUMN_CUT},
        {"STATE", COLUMN_CUT},     {"MODE", COLUMN_CUT},
        {"PRIO", COLUMN_CUT},      {"WHEN", COLUMN_CUT},
        {"TOOK", COLUMN_CUT},      {"COST", COLUMN_CUT},
        {"TASK", COLUMN_WHOLE},    {0}};
    struct table *table = table_new(columns);
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        add_row(table, row);
    }
    table_print(table, ctl->width, ctl->colours);
}

static int print_rows(const struct ctl *ctl, json_t *rows)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        int64_t ago_ms =
            row_number(row, "now_ms") - row_number(row, "received_ms");
        row_dress(row);
        if (!ctl->json) {
            json_object_set_new(row, "ago_ms", json_integer(ago_ms));
        } else {
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
    struct buf pairs;
    buf_init(&states, 0);
    buf_init(&pairs, 0);
    int status = EXIT_USAGE;
    if (states_of(given, &states, &pairs)) {
        char limit_text[24];
        char since_text[24];
        snprintf(limit_text, sizeof limit_text, "%" PRId64, limit_number);
        snprintf(since_text, sizeof since_text, "%" PRId64, since_ms);
        const char *params[] = {states.len ? states.bytes : NULL,
                                options_get(given, "--tenant"), since_text,
                                limit_text, pairs.len ? pairs.bytes : NULL};
        json_t *rows = ctl_rows(ctl, "ctl_list", params, 5);
        status = rows ? print_rows(ctl, rows) : EXIT_FAILED;
        json_decref(rows);
    }
    buf_done(&states);
    buf_done(&pairs);
    return status;
}

const struct command command_list = {
    .name = "list",
    .usage = "[flags]",
    .help = "the newest requests and where they are",
    .text = "Examples:\n"
            "  pixverse-ctl list --state running --state ready\n"
            "  pixverse-ctl list --state failed --since 1d\n"
            "  pixverse-ctl list --tenant studio-a --since 2h --json\n",
    .options = options,
    .run = run,
};
