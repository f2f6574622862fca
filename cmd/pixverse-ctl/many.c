#include "many.h"

#include "order.h"
#include "row.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANY_MAX INT64_C(100000)
#define LOOK_ROWS 500  /* a question */
#define BATCH_ROWS 100 /* an order's transaction: a moment */
#define GROUP_IDS 5    /* an example of each reason */

/* ---- What is asked for ---- */

enum many_by many_by(const struct options *given, const char *command,
                     size_t most, int *status)
{
    static const struct option filters[] = {FILTER_OPTIONS, {0}};
    /* One that asked to see first must not find it done. */
    static const struct option others[] = {
        MANY_OPTIONS, {"--dry-run", NULL, NULL, false}, {0}};
    const struct option *filter = filters;
    while (filter->name && !options_has(given, filter->name)) {
        filter++;
    }
    if (filter->name && given->words_len == 0) {
        return MANY_BY_FILTER;
    }
    if (filter->name) {
        *status = ctl_usage(command,
                            "it wants request ids, or a filter: not "
                            "both \"%s\" and %s",
                            given->words[0], filter->name);
        return MANY_BY_NOTHING;
    }
    for (const struct option *other = others; other->name; other++) {
        if (options_has(given, other->name)) {
            *status = ctl_usage(command,
                                "%s goes with a filter, such as --kind or "
                                "--since: not with request ids",
                                other->name);
            return MANY_BY_NOTHING;
        }
    }
    if (given->words_len == 0 || given->words_len > most) {
        *status =
            ctl_usage(command, most == 1 ? "it wants one request id, or a "
                                           "filter such as --kind"
                                         : "it wants request ids, or a filter "
                                           "such as --state");
        return MANY_BY_NOTHING;
    }
    return MANY_BY_ID;
}

/* ---- Groups ---- */

void groups_add(json_t *groups, const char *text, const char *id)
{
    json_t *group = json_object_get(groups, text);
    if (!group) {
        group = json_pack("{s:i, s:[]}", "n", 0, "ids");
        json_object_set_new(groups, text, group);
    }
    json_t *ids = json_object_get(group, "ids");
    json_object_set_new(group, "n", json_integer(row_number(group, "n") + 1));
    if (json_array_size(ids) < GROUP_IDS) {
        json_array_append_new(ids, json_string(id));
    }
}

void groups_print(FILE *out, const json_t *groups, const char *before)
{
    const char *text;
    json_t *group;
    json_object_foreach((json_t *)groups, text, group)
    {
        const json_t *ids = json_object_get(group, "ids");
        int64_t n = row_number(group, "n");
        int64_t shown = (int64_t)json_array_size(ids);
        fprintf(out, "  %" PRId64 " %s%s:", n, before, text);
        for (int64_t i = 0; i < shown; i++) {
            fprintf(out, "%s %s", i ? "," : "",
                    json_string_value(json_array_get(ids, (size_t)i)));
        }
        if (n > shown) {
            fprintf(out, " and %" PRId64 " more", n - shown);
        }
        fputc('\n', out);
    }
}

/* ---- An interrupted run ends between two batches ---- */

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/** The second one ends it at once. */
static void listen_to_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal,
                               .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

/* ---- What is said of one ---- */

static void say_one(const struct many *many, const char *request_id,
                    bool ordered, const char *why)
{
    if (!many->ctl->json) {
        return;
    }
    json_t *line =
        json_pack("{s:s, s:b}", "request_id", request_id, "ordered", ordered);
    if (why) {
        json_object_set_new(line, "why", json_string(why));
    }
    ctl_print_json(line);
    json_decref(line);
}

static void leave(struct many *many, const char *request_id, const char *why)
{
    many->left_len++;
    groups_add(many->left, why, request_id);
    say_one(many, request_id, false, why);
}

/* ---- Look ---- */

static bool keep(struct many *many, int64_t id, const char *request_id)
{
    if (many->len == many->room) {
        size_t room = many->room ? 2 * many->room : LOOK_ROWS;
        struct many_item *all = realloc(many->all, room * sizeof *all);
        if (!all) {
            return false;
        }
        many->all = all;
        many->room = room;
    }
    char *copy = strdup(request_id);
    if (copy) {
        many->all[many->len++] =
            (struct many_item){.id = id, .request_id = copy};
    }
    return copy != NULL;
}

/** What is to be done with one. A row that moves may be nowhere for a moment.
 */
static enum verdict judge(struct many *many, const json_t *row,
                          char why[WHY_BYTES])
{
    if (!row) {
        snprintf(why, WHY_BYTES, "changed at this moment: try again");
        return VERDICT_LEFT;
    }
    return order_is_odd(row, why, WHY_BYTES)
               ? VERDICT_LEFT
               : many->judge(many->context, row, why);
}

/** Those beyond --limit are neither kept nor counted, nor left out: *more says
 * that there is one. */
static bool look_at(struct many *many, const json_t *found, int64_t limit,
                    bool *more)
{
    const char *ids[LOOK_ROWS];
    size_t len = json_array_size(found);
    assert(len <= LOOK_ROWS);
    for (size_t i = 0; i < len; i++) {
        ids[i] = row_text(json_array_get(found, i), "request_id");
    }
    json_t *rows = order_rows(many->ctl, ids, len);
    bool good = rows != NULL;
    for (size_t i = 0; good && !*more && i < len; i++) {
        char why[WHY_BYTES] = "";
        const json_t *row = json_object_get(rows, ids[i]);
        switch (judge(many, row, why)) {
        case VERDICT_DO:
            *more = (int64_t)many->len == limit;
            if (*more) {
                break;
            }
            good =
                keep(many, row_number(json_array_get(found, i), "id"), ids[i]);
            if (good && many->count) {
                many->count(many->context, row);
            }
            break;
        case VERDICT_LEFT:
            leave(many, ids[i], why);
            break;
        case VERDICT_NOT_MEANT:
            many->not_meant_len++;
            break;
        }
    }
    json_decref(rows);
    return good;
}

/** The number of a request, as text. */
static bool number_of(struct ctl *ctl, const char *command,
                      const char *request_id, char *out, size_t out_bytes)
{
    json_t *rows = ctl_rows(ctl, "ctl_id", &request_id, 1);
    int64_t id = row_number(json_array_get(rows, 0), "id");
    snprintf(out, out_bytes, "%" PRId64, id);
    if (rows && id <= 0) {
        order_refuse(command, "--after \"%s\": no such request is stored",
                     request_id);
    }
    json_decref(rows);
    return id > 0;
}

/** All that fit, a page at a time. *more: beyond --limit. */
static bool look(struct many *many, const struct filter *filter, int64_t limit,
                 bool *more)
{
    const char *after = options_get(many->given, "--after");
    char below[24] = FILTER_ALL;
    char page[24];
    const char *params[FILTER_PARAMS_LEN];
    int64_t found = LOOK_ROWS;
    if (after &&
        !number_of(many->ctl, many->command, after, below, sizeof below)) {
        return false;
    }
    snprintf(page, sizeof page, "%d", LOOK_ROWS);
    bool good = true;
    *more = false;
    while (good && found == LOOK_ROWS && !interrupted && !*more) {
        filter_params(filter, below, page, params);
        json_t *rows =
            ctl_rows(many->ctl, "ctl_many", params, FILTER_PARAMS_LEN);
        found = (int64_t)json_array_size(rows);
        const json_t *last = json_array_get(rows, (size_t)(found - 1));
        snprintf(below, sizeof below, "%" PRId64, row_number(last, "id"));
        good = rows && look_at(many, rows, limit, more);
        json_decref(rows);
    }
    return good && !interrupted;
}

/* ---- Order ---- */

/** What came of each of a batch, until its transaction is committed. */
struct came {
    enum verdict verdict;
    char why[WHY_BYTES];
};

static bool order_batch(struct many *many, struct many_item *items, size_t len,
                        struct came *came)
{
    const char *names[BATCH_ROWS];
    struct buf ids;
    buf_init(&ids, 0);
    for (size_t i = 0; i < len; i++) {
        names[i] = items[i].request_id;
        buf_printf(&ids, "%s%" PRId64, i ? "," : "{", items[i].id);
    }
    buf_add_char(&ids, '}');
    const char *param = ids.bytes;
    bool good =
        param && order_write(many->ctl, "ctl_many_lock", &param, 1) >= 0;
    json_t *rows = good ? order_rows(many->ctl, names, len) : NULL;
    good = rows != NULL;
    /* The newest is the first: by rising ids, as workers write orders too. */
    for (size_t i = len; good && i-- > 0;) {
        const json_t *row = json_object_get(rows, names[i]);
        came[i].verdict = judge(many, row, came[i].why);
        items[i].state = row_state(row);
        int written =
            came[i].verdict == VERDICT_DO ? many->write(many->context, row) : 1;
        if (written == 0) {
            came[i].verdict = VERDICT_LEFT;
            snprintf(came[i].why, WHY_BYTES,
                     "changed at this moment: try again");
        }
        good = written >= 0;
    }
    json_decref(rows);
    buf_done(&ids);
    return good;
}

static void note_batch(struct many *many, struct many_item *items, size_t len,
                       const struct came *came)
{
    for (size_t i = 0; i < len; i++) {
        switch (came[i].verdict) {
        case VERDICT_DO:
            items[i].ordered = true;
            many->ordered_len++;
            if (!many->told_later) {
                say_one(many, items[i].request_id, true, NULL);
            }
            break;
        case VERDICT_LEFT:
            leave(many, items[i].request_id, came[i].why);
            break;
        case VERDICT_NOT_MEANT: /* it went on since it was counted */
            many->not_meant_len++;
            break;
        }
    }
}

/** @return  How many of them were gone through. */
static size_t order_all(struct many *many)
{
    struct came *came = calloc(BATCH_ROWS, sizeof *came);
    size_t at = 0;
    while (came && at < many->len && !interrupted) {
        struct err err = {0};
        size_t len = many->len - at < BATCH_ROWS ? many->len - at : BATCH_ROWS;
        if (!inspect_begin(many->ctl->inspect, &err)) {
            order_refuse(many->command, "%s", err.text);
            break;
        }
        bool good = order_batch(many, many->all + at, len, came);
        if (!(good ? inspect_commit : inspect_rollback)(many->ctl->inspect,
                                                        &err)) {
            order_refuse(many->command, "%s", err.text);
            break;
        }
        if (!good) {
            break;
        }
        note_batch(many, many->all + at, len, came);
        at += len;
    }
    free(came);
    return at;
}

/* ---- The whole ---- */

static const char *requests(size_t n)
{
    return n == 1 ? "request" : "requests";
}

static bool say_found(const struct many *many, FILE *out, bool more)
{
    fprintf(out, "%zu %s to %s%s\n", many->len, requests(many->len),
            many->command, more ? ", the newest: more fit" : "");
    groups_print(out, many->left, "left out, each ");
    if (many->not_meant_len) {
        fprintf(out, "  %zu %s\n", many->not_meant_len, many->not_meant);
    }
    return !many->cost || many->len == 0 || many->cost(many->context, out);
}

static int end(struct many *many, size_t gone_through)
{
    FILE *out = many->ctl->json ? stderr : stdout;
    size_t left = many->len - gone_through;
    fprintf(out, "%zu %s\n", many->ordered_len, many->done);
    groups_print(out, many->left, "left out, each ");
    if (left == 0) {
        return many->left_len ? EXIT_LEFT : EXIT_DONE;
    }
    fprintf(stderr, "pixverse-ctl %s: %s; %zu %s not gone through",
            many->command, interrupted ? "interrupted" : "failed", left,
            left == 1 ? "was" : "were");
    if (gone_through > 0) {
        fprintf(stderr, ": the same with --after %s",
                many->all[gone_through - 1].request_id);
        if (options_has(many->given, "--limit")) { /* of all runs together */
            fprintf(stderr, " --limit %zu", left);
        }
        fputs(" goes on there", stderr);
    }
    fputc('\n', stderr);
    return EXIT_FAILED;
}

int many_run(struct many *many, const struct filter *filter)
{
    bool more = false;
    int64_t limit = MANY_MAX;
    const char *text = options_get(many->given, "--limit");
    if (text && !str_to_i64(str_of(text), 1, MANY_MAX, &limit)) {
        return ctl_usage(many->command, "--limit is \"%s\", allowed: 1..%d",
                         text, (int)MANY_MAX);
    }
    many->left = json_object();
    listen_to_signals();
    if (!ctl_database(many->ctl) || !look(many, filter, limit, &more)) {
        return EXIT_FAILED;
    }
    bool dry = options_has(many->given, "--dry-run");
    if (!say_found(many, dry && !many->ctl->json ? stdout : stderr, more)) {
        return EXIT_FAILED;
    }
    int status = many->left_len ? EXIT_LEFT : EXIT_DONE;
    if (many->len == 0) {
        return status;
    }
    switch (confirm(many->ctl, many->command, many->given, "%s %zu %s",
                    many->command, many->len, requests(many->len))) {
    case CONFIRM_DO:
        break;
    case CONFIRM_DRY:
        for (size_t i = 0; i < many->len; i++) {
            say_one(many, many->all[i].request_id, false, "--dry-run");
        }
        return status;
    case CONFIRM_NOT:
        return EXIT_FAILED;
    }
    json_object_clear(many->left); /* said already */
    size_t gone_through = order_all(many);
    signal(SIGINT, SIG_DFL); /* what follows only looks */
    signal(SIGTERM, SIG_DFL);
    return end(many, gone_through);
}

void many_done(struct many *many)
{
    for (size_t i = 0; i < many->len; i++) {
        free(many->all[i].request_id);
    }
    free(many->all);
    json_decref(many->left);
    many->all = NULL;
    many->len = 0;
    many->left = NULL;
}
