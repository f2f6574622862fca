#include "confirm.h"
#include "order.h"
#include "when.h"

#include "core/history.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define BATCH_ROWS 500 /* as a worker prunes */
#define COUNT_MAX INT64_C(1000000)
#define ELECT_TRIES 120 /* a worker's pass takes its time */
#define ELECT_PAUSE_MS 500

/* clang-format off */
static const struct option options[] = {
    {"--before", "TIME", "what ended before 90d or 2h ago, or before 2026-11-22[T06:00:00]; default: beyond HISTORY_DAYS", false},
    CONFIRM_OPTIONS,
    {"--json", NULL, "one JSON object", false},
    {"--help", NULL, "this text", false},
    {0},
};
/* clang-format on */

static void on_row(void *context, const char *const *names,
                   const struct str *values, size_t len)
{
    int64_t *numbers = context;
    (void)names;
    for (size_t i = 0; i < len && i < 3; i++) {
        numbers[i] = 0;
        if (values[i].at && str_eq(values[i], STR("t"))) {
            numbers[i] = 1;
        } else if (values[i].at) {
            (void)str_to_i64(values[i], 0, INT64_MAX, &numbers[i]);
        }
    }
}

static bool ask(struct ctl *ctl, const char *query, const char *const *params,
                size_t params_len, int64_t numbers[3])
{
    struct err err = {0};
    if (!inspect_rows(ctl->inspect, query, params, params_len, on_row, numbers,
                      &err)) {
        order_refuse("prune", "%s", err.text);
        return false;
    }
    return true;
}

static void sleep_ms(int64_t ms)
{
    const struct timespec span = {.tv_sec = ms / 1000,
                                  .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&span, NULL);
}

static int64_t boot_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/** One session prunes at a time; a worker's pass is over soon. */
static bool elect(struct ctl *ctl)
{
    int64_t got[3] = {0};
    for (int tries = 0; tries < ELECT_TRIES; tries++) {
        if (tries > 0) {
            sleep_ms(ELECT_PAUSE_MS);
        }
        if (!ask(ctl, "history_elect", NULL, 0, got)) {
            return false;
        }
        if (got[0]) {
            return true;
        }
    }
    order_refuse("prune", "a worker counts or prunes for longer than a minute: "
                          "try again later");
    return false;
}

/** Batch by batch, with rests between them, as the workers' lane does.
 *
 * @param gone  How many went, whatever is returned. */
static bool prune_all(struct ctl *ctl, int64_t before_ms, int64_t now_ms,
                      int64_t *gone)
{
    char before[24];
    char from[24] = "0";
    char now[24];
    char most[24];
    int64_t batch[3] = {INT64_MAX, 0, 0}; /* seen, gone, the last */
    snprintf(before, sizeof before, "%" PRId64, before_ms);
    snprintf(most, sizeof most, "%d", BATCH_ROWS);
    snprintf(now, sizeof now, "%" PRId64, now_ms);
    while (batch[0] >= BATCH_ROWS) {
        const char *const params[] = {before, from, most, now};
        int64_t began_ms = boot_ms();
        if (!ask(ctl, "history_prune", params, 4, batch)) {
            return false;
        }
        *gone += batch[1];
        snprintf(from, sizeof from, "%" PRId64, batch[2]);
        if (batch[0] >= BATCH_ROWS) {
            sleep_ms(history_rest_ms(boot_ms() - began_ms));
        }
    }
    return true;
}

/** What is to go; false after saying why nothing. */
static bool read_before(const struct ctl *ctl, const struct options *given,
                        int64_t now_ms, int64_t *before_ms, int *status)
{
    const char *text = options_get(given, "--before");
    const struct history_days days = {.history = ctl->settings.history_days};
    *status = EXIT_USAGE;
    if (text && !when_read_ago(text, before_ms)) {
        ctl_usage("prune", "--before is \"%s\", allowed: " WHEN_AGO_ALLOWED,
                  text);
        return false;
    }
    if (text && *before_ms > now_ms) {
        ctl_usage("prune", "--before %s is in the future", text);
        return false;
    }
    if (!text) {
        *before_ms = history_prune_before_ms(&days, now_ms);
    }
    if (!text && *before_ms == 0) {
        ctl_usage("prune", "HISTORY_DAYS is 0, history is kept for ever: "
                           "--before TIME says what is to go all the same");
        return false;
    }
    return true;
}

static int prune(struct ctl *ctl, int64_t before_ms, int64_t now_ms)
{
    int64_t gone = 0;
    bool good = elect(ctl) && prune_all(ctl, before_ms, now_ms, &gone);
    if (ctl->json) {
        char before[25];
        str_time(before_ms, before);
        json_t *line = json_pack("{s:I, s:s, s:b}", "pruned", (json_int_t)gone,
                                 "before", before, "whole", good);
        ctl_print_json(line);
        json_decref(line);
    } else {
        printf("%" PRId64 " pruned: their ids and contents stay known, and "
               "what stats counts\n",
               gone);
    }
    if (!good) {
        order_refuse("prune", "not all of it: the same again goes on");
    }
    return good ? EXIT_DONE : EXIT_FAILED;
}

static int run(struct ctl *ctl, const struct options *given)
{
    int64_t before_ms = 0;
    int status;
    char before[25];
    char zero[] = "0";
    const char *param = zero;
    if (given->words_len > 0) {
        return ctl_usage("prune", "\"%s\" is one word too many",
                         given->words[0]);
    }
    json_t *rows = ctl_rows(ctl, "ctl_prune_look", &param, 1);
    if (!rows) {
        return EXIT_FAILED;
    }
    int64_t now_ms = row_number(json_array_get(rows, 0), "now_ms");
    json_decref(rows);
    if (!read_before(ctl, given, now_ms, &before_ms, &status)) {
        return status;
    }
    char number[24];
    snprintf(number, sizeof number, "%" PRId64, before_ms);
    param = number;
    rows = ctl_rows(ctl, "ctl_prune_look", &param, 1);
    if (!rows) {
        return EXIT_FAILED;
    }
    int64_t n = row_number(json_array_get(rows, 0), "n");
    json_decref(rows);
    str_time(before_ms, before);
    if (n == 0) {
        fprintf(ctl->json ? stderr : stdout, "nothing ended before %s\n",
                before);
        return EXIT_DONE;
    }
    switch (confirm(ctl, "prune", given,
                    "prune the history of %s%" PRId64 " request%s that ended "
                    "before %s, for good",
                    n > COUNT_MAX ? "more than " : "",
                    n > COUNT_MAX ? COUNT_MAX : n, n == 1 ? "" : "s", before)) {
    case CONFIRM_DO:
        return prune(ctl, before_ms, now_ms);
    case CONFIRM_DRY:
        return EXIT_DONE;
    case CONFIRM_NOT:
        break;
    }
    return EXIT_FAILED;
}

const struct command command_prune = {
    .name = "prune",
    .usage = "[flags]",
    .help = "prune history now, as workers do once a minute",
    .text =
        "What ended before HISTORY_DAYS, or before --before, goes: times, "
        "event, cost, tenant and\nbody of each. Ids and contents stay, which "
        "tell a repeat, and what stats counts. Videos\nare not touched. In "
        "small batches with rests, the oldest first; what is in flight once\n"
        "more, waits or has not been told stays. The same again goes on.\n\n"
        "Examples:\n"
        "  pixverse-ctl prune --dry-run\n"
        "  pixverse-ctl prune --before 90d --yes\n",
    .options = options,
    .run = run,
};
