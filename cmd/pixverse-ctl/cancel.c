#include "many.h"

#include "core/billing.h"
#include "order.h"
#include "row.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOK_MS 200
#define LOOK_ROWS 500 /* a question */
#define WAIT_S 10

/* clang-format off */
static const struct option options[] = {
    {"--wait", "SECONDS", "for the order to be carried out, default 10; 0: don't", false},
    FILTER_OPTIONS,
    MANY_OPTIONS,
    CONFIRM_OPTIONS,
    {"--json", NULL, "one JSON object a request", false},
    {"--help", NULL, "this text", false},
    {0},
};
/* clang-format on */

/** One request that is to be cancelled. */
struct target {
    const char *request_id;
    json_t *row;  /* as last seen */
    bool ordered; /* written */
    bool was_late;
    char why[WHY_BYTES]; /* it is not ordered: behind its id */
};

/** Whether it may be cancelled; else why not, in words behind its id. */
static bool may_cancel(const json_t *row, char why[WHY_BYTES])
{
    char state[80];
    switch (row_state(row)) {
    case QUEUED:
    case SUBMITTING:
    case RUNNING:
    case LATE:
        return true;
    case READY:
        snprintf(
            why, WHY_BYTES,
            "is finished upstream and paid for: its video is brought home");
        return false;
    case SUCCEEDED:
    case FAILED:
    case CLOSED:
    case TASK_STATES_LEN:
        break;
    }
    snprintf(why, WHY_BYTES, "has ended: %s",
             order_state(row, state, sizeof state));
    return false;
}

static int write_one(struct ctl *ctl, const json_t *row)
{
    char task[24];
    snprintf(task, sizeof task, "%" PRId64, row_number(row, "id"));
    const char *const params[] = {task};
    return order_write(ctl, "ctl_cancel", params, 1);
}

static void order(struct ctl *ctl, struct target *target)
{
    snprintf(target->why, WHY_BYTES, "could not be looked at, or ordered");
    target->row =
        order_look(ctl, "cancel", target->request_id, target->why, WHY_BYTES);
    if (!target->row) {
        return;
    }
    if (!may_cancel(target->row, target->why)) {
        order_refuse("cancel", "%s %s", target->request_id, target->why);
        return;
    }
    int written = write_one(ctl, target->row);
    target->was_late = row_state(target->row) == LATE;
    target->ordered = written > 0;
    if (written == 0) {
        snprintf(target->why, WHY_BYTES,
                 "came too far at this moment: pixverse-ctl show tells how");
        order_refuse("cancel", "%s %s", target->request_id, target->why);
    }
}

static bool is_over(const struct target *target)
{
    enum task_state state = row_state(target->row);
    return !target->ordered || state == READY || state == SUCCEEDED ||
           state == FAILED || state == CLOSED;
}

/** Look again at those that aren't over; whether all of them are. */
static bool look(struct ctl *ctl, struct target *targets, size_t len)
{
    const char *ids[LOOK_ROWS];
    bool over = true;
    for (size_t i = 0; i < len;) {
        size_t n = 0;
        size_t from = i;
        for (; i < len && n < LOOK_ROWS; i++) {
            if (!is_over(&targets[i])) {
                ids[n++] = targets[i].request_id;
            }
        }
        json_t *rows = n ? order_rows(ctl, ids, n) : NULL;
        for (size_t j = from; n && j < i; j++) {
            json_t *row = json_object_get(rows, targets[j].request_id);
            if (row) {
                json_decref(targets[j].row);
                targets[j].row = json_incref(row);
            }
            over = over && is_over(&targets[j]);
        }
        json_decref(rows);
    }
    return over;
}

static void wait_for_all(struct ctl *ctl, struct target *targets, size_t len,
                         int64_t wait_s)
{
    const struct timespec span = {.tv_nsec = LOOK_MS * 1000000L};
    for (int64_t left = wait_s * 1000 / LOOK_MS;
         left > 0 && !look(ctl, targets, len); left--) {
        nanosleep(&span, NULL);
    }
}

/** What came of it, in words; *good: as ordered. */
static const char *end_of(const struct target *target, bool *good, char *out,
                          size_t out_bytes)
{
    const struct task_row task = order_task(target->row);
    bool over = task.state == FAILED || task.state == CLOSED;
    char state[80];
    *good = true;
    /* Unless it came home before. */
    if (over && target->was_late && task.kind != FAILURE_NONE) {
        return "no longer looked for; what was told of it stays";
    }
    if (over && task.kind == FAILURE_CANCELLED) {
        snprintf(out, out_bytes, "cancelled, billed: %s",
                 task_billed(&task, task.kind));
        return out;
    }
    if (is_over(target)) {
        *good = false;
        snprintf(out, out_bytes, "the order came too late: it is %s",
                 order_state(target->row, state, sizeof state));
        return out;
    }
    if (row_number(target->row, "workers") == 0) {
        return "ordered; it is carried out once a worker runs";
    }
    return task.state == SUBMITTING
               ? "ordered; whether it was accepted is found out first, and "
                 "nothing more is sent"
               : "ordered; not carried out yet";
}

/** People were told when it was refused. */
static void tell_refused(const struct ctl *ctl, const struct target *target)
{
    if (!ctl->json) {
        return;
    }
    json_t *line =
        json_pack("{s:s, s:b, s:s}", "request_id", target->request_id,
                  "cancelled", 0, "why", target->why);
    ctl_print_json(line);
    json_decref(line);
}

/** @return  Whether it is as ordered, as far as it went. */
static bool tell(const struct ctl *ctl, const struct target *target)
{
    char text[200];
    bool good = false;
    if (!target->ordered) {
        tell_refused(ctl, target);
        return false;
    }
    const char *words = end_of(target, &good, text, sizeof text);
    if (!ctl->json) {
        printf("%s: %s\n", target->request_id, words);
        return good;
    }
    const struct task_row task = order_task(target->row);
    bool over = is_over(target);
    json_t *line = json_pack(
        "{s:s, s:b, s:s, s:s}", "request_id", target->request_id, "cancelled",
        over && good, "state", task_state_name(task.state), "words", words);
    if (over && task.kind != FAILURE_NONE) {
        json_object_set_new(line, "kind",
                            json_string(failure_kind_name(task.kind)));
        json_object_set_new(line, "billed",
                            json_string(task_billed(&task, task.kind)));
    }
    ctl_print_json(line);
    json_decref(line);
    return good;
}

static bool read_wait(const struct options *given, int64_t *wait_s)
{
    const char *wait = options_get(given, "--wait");
    *wait_s = WAIT_S;
    if (wait && !str_to_i64(str_of(wait), 0, 86400, wait_s)) {
        ctl_usage("cancel", "--wait is \"%s\", allowed: 0..86400", wait);
        return false;
    }
    return true;
}

static int cancel_each(struct ctl *ctl, const struct options *given,
                       int64_t wait_s)
{
    size_t len = given->words_len;
    struct target *targets = calloc(len, sizeof *targets);
    size_t obeyed = 0;
    for (size_t i = 0; targets && i < len; i++) {
        targets[i].request_id = given->words[i];
        order(ctl, &targets[i]);
    }
    wait_for_all(ctl, targets, targets ? len : 0, wait_s);
    for (size_t i = 0; targets && i < len; i++) {
        obeyed += tell(ctl, &targets[i]);
        json_decref(targets[i].row);
    }
    free(targets);
    return obeyed == len ? EXIT_DONE : obeyed > 0 ? EXIT_LEFT : EXIT_FAILED;
}

/* ---- Many ---- */

struct cancels {
    struct ctl *ctl;
    size_t unsent; /* to be cancelled, and never billed */
    size_t late;   /* told already */
    size_t others; /* the provider may bill them */
};

static enum verdict judge(void *context, const json_t *row, char why[WHY_BYTES])
{
    enum task_state state = row_state(row);
    (void)context;
    if (state == SUCCEEDED || state == FAILED || state == CLOSED) {
        return VERDICT_NOT_MEANT;
    }
    return may_cancel(row, why) ? VERDICT_DO : VERDICT_LEFT;
}

static void count(void *context, const json_t *row)
{
    struct cancels *cancels = context;
    enum task_state state = row_state(row);
    bool doubt = json_is_true(json_object_get(row, "doubt"));
    cancels->unsent += state == QUEUED && !doubt;
    cancels->late += state == LATE;
    cancels->others +=
        state == SUBMITTING || state == RUNNING || (state == QUEUED && doubt);
}

static bool cost(void *context, FILE *out)
{
    const struct cancels *cancels = context;
    fprintf(out,
            "  %zu unsent, which cost nothing; %zu sent, which the "
            "provider may finish and bill all the same",
            cancels->unsent, cancels->others);
    if (cancels->late) {
        fprintf(out, "; %zu told as failed before, no longer looked for",
                cancels->late);
    }
    fputc('\n', out);
    return true;
}

static int write_many(void *context, const json_t *row)
{
    const struct cancels *cancels = context;
    return write_one(cancels->ctl, row);
}

/** What becomes of those that were ordered, by what came of them; *too_late:
 * whether an order came so for any. */
static bool follow(struct ctl *ctl, const struct many *many, int64_t wait_s,
                   bool *too_late)
{
    struct target *targets = calloc(many->len + 1, sizeof *targets);
    const char *ids[LOOK_ROWS];
    json_t *ends = json_object();
    size_t n = 0;
    bool good = targets != NULL;
    for (size_t i = 0; good && i < many->len; i++) {
        if (many->all[i].ordered) {
            targets[n++] = (struct target){
                .request_id = many->all[i].request_id,
                .ordered = true,
                .was_late = many->all[i].state == LATE,
            };
        }
    }
    for (size_t i = 0; good && i < n;) {
        size_t len = n - i < LOOK_ROWS ? n - i : LOOK_ROWS;
        for (size_t j = 0; j < len; j++) {
            ids[j] = targets[i + j].request_id;
        }
        json_t *rows = order_rows(ctl, ids, len);
        for (size_t j = 0; j < len; j++) {
            targets[i + j].row = json_incref(json_object_get(rows, ids[j]));
            good = good && targets[i + j].row;
        }
        json_decref(rows);
        i += len;
    }
    wait_for_all(ctl, targets, good ? n : 0, wait_s);
    for (size_t i = 0; targets && i < n; i++) {
        char text[200];
        bool one = true;
        if (good && ctl->json) {
            one = tell(ctl, &targets[i]);
        } else if (good) {
            groups_add(ends, end_of(&targets[i], &one, text, sizeof text),
                       targets[i].request_id);
        }
        *too_late = *too_late || !one;
        json_decref(targets[i].row);
    }
    groups_print(stdout, ends, "");
    json_decref(ends);
    free(targets);
    return good;
}

static int cancel_many(struct ctl *ctl, const struct options *given,
                       int64_t wait_s)
{
    struct filter filter;
    struct cancels cancels = {.ctl = ctl};
    struct many many = {
        .ctl = ctl,
        .given = given,
        .command = "cancel",
        .done = "ordered to be cancelled",
        .not_meant = "have ended",
        .told_later = true,
        .context = &cancels,
        .judge = judge,
        .count = count,
        .cost = cost,
        .write = write_many,
    };
    int status = EXIT_USAGE;
    if (filter_read(&filter, "cancel", given)) {
        /* What has ended is looked at only where it is named. */
        filter.told = filter.told && options_has(given, "--state");
        status = many_run(&many, &filter);
    }
    bool too_late = false;
    if (many.ordered_len > 0 && !follow(ctl, &many, wait_s, &too_late)) {
        status = EXIT_FAILED;
    }
    if (too_late && status == EXIT_DONE) {
        status = EXIT_LEFT;
    }
    many_done(&many);
    filter_done(&filter);
    return status;
}

static int run(struct ctl *ctl, const struct options *given)
{
    int64_t wait_s;
    int status = EXIT_USAGE;
    if (!read_wait(given, &wait_s)) {
        return EXIT_USAGE;
    }
    switch (many_by(given, "cancel", SIZE_MAX, &status)) {
    case MANY_BY_ID:
        return cancel_each(ctl, given, wait_s);
    case MANY_BY_FILTER:
        return cancel_many(ctl, given, wait_s);
    case MANY_BY_NOTHING:
        break;
    }
    return status;
}

const struct command command_cancel = {
    .name = "cancel",
    .usage = "REQUEST-ID... | FILTER... [flags]",
    .help = "end what is no longer wanted",
    .text =
        "It is told as failed, kind cancelled: billed no if nothing that was "
        "sent can have\nbeen accepted, else unknown, because the provider "
        "knows no cancel call and may\nfinish and bill it. One in mid-"
        "submission is cancelled once it is known whether it\nwas accepted. "
        "What is finished upstream is refused: it is paid for. A late one "
        "is\nno longer looked for.\n\n"
        "By filter, as list takes it: those that have not ended. How many, and "
        "what may be\nbilled all the same, is said and asked for first; a "
        "script says --yes. Each is locked\nand looked at again before it is "
        "ordered, a hundred at a time. A run that ended early\nsays how to "
        "go on. Exit status 3: some were left out, and why is said, or the "
        "order came too\nlate for them.\n\n"
        "Examples:\n"
        "  pixverse-ctl cancel order-1234.clip-1\n"
        "  pixverse-ctl cancel --state queued --tenant studio-a --dry-run\n"
        "  pixverse-ctl cancel --older-than 6h --yes --wait 0\n",
    .options = options,
    .run = run,
};
