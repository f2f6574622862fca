#include "cells.h"

#include "filter.h"
#include "merge.h"
#include "row.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COUNT_MAX                                                              \
    INT64_C(100000) /* counting more takes longer than it says                 \
                     */

#define ERROR_POINTS 100 /* of it in a table; --json has all */
#define FIXED_COLUMNS 9  /* then CELL and ERROR, where there are some */

/* clang-format off */
static const struct option options[] = {
    FILTER_OPTIONS,
    {"--limit", "N", "at most so many, the newest first; default 50", false},
    {"--after", "REQUEST-ID", "go on behind that one, the last of the page before; of several cells, one of each", true},
    {"--json", NULL, "one JSON object a line", false},
    {"--help", NULL, "this text", false},
    {0},
};
/* clang-format on */

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

static void add_row(struct table *table, const json_t *row, bool cells_shown)
{
    char state[240];
    char priority[24];
    char span[40];
    char when[60];
    char took[40] = "";
    char cost[40] = "";
    char error[ERROR_POINTS * 4 + 1];
    const struct str cut =
        str_cut_points(str_of(row_text(row, "error")), ERROR_POINTS);
    const char *kind = row_text(row, "kind");
    bool late = json_is_true(json_object_get(row, "late"));
    const char *source = row_text(row, "waits_for");
    snprintf(state, sizeof state, "%s%s%s%s%s%s", word_of(row),
             kind[0] ? ": " : "", kind, late ? " (late)" : "",
             source[0] ? ", waits for " : "", source);
    snprintf(error, sizeof error, "%.*s", (int)cut.len, cut.at);
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
                                 row_text(row, "provider_task_id"),
                                 cells_shown ? row_text(row, "cell") : error,
                                 error};
    table_add(table, cells, 2, hue_of(word_of(row)));
}

static void print_table(const struct ctl *ctl, const json_t *rows)
{
    struct column columns[] = {{"REQUEST", COLUMN_WHOLE},
                               {"TENANT", COLUMN_CUT},
                               {"STATE", COLUMN_CUT},
                               {"MODE", COLUMN_CUT},
                               {"PRIO", COLUMN_CUT},
                               {"WHEN", COLUMN_CUT},
                               {"TOOK", COLUMN_CUT},
                               {"COST", COLUMN_CUT},
                               {"TASK", COLUMN_WHOLE},
                               {0},
                               {0}};
    const bool cells_shown = ctl->cells_len > 0;
    size_t i;
    json_t *row;
    if (cells_shown) {
        columns[FIXED_COLUMNS] = (struct column){"CELL", COLUMN_WHOLE};
    }
    json_array_foreach(rows, i, row)
    {
        if (row_text(row, "error")[0]) {
            columns[FIXED_COLUMNS + cells_shown] =
                (struct column){"ERROR", COLUMN_CUT};
        }
    }
    struct table *table = table_new(columns);
    json_array_foreach(rows, i, row)
    {
        add_row(table, row, cells_shown);
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
        puts("no request fits");
    } else if (!ctl->json) {
        print_table(ctl, rows);
    }
    return EXIT_DONE;
}

/** Where a cell's part of the list begins. */
struct place {
    char below[24];
    const char *after; /* null: at the newest */
};

/** The last that was shown of a cell, else what its page began behind. */
static const char *last_of(const json_t *rows, const char *cell,
                           const char *after)
{
    for (size_t i = json_array_size(rows); i > 0; i--) {
        const json_t *row = json_array_get(rows, i - 1);
        if (!cell || strcmp(row_text(row, "cell"), cell) == 0) {
            return row_text(row, "request_id");
        }
    }
    return after;
}

/** How many there are of the kind that was asked for: "50 of 218". */
static int print_end(struct ctl *ctl, const struct filter *filter,
                     const struct place *places, const json_t *rows, bool more)
{
    size_t shown = json_array_size(rows);
    int64_t fit = 0;
    for (size_t i = 0; i < cells_len(ctl); i++) {
        cells_turn(ctl, i);
        int64_t some = filter_count(ctl, filter, COUNT_MAX + 1);
        if (some < 0 && !ctl->cells_len) {
            return EXIT_FAILED;
        }
        fit += some < 0 ? 0 : some;
    }
    /* Rows may have gone between the two questions. */
    fit = fit < (int64_t)shown ? (int64_t)shown : fit;
    printf("%zu of %s%" PRId64, shown, fit > COUNT_MAX ? "more than " : "",
           fit > COUNT_MAX ? COUNT_MAX : fit);
    if (more) {
        fputs("; those before:", stdout);
    }
    for (size_t i = 0; more && i < cells_len(ctl); i++) {
        cells_turn(ctl, i);
        const char *last = last_of(rows, cells_name(ctl), places[i].after);
        if (last) {
            printf(" --after %s", last);
        }
    }
    putchar('\n');
    return EXIT_DONE;
}

/** In which cell it is, and where. */
static bool find_place(struct ctl *ctl, struct place *places,
                       const char *request_id)
{
    bool found = false;
    bool answered = false;
    for (size_t i = 0; i < cells_len(ctl); i++) {
        cells_turn(ctl, i);
        json_t *rows = ctl_rows(ctl, "ctl_id", &request_id, 1);
        int64_t id = row_number(json_array_get(rows, 0), "id");
        answered = answered || rows;
        if (id > 0) {
            snprintf(places[i].below, sizeof places[i].below, "%" PRId64, id);
            places[i].after = request_id;
            found = true;
        }
        json_decref(rows);
    }
    if (answered && !found) {
        fprintf(stderr,
                "pixverse-ctl list: --after \"%s\": no such request is stored "
                "(without --after the list begins at the newest)\n",
                request_id);
    }
    return found;
}

static bool find_places(struct ctl *ctl, const struct options *given,
                        struct place *places)
{
    bool found = true;
    for (size_t i = 0; i < cells_len(ctl); i++) {
        places[i] = (struct place){.below = FILTER_ALL};
    }
    for (size_t i = 0; found && i < given->len; i++) {
        if (strcmp(given->values[i].name, "--after") == 0) {
            found = find_place(ctl, places, given->values[i].value);
        }
    }
    return found;
}

/** One list of each cell; null: none answered. */
static json_t *ask(struct ctl *ctl, const struct filter *filter,
                   const struct place *places, int64_t limit)
{
    const char *params[FILTER_PARAMS_LEN];
    char one_more[24];
    bool answered = false;
    json_t *lists = json_array();
    snprintf(one_more, sizeof one_more, "%" PRId64, limit + 1);
    for (size_t i = 0; i < cells_len(ctl); i++) {
        cells_turn(ctl, i);
        filter_params(filter, places[i].below, one_more, params);
        json_t *rows = ctl_rows(ctl, "ctl_list", params, FILTER_PARAMS_LEN);
        cells_mark(ctl, rows);
        answered = answered || rows;
        if (rows) {
            json_array_append_new(lists, rows);
        }
    }
    if (!answered) {
        json_decref(lists);
    }
    return answered ? lists : NULL;
}

static int list(struct ctl *ctl, const struct options *given,
                const struct filter *filter, int64_t limit)
{
    struct place places[SETTING_CELLS_MAX];
    json_t *lists = find_places(ctl, given, places)
                        ? ask(ctl, filter, places, limit)
                        : NULL;
    if (!lists) {
        return EXIT_FAILED;
    }
    bool more = false;
    json_t *rows = merge_newest(lists, (size_t)limit, &more);
    int status = print_rows(ctl, rows);
    if (!ctl->json && json_array_size(rows) > 0) {
        status = print_end(ctl, filter, places, rows, more);
    }
    json_decref(rows);
    json_decref(lists);
    return cells_status(ctl, status);
}

static int run(struct ctl *ctl, const struct options *given)
{
    if (given->words_len > 0) {
        return ctl_usage("list", "\"%s\" is one word too many",
                         given->words[0]);
    }
    const char *limit = options_get(given, "--limit");
    int64_t limit_number = 50;
    if (limit && !str_to_i64(str_of(limit), 1, 1000000, &limit_number)) {
        return ctl_usage("list", "--limit is \"%s\", allowed: 1..1000000",
                         limit);
    }
    struct filter filter;
    int status = filter_read(&filter, "list", given)
                     ? list(ctl, given, &filter, limit_number)
                     : EXIT_USAGE;
    filter_done(&filter);
    return status;
}

const struct command command_list = {
    .name = "list",
    .usage = "[flags]",
    .help = "the newest requests and where they are",
    .text = "Examples:\n"
            "  pixverse-ctl list --state running --state ready\n"
            "  pixverse-ctl list --kind timed_out --kind task_lost --since 1d\n"
            "  pixverse-ctl list --error \"503\" --older-than 10m\n"
            "  pixverse-ctl list --tenant studio-a --since 2h --json\n\n"
            "With DATABASE_URLS all cells are asked; a row names its own.\n",
    .options = options,
    .run = run,
    .cells = true,
};
