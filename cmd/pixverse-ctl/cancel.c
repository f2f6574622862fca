#include "order.h"

#include "core/billing.h"
#include "row.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOK_MS 200
#define WAIT_S 10

/* clang-format off */
static const struct option options[] = {
    {"--wait", "SECONDS", "for the order to be carried out, default 10; 0: don't", false},
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
};

static bool may_cancel(const json_t *row)
{
    const char *id = row_text(row, "request_id");
    char state[80];
    switch (row_state(row)) {
    case QUEUED:
    case SUBMITTING:
    case RUNNING:
    case LATE:
        return true;
    case READY:
        order_refuse("cancel",
                     "%s is finished upstream and paid for: its "
                     "video is brought home",
                     id);
        return false;
    case SUCCEEDED:
    case FAILED:
    case CLOSED:
    case TASK_STATES_LEN:
        break;
    }
    order_refuse("cancel", "%s has ended: %s", id,
                 order_state(row, state, sizeof state));
    return false;
}

static void order(struct ctl *ctl, struct target *target)
{
    target->row = order_look(ctl, "cancel", target->request_id);
    if (!target->row || !may_cancel(target->row)) {
        return;
    }
    char task[24];
    snprintf(task, sizeof task, "%" PRId64, row_number(target->row, "id"));
    const char *const params[] = {task};
    int written = order_write(ctl, "ctl_cancel", params, 1);
    target->was_late = row_state(target->row) == LATE;
    target->ordered = written > 0;
    if (written == 0) {
        order_refuse("cancel",
                     "%s came too far at this moment: pixverse-ctl "
                     "show tells how",
                     target->request_id);
    }
}

static bool is_over(const struct target *target)
{
    enum task_state state = row_state(target->row);
    return !target->ordered || state == READY || state == SUCCEEDED ||
           state == FAILED || state == CLOSED;
}

/** Look again; whether all of them are over. */
static bool look(struct ctl *ctl, struct target *targets, size_t len)
{
    bool over = true;
    for (size_t i = 0; i < len; i++) {
        if (is_over(&targets[i])) {
            continue;
        }
        json_t *rows = ctl_rows(ctl, "ctl_order", &targets[i].request_id, 1);
        if (json_array_get(rows, 0)) {
            json_decref(targets[i].row);
            targets[i].row = json_incref(json_array_get(rows, 0));
        }
        json_decref(rows);
        over = over && is_over(&targets[i]);
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
    if (over && target->was_late) {
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

static bool tell(const struct ctl *ctl, const struct target *target)
{
    char text[200];
    bool good = false;
    if (!target->ordered) {
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

static int run(struct ctl *ctl, const struct options *given)
{
    const char *wait = options_get(given, "--wait");
    int64_t wait_s = WAIT_S;
    size_t len = given->words_len;
    if (len == 0) {
        return ctl_usage("cancel", "it wants request ids");
    }
    if (wait && !str_to_i64(str_of(wait), 0, 86400, &wait_s)) {
        return ctl_usage("cancel", "--wait is \"%s\", allowed: 0..86400", wait);
    }
    struct target *targets = calloc(len, sizeof *targets);
    bool good = targets != NULL;
    for (size_t i = 0; targets && i < len; i++) {
        targets[i].request_id = given->words[i];
        order(ctl, &targets[i]);
    }
    wait_for_all(ctl, targets, good ? len : 0, wait_s);
    for (size_t i = 0; targets && i < len; i++) {
        good = tell(ctl, &targets[i]) && good;
        json_decref(targets[i].row);
    }
    free(targets);
    return good ? EXIT_DONE : EXIT_FAILED;
}

const struct command command_cancel = {
    .name = "cancel",
    .usage = "REQUEST-ID... [flags]",
    .help = "end what is no longer wanted",
    .text =
        "It is told as failed, kind cancelled: billed no if nothing that was "
        "sent can have\nbeen accepted, else unknown, because the provider "
        "knows no cancel call and may\nfinish and bill it. One in mid-"
        "submission is cancelled once it is known whether it\nwas accepted. "
        "What is finished upstream is refused: it is paid for. A late one "
        "is\nno longer looked for.\n\n"
        "Examples:\n"
        "  pixverse-ctl cancel order-1234.clip-1\n"
        "  pixverse-ctl list --state queued --tenant studio-a --json |\n"
        "      jq -r .request_id | xargs pixverse-ctl cancel\n",
    .options = options,
    .run = run,
};
