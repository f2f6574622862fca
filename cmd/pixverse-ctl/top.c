#include "budgets.h"
#include "cells.h"

#include "merge.h"
#include "row.h"

#include "core/task.h"
#include "table.h"
#include "vitals.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/* clang-format off */
static const struct option options[] = {
    {"--once", NULL, "one look, then end", false},
    {"--interval", "SECONDS", "between two looks, default 2", false},
    {"--json", NULL, "one JSON object a look", false},
    {"--help", NULL, "this text", false},
    {0},
};
/* clang-format on */

/** The rates of a minute: of ends by their rows, of the rest as workers say. */
static json_t *rates_of(const json_t *row, const json_t *workers)
{
    static const char *const said[] = {"received", "accepted", "polls"};
    const json_t *ends = json_object_get(row, "ends");
    json_t *rates = json_object();
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        json_object_set_new(rates, said[i],
                            json_real(vitals_rate(workers, said[i])));
    }
    json_object_set_new(rates, "completed",
                        json_integer(row_number(ends, "completed_last")));
    json_object_set_new(rates, "failed",
                        json_integer(row_number(ends, "failed_last")));
    json_object_set_new(
        rates, "cost",
        json_real(json_number_value(json_object_get(ends, "cost_last"))));
    json_object_set_new(
        rates, "cost_of_five",
        json_real(json_number_value(json_object_get(ends, "cost")) / 5));
    return rates;
}

static int64_t latest(const json_t *workers)
{
    int64_t most = 0;
    size_t i;
    const json_t *worker;
    json_array_foreach(workers, i, worker)
    {
        int64_t late_ms = row_number(worker, "late_ms");
        most = late_ms > most ? late_ms : most;
    }
    return most;
}

static void set_time(json_t *row, const char *from, const char *to)
{
    char text[25];
    if (json_object_get(row, from)) {
        str_time(row_number(row, from), text);
        json_object_set_new(row, to, json_string(text));
    }
    json_object_del(row, from);
}

static void dress(json_t *row, json_t *workers)
{
    size_t i;
    json_t *hold;
    int64_t now_ms = row_number(row, "now_ms");
    json_object_set_new(row, "states", row_states(row));
    json_object_set_new(row, "a_minute", rates_of(row, workers));
    json_object_set_new(row, "late_ms", json_integer(latest(workers)));
    if (json_object_get(row, "oldest_queued_ms")) {
        json_object_set_new(
            row, "queued_for_ms",
            json_integer(now_ms - row_number(row, "oldest_queued_ms")));
    }
    if (json_object_get(row, "expires_ms")) {
        json_object_set_new(
            row, "expires_in_ms",
            json_integer(row_number(row, "expires_ms") - now_ms));
    }
    json_array_foreach(json_object_get(row, "holds"), i, hold)
    {
        set_time(hold, "since_ms", "since");
    }
    json_object_del(row, "ends");
    set_time(row, "now_ms", "time");
    set_time(row, "oldest_queued_ms", "oldest_queued");
    set_time(row, "expires_ms", "nearest_expiry");
    set_time(row, "deadline_ms", "nearest_deadline");
    json_object_set_new(row, "workers", workers);
}

/* ---- For people ---- */

static void print_states(const json_t *row)
{
    const char *name;
    const json_t *count;
    json_object_foreach(json_object_get(row, "states"), name, count)
    {
        printf("  %s %" JSON_INTEGER_FORMAT, name, json_integer_value(count));
    }
    putchar('\n');
}

static void print_rates(const json_t *row)
{
    static const char *const names[] = {"received", "accepted", "completed",
                                        "failed", "polls"};
    const json_t *rates = json_object_get(row, "a_minute");
    fputs("a minute:", stdout);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        printf("  %s %.4g", names[i],
               json_number_value(json_object_get(rates, names[i])));
    }
    printf("  spent %.4g (%.4g over five)\n",
           json_number_value(json_object_get(rates, "cost")),
           json_number_value(json_object_get(rates, "cost_of_five")));
}

static void print_span(const json_t *row, const char *name, const char *words)
{
    char span[40];
    if (json_object_get(row, name)) {
        int64_t ms = row_number(row, name);
        printf("  %s %s%s", words,
               format_duration(ms < 0 ? -ms : ms, span, sizeof span),
               ms < 0 ? " ago" : "");
    }
}

static void print_worries(const json_t *row)
{
    printf("late %" PRId64 " ms", row_number(row, "late_ms"));
    print_span(row, "queued_for_ms", "oldest queued");
    print_span(row, "expires_in_ms", "nearest expiry in");
    printf("  in doubt %" PRId64 "  untold %" PRId64 "\n",
           row_number(row, "doubts"), row_number(row, "untold"));
}

static void print_holds(const struct ctl *ctl, const json_t *holds)
{
    const struct column columns[] = {
        {"HELD BY", COLUMN_WHOLE},
        {"SCOPE", COLUMN_CUT},
        {"SINCE", COLUMN_WHOLE},
        {"BECAUSE", COLUMN_CUT},
        {ctl->cells_len ? "CELL" : NULL, COLUMN_WHOLE},
        {0}};
    struct table *table = table_new(columns);
    size_t i;
    const json_t *hold;
    json_array_foreach(holds, i, hold)
    {
        const char *const cells[] = {
            row_text(hold, "reason"), row_text(hold, "scope"),
            row_text(hold, "since"), row_text(hold, "message"),
            row_text(hold, "cell")};
        table_add(table, cells, 0, HUE_BAD);
    }
    if (table_rows(table) > 0) {
        putchar('\n');
    }
    table_print(table, ctl->width, ctl->colours);
}

static void add_account(struct table *table, const json_t *row)
{
    char slots[48];
    char tasks[24];
    char workers[24];
    char spent[80];
    char holds[80] = "";
    size_t n = 0;
    size_t i;
    const json_t *hold;
    snprintf(tasks, sizeof tasks, "%" PRId64, row_number(row, "tasks"));
    snprintf(workers, sizeof workers, "%" PRId64, row_number(row, "workers"));
    snprintf(slots, sizeof slots, "%" PRId64 "/%" PRId64,
             row_number(row, "occupied"), row_number(row, "slots"));
    if (!json_object_get(row, "slots")) {
        snprintf(slots, sizeof slots, "%" PRId64, row_number(row, "occupied"));
    }
    const json_t *limit = json_object_get(row, "limit");
    if (limit) {
        snprintf(slots, sizeof slots,
                 "%" PRId64 "/%" PRId64 ", learnt of %" PRId64,
                 row_number(row, "occupied"), row_number(limit, "learnt"),
                 row_number(limit, "slots"));
    }
    snprintf(spent, sizeof spent, "%.4g (%.4g over five)",
             json_number_value(json_object_get(row, "cost")),
             json_number_value(json_object_get(row, "cost_of_five")));
    json_array_foreach(json_object_get(row, "holds"), i, hold)
    {
        n += (size_t)snprintf(holds + n, sizeof holds - n, "%s%s", n ? " " : "",
                              json_string_value(hold));
        n = n < sizeof holds ? n : sizeof holds - 1;
    }
    const char *const cells[] = {
        row_text(row, "account"), slots, tasks, workers, spent, holds,
        row_text(row, "cell")};
    table_add(table, cells, 5, HUE_BAD);
}

static void print_accounts(const struct ctl *ctl, const json_t *accounts)
{
    const struct column columns[] = {
        {"ACCOUNT", COLUMN_WHOLE},
        {"SLOTS", COLUMN_WHOLE},
        {"TASKS", COLUMN_CUT},
        {"WORKERS", COLUMN_CUT},
        {"SPENT A MINUTE", COLUMN_CUT},
        {"HOLDS", COLUMN_CUT},
        {ctl->cells_len ? "CELL" : NULL, COLUMN_WHOLE},
        {0}};
    struct table *table = json_array_size(accounts) ? table_new(columns) : NULL;
    size_t i;
    const json_t *row;
    if (!table) {
        return;
    }
    json_array_foreach(accounts, i, row)
    {
        add_account(table, row);
    }
    putchar('\n');
    table_print(table, ctl->width, ctl->colours);
}

static void add_tenant(struct table *table, const json_t *row)
{
    char occupied[48];
    char weight[24];
    const json_t *slots = json_object_get(row, "slots");
    snprintf(occupied, sizeof occupied, "%" PRId64,
             row_number(row, "occupied"));
    if (json_is_integer(slots)) {
        snprintf(occupied, sizeof occupied, "%" PRId64 "/%" PRId64,
                 row_number(row, "occupied"), row_number(row, "slots"));
    }
    snprintf(weight, sizeof weight, "%" PRId64, row_number(row, "weight"));
    const char *const cells[] = {row_text(row, "tenant"), occupied, weight,
                                 row_text(row, "cell")};
    table_add(table, cells, 1, HUE_PLAIN);
}

/** Those that share; without a word of shares there are none. */
static void print_tenants(const struct ctl *ctl, const json_t *tenants)
{
    const struct column columns[] = {
        {"TENANT", COLUMN_WHOLE},
        {"SLOTS", COLUMN_WHOLE},
        {"WEIGHT", COLUMN_CUT},
        {ctl->cells_len ? "CELL" : NULL, COLUMN_WHOLE},
        {0}};
    const int64_t of = row_number(json_array_get(tenants, 0), "of");
    struct table *table = of > 0 ? table_new(columns) : NULL;
    size_t i;
    const json_t *row;
    if (!table) {
        return;
    }
    json_array_foreach(tenants, i, row)
    {
        add_tenant(table, row);
    }
    putchar('\n');
    table_print(table, ctl->width, ctl->colours);
    if (!ctl->cells_len && (size_t)of > json_array_size(tenants)) {
        printf("%zu of %" PRId64 " tenants: pixverse-ctl tenant list\n",
               json_array_size(tenants), of);
    }
}

static void print_cells(const json_t *cells)
{
    size_t i;
    const json_t *cell;
    json_array_foreach(cells, i, cell)
    {
        if (json_object_get(cell, "away")) {
            char text[700];
            snprintf(text, sizeof text, "cell %s is left out: %s",
                     row_text(cell, "cell"), row_text(cell, "away"));
            print_for_people(text);
        }
    }
}

static void print_screen(const struct ctl *ctl, const json_t *row, bool once)
{
    const json_t *workers = json_object_get(row, "workers");
    size_t len = json_array_size(workers);
    if (ctl->width > 0 && !once) {
        fputs("\x1b[H\x1b[2J", stdout);
    }
    printf("%s  %zu worker%s\n", row_text(row, "time"), len,
           len == 1 ? "" : "s");
    print_states(row);
    print_rates(row);
    print_worries(row);
    print_cells(json_object_get(row, "cells"));
    print_holds(ctl, json_object_get(row, "holds"));
    print_accounts(ctl, json_object_get(row, "accounts"));
    print_tenants(ctl, json_object_get(row, "tenants"));
    if (json_array_size(json_object_get(row, "budgets")) > 0) {
        putchar('\n');
        budgets_print(ctl, json_object_get(row, "budgets"));
    }
    if (len > 0) {
        putchar('\n');
    }
    vitals_print(ctl, workers);
    fflush(stdout);
}

/** Rows of the cells, one after the other; `rows` is taken. */
static void extend(json_t *all, const char *name, json_t *rows)
{
    json_t *list = json_object_get(all, name);
    if (list) {
        json_array_extend(list, rows);
    } else {
        json_object_set(all, name, rows);
    }
    json_decref(rows);
}

/** One cell's share; false: it is away. */
static bool look_at_cell(struct ctl *ctl, json_t *row, json_t *workers)
{
    json_t *rows = ctl_rows(ctl, "ctl_top", NULL, 0);
    json_t *some = rows ? vitals_read(ctl) : NULL;
    json_t *accounts = some ? ctl_rows(ctl, "ctl_accounts", NULL, 0) : NULL;
    json_t *tenants = accounts ? ctl_rows(ctl, "ctl_sharers", NULL, 0) : NULL;
    json_t *budgets = tenants ? budgets_read(ctl) : NULL;
    bool good = budgets && json_array_size(rows) > 0;
    if (good) {
        cells_mark(ctl, some);
        cells_mark(ctl, accounts);
        cells_mark(ctl, tenants);
        cells_mark(ctl, json_object_get(json_array_get(rows, 0), "holds"));
        merge_top(row, json_array_get(rows, 0));
        json_array_extend(workers, some);
        extend(row, "accounts", accounts);
        extend(row, "tenants", tenants);
        extend(row, "budgets", budgets);
    } else {
        json_decref(accounts);
        json_decref(tenants);
        json_decref(budgets);
    }
    json_decref(some);
    json_decref(rows);
    return good;
}

static bool look(struct ctl *ctl, bool once)
{
    json_t *row = json_object();
    json_t *workers = json_array();
    bool good = false;
    cells_again(ctl);
    ctl->hushed = true; /* the screen says it */
    for (size_t i = 0; i < cells_len(ctl); i++) {
        cells_turn(ctl, i);
        good = look_at_cell(ctl, row, workers) || good;
    }
    if (ctl->cells_len) {
        json_object_set_new(row, "cells", cells_told(ctl));
    }
    if (good) {
        dress(row, workers);
        if (ctl->json) {
            ctl_print_json(row);
        } else {
            print_screen(ctl, row, once);
        }
        good = !ferror(stdout);
    } else {
        print_cells(json_object_get(row, "cells"));
        json_decref(workers);
    }
    json_decref(row);
    return good;
}

static int run(struct ctl *ctl, const struct options *given)
{
    const char *interval = options_get(given, "--interval");
    int64_t interval_s = 2;
    bool once = options_has(given, "--once");
    if (given->words_len > 0) {
        return ctl_usage("top", "\"%s\" is one word too many", given->words[0]);
    }
    if (interval && !str_to_i64(str_of(interval), 1, 3600, &interval_s)) {
        return ctl_usage("top", "--interval is \"%s\", allowed: 1..3600",
                         interval);
    }
    while (look(ctl, once)) {
        if (once) {
            return cells_status(ctl, EXIT_DONE);
        }
        struct timespec span = {.tv_sec = interval_s};
        nanosleep(&span, NULL);
    }
    return EXIT_FAILED;
}

const struct command command_top = {
    .name = "top",
    .usage = "[flags]",
    .help = "the fleet, live: states, rates, spending, budgets, holds, workers",
    .text =
        "On a terminal a screen that is drawn again, else plain text for each "
        "look. Ends and\nwhat they cost are counted by their rows, of the "
        "last minute; what is received,\naccepted and polled as workers said "
        "within ten seconds. Late is the most that anything\nhas been due; "
        "nearest expiry that of a video that waits to be brought home. By "
        "account: the\nslots that are occupied, of how many, and what it spent; "
        "by tenant, where they\nshare, the same and the weight; budgets as\n'pixverse-ctl budget list' has them. Of "
        "several cells\n(DATABASE_URLS) it is the sum; workers and holds name "
        "theirs.\n\n"
        "Examples:\n"
        "  pixverse-ctl top\n"
        "  pixverse-ctl top --once --json | jq .a_minute.cost\n"
        "  pixverse-ctl top --once --json | jq '.budgets[] | select(.near)'\n",
    .options = options,
    .run = run,
    .cells = true,
};
