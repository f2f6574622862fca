#include "order.h"

#include "core/billing.h"
#include "row.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
static const struct option options[] = {
    {"--pay-again", NULL, "even if the last submission was paid for, or may have been", false},
    {"--json", NULL, "one JSON object", false},
    {"--help", NULL, "this text", false},
    {0},
};
/* clang-format on */

static bool has_ended(const json_t *row)
{
    const char *id = row_text(row, "request_id");
    char state[80];
    if (json_is_true(json_object_get(row, "faulty"))) {
        order_refuse("retry",
                     "%s is at fault and would be again: a corrected "
                     "request takes a new id",
                     id);
        return false;
    }
    switch (row_state(row)) {
    case CLOSED:
        return true;
    case SUCCEEDED:
    case FAILED:
        order_refuse("retry",
                     "%s is %s, and its event is not acknowledged "
                     "yet: try again in a moment",
                     id, order_state(row, state, sizeof state));
        return false;
    case LATE:
        order_refuse("retry",
                     "%s was told as failed, and its video may still "
                     "come: pixverse-ctl cancel ends that first",
                     id);
        return false;
    case QUEUED:
    case SUBMITTING:
    case RUNNING:
    case READY:
    case TASK_STATES_LEN:
        break;
    }
    order_refuse("retry", "%s has not ended: it is %s", id,
                 order_state(row, state, sizeof state));
    return false;
}

/** What a new submission risks, in words; null: nothing. */
static const char *risk(const struct task_row *task)
{
    const char *billed = task_billed(task, task->kind);
    if (task->kind == FAILURE_MODERATION) {
        return "it was refused by moderation, and the provider suspends "
               "accounts for repeats";
    }
    if (strcmp(billed, "yes") == 0) {
        return task->kind == FAILURE_NONE ? "it is completed and was paid for"
                                          : "it was paid for";
    }
    if (strcmp(billed, "unknown") == 0) {
        return "it may have been paid for, and may still finish upstream";
    }
    return task_retry_safe(task, task->kind) || task->kind == FAILURE_NONE
               ? NULL
               : "a repeat is not safe";
}

/** Nothing was paid: what a repeat risks is something else. */
static bool is_unpaid(const struct task_row *task)
{
    return strcmp(task_billed(task, task->kind), "no") == 0;
}

static void warn(const char *request_id, const struct task_row *task,
                 const char *why)
{
    fprintf(stderr, "pixverse-ctl retry: %s: %s%s\n", request_id, why,
            is_unpaid(task) ? "" : "; this order may pay a second time");
}

/** It waits unsent, in doubt: the order is to send it all the same. */
static int resend(struct ctl *ctl, const json_t *row, bool pays)
{
    const char *id = row_text(row, "request_id");
    const char *why = "it waits in doubt: it may have been bought before the "
                      "database was set back";
    char task[24];
    snprintf(task, sizeof task, "%" PRId64, row_number(row, "id"));
    const char *const params[] = {task};
    if (!pays) {
        return order_refuse("retry",
                            "%s: %s. Sending it now may pay a second time; "
                            "--pay-again orders it all the same",
                            id, why);
    }
    fprintf(stderr,
            "pixverse-ctl retry: %s: %s; this order may pay a second time\n",
            id, why);
    int written = order_write(ctl, "ctl_resend", params, 1);
    if (written == 0) {
        order_refuse("retry",
                     "%s changed at this moment, and nothing was ordered: try "
                     "again",
                     id);
    } else if (written > 0 && ctl->json) {
        json_t *line =
            json_pack("{s:s, s:I, s:b}", "request_id", id, "submission",
                      (json_int_t)row_number(row, "submission"), "ordered", 1);
        ctl_print_json(line);
        json_decref(line);
    } else if (written > 0) {
        printf("%s: is sent as soon as it is its turn\n", id);
    }
    return written > 0 ? EXIT_DONE : EXIT_FAILED;
}

static bool submit_again(struct ctl *ctl, const json_t *row)
{
    char task[24];
    char submission[24];
    snprintf(task, sizeof task, "%" PRId64, row_number(row, "id"));
    snprintf(submission, sizeof submission, "%" PRId64,
             row_number(row, "submission"));
    const char *const params[] = {task, submission};
    const char *const queries[] = {"ctl_retry"};
    int written = order_change(ctl, queries, 1, params, 2);
    if (written == 0) {
        order_refuse("retry",
                     "%s changed at this moment, and nothing was "
                     "ordered: try again",
                     row_text(row, "request_id"));
    }
    return written > 0;
}

static void tell(const struct ctl *ctl, const json_t *row)
{
    const char *id = row_text(row, "request_id");
    int64_t n = row_number(row, "submission") + 1;
    if (ctl->json) {
        json_t *line = json_pack("{s:s, s:I, s:b}", "request_id", id,
                                 "submission", (json_int_t)n, "ordered", 1);
        ctl_print_json(line);
        json_decref(line);
        return;
    }
    printf("%s: submission %" PRId64 " is in the queue; its videos are stored "
           "under %s/%" PRId64 ", and its end is an event of its own\n",
           id, n, id, n);
    if (row_number(row, "workers") == 0) {
        puts("  no worker runs at present");
    }
}

static int run(struct ctl *ctl, const struct options *given)
{
    if (given->words_len != 1) {
        return ctl_usage("retry", "it wants one request id");
    }
    json_t *row = order_look(ctl, "retry", given->words[0]);
    if (row && row_state(row) == QUEUED &&
        json_is_true(json_object_get(row, "doubt"))) {
        int status = resend(ctl, row, options_has(given, "--pay-again"));
        json_decref(row);
        return status;
    }
    bool good = row && has_ended(row);
    if (good) {
        const struct task_row task = order_task(row);
        const char *why = risk(&task);
        bool pays = options_has(given, "--pay-again");
        if (why && !pays) {
            order_refuse("retry",
                         "%s: %s. %s--pay-again orders it all the same",
                         given->words[0], why,
                         is_unpaid(&task) ? ""
                                          : "A new submission may be paid for "
                                            "a second time; ");
            good = false;
        } else if (why) {
            warn(given->words[0], &task, why);
        }
    }
    good = good && submit_again(ctl, row);
    if (good) {
        tell(ctl, row);
    }
    json_decref(row);
    return good ? EXIT_DONE : EXIT_FAILED;
}

const struct command command_retry = {
    .name = "retry",
    .usage = "REQUEST-ID [flags]",
    .help = "submit one that has ended once more",
    .text =
        "The same request goes out under a key of its own, its videos get "
        "names of their\nown, and a second event tells its end. Where the last "
        "submission was paid for, may\nhave been, or a repeat breaks a rule of "
        "the provider, --pay-again has to say so. So it does for one that waits since the\n"
        "database was set back and may have been bought: it then is sent.\n\n"
        "Examples:\n"
        "  pixverse-ctl retry order-1234.clip-1\n"
        "  pixverse-ctl retry order-1234.clip-1 --pay-again\n",
    .options = options,
    .run = run,
};
