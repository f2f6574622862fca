#include "many.h"

#include "core/billing.h"
#include "order.h"
#include "row.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
static const struct option options[] = {
    {"--pay-again", NULL, "even if the last submission was paid for, or may have been", false},
    FILTER_OPTIONS,
    MANY_OPTIONS,
    CONFIRM_OPTIONS,
    {"--json", NULL, "one JSON object a request", false},
    {"--help", NULL, "this text", false},
    {0},
};
/* clang-format on */

#define MODES_LEN (MODE_EXTEND + 1)

#define DOUBT_WORDS                                                            \
    "waits in doubt: it may have been bought before the database was set back"

/** What a new submission risks, in words; null: nothing. */
static const char *risk(const struct task_row *task)
{
    const char *billed = task_billed(task, task->kind);
    if (task->kind == FAILURE_MODERATION) {
        return "was refused by moderation, and the provider suspends "
               "accounts for repeats";
    }
    if (strcmp(billed, "yes") == 0) {
        return task->kind == FAILURE_NONE ? "is completed and was paid for"
                                          : "was paid for";
    }
    if (strcmp(billed, "unknown") == 0) {
        return "may have been paid for, and may still finish upstream";
    }
    return task_retry_safe(task, task->kind) || task->kind == FAILURE_NONE
               ? NULL
               : "is not safe to repeat";
}

/** Nothing was paid: what a repeat risks is something else. */
static bool is_unpaid(const struct task_row *task)
{
    return strcmp(task_billed(task, task->kind), "no") == 0;
}

/** It waits unsent, in doubt: the order is to send it all the same. */
static bool is_doubt(const json_t *row)
{
    return row_state(row) == QUEUED &&
           json_is_true(json_object_get(row, "doubt"));
}

/** Whether its end is told, or it waits in doubt; else why nothing is ordered,
 * in words behind its id. */
static bool has_ended(const json_t *row, char why[WHY_BYTES])
{
    char state[80];
    order_state(row, state, sizeof state);
    if (json_is_true(json_object_get(row, "faulty"))) {
        snprintf(why, WHY_BYTES,
                 "is at fault and would be again: a corrected request takes a "
                 "new id");
        return false;
    }
    switch (row_state(row)) {
    case CLOSED:
        return true;
    case SUCCEEDED:
    case FAILED:
        snprintf(why, WHY_BYTES,
                 "is %s, and its event is not acknowledged yet: try again in a "
                 "moment",
                 state);
        return false;
    case LATE:
        snprintf(why, WHY_BYTES,
                 "was told as failed, and its video may still come: "
                 "pixverse-ctl cancel ends that first");
        return false;
    case QUEUED:
        if (is_doubt(row)) {
            return true;
        }
        break;
    case SUBMITTING:
    case RUNNING:
    case READY:
    case TASK_STATES_LEN:
        break;
    }
    snprintf(why, WHY_BYTES, "has not ended: it is %s", state);
    return false;
}

/** Whether it may be sent once more; else why not, in words behind its id. */
static bool may_retry(const json_t *row, bool pays, char why[WHY_BYTES])
{
    if (!has_ended(row, why)) {
        return false;
    }
    const struct task_row task = order_task(row);
    const char *risks = is_doubt(row) ? DOUBT_WORDS : risk(&task);
    if (risks && !pays) {
        snprintf(why, WHY_BYTES, "%s. %s--pay-again orders it all the same",
                 risks,
                 is_doubt(row)      ? "Sending it now may pay a second time; "
                 : is_unpaid(&task) ? ""
                                    : "A new submission may be paid for a "
                                      "second time; ");
        return false;
    }
    return true;
}

static void warn(const json_t *row)
{
    const struct task_row task = order_task(row);
    const char *risks = is_doubt(row) ? DOUBT_WORDS : risk(&task);
    if (risks) {
        order_refuse("retry", "%s %s%s", row_text(row, "request_id"), risks,
                     !is_doubt(row) && is_unpaid(&task)
                         ? ""
                         : "; this order may pay a second time");
    }
}

/* ---- One ---- */

static bool submit_again(struct ctl *ctl, const json_t *row)
{
    char task[24];
    char submission[24];
    snprintf(task, sizeof task, "%" PRId64, row_number(row, "id"));
    snprintf(submission, sizeof submission, "%" PRId64,
             row_number(row, "submission"));
    const char *const params[] = {task, submission};
    const char *const queries[] = {"ctl_retry"};
    int written = is_doubt(row) ? order_write(ctl, "ctl_resend", params, 1)
                                : order_change(ctl, queries, 1, params, 2);
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
    int64_t n = row_number(row, "submission") + !is_doubt(row);
    if (ctl->json) {
        json_t *line = json_pack("{s:s, s:I, s:b}", "request_id", id,
                                 "submission", (json_int_t)n, "ordered", 1);
        ctl_print_json(line);
        json_decref(line);
        return;
    }
    if (is_doubt(row)) {
        printf("%s: is sent as soon as it is its turn\n", id);
        return;
    }
    printf("%s: submission %" PRId64 " is in the queue; its videos are stored "
           "under %s/%" PRId64 ", and its end is an event of its own\n",
           id, n, id, n);
    if (row_number(row, "workers") == 0) {
        puts("  no worker runs at present");
    }
}

static int retry_one(struct ctl *ctl, const char *request_id, bool pays)
{
    char why[WHY_BYTES];
    json_t *row = order_look(ctl, "retry", request_id, NULL, 0);
    bool good = row != NULL;
    if (good && !may_retry(row, pays, why)) {
        order_refuse("retry", "%s %s", request_id, why);
        good = false;
    }
    if (good) {
        warn(row);
    }
    good = good && submit_again(ctl, row);
    if (good) {
        tell(ctl, row);
    }
    json_decref(row);
    return good ? EXIT_DONE : EXIT_FAILED;
}

/* ---- Many ---- */

struct retries {
    struct ctl *ctl;
    bool pays;
    size_t modes[MODES_LEN]; /* to be submitted, of each */
    size_t risky;            /* whose last submission may have been paid for */
};

static enum verdict judge(void *context, const json_t *row, char why[WHY_BYTES])
{
    const struct retries *retries = context;
    enum task_state state = row_state(row);
    bool completed = order_task(row).kind == FAILURE_NONE &&
                     (state == CLOSED || state == SUCCEEDED);
    bool on_its_way = (state == QUEUED && !is_doubt(row)) ||
                      state == SUBMITTING || state == RUNNING || state == READY;
    if (completed || on_its_way) {
        return VERDICT_NOT_MEANT;
    }
    return may_retry(row, retries->pays, why) ? VERDICT_DO : VERDICT_LEFT;
}

static void count(void *context, const json_t *row)
{
    struct retries *retries = context;
    const struct task_row task = order_task(row);
    int64_t mode = row_number(row, "mode");
    retries->modes[mode > 0 && mode < MODES_LEN ? mode : 0]++;
    retries->risky += is_doubt(row) || !is_unpaid(&task);
}

/** By what completed ones of their modes cost lately. */
static bool cost(void *context, FILE *out)
{
    struct retries *retries = context;
    double sum = 0;
    size_t unknown = retries->modes[0];
    for (int mode = 1; mode < MODES_LEN; mode++) {
        char number[16];
        const char *param = number;
        snprintf(number, sizeof number, "%d", mode);
        if (retries->modes[mode] == 0) {
            continue;
        }
        json_t *rows = ctl_rows(retries->ctl, "ctl_price", &param, 1);
        const json_t *row = json_array_get(rows, 0);
        if (!rows) {
            return false;
        }
        if (row_number(row, "samples") > 0) {
            sum += (double)retries->modes[mode] *
                   json_number_value(json_object_get(row, "cost"));
        } else {
            unknown += retries->modes[mode];
        }
        json_decref(rows);
    }
    fprintf(out, "  may cost about %.4g, by what the last of each mode cost",
            sum);
    if (unknown) {
        fprintf(out, ", and %zu of a mode that has cost nothing yet", unknown);
    }
    if (retries->risky) {
        fprintf(out, "; %zu may have been paid for before", retries->risky);
    }
    fputc('\n', out);
    return true;
}

static int write_one(void *context, const json_t *row)
{
    const struct retries *retries = context;
    char task[24];
    char submission[24];
    snprintf(task, sizeof task, "%" PRId64, row_number(row, "id"));
    snprintf(submission, sizeof submission, "%" PRId64,
             row_number(row, "submission"));
    const char *const params[] = {task, submission};
    return is_doubt(row) ? order_write(retries->ctl, "ctl_resend", params, 1)
                         : order_write(retries->ctl, "ctl_retry", params, 2);
}

static int retry_many(struct ctl *ctl, const struct options *given, bool pays)
{
    struct filter filter;
    struct retries retries = {.ctl = ctl, .pays = pays};
    struct many many = {
        .ctl = ctl,
        .given = given,
        .command = "retry",
        .done = "are in the queue once more; their ends are events of their "
                "own",
        .not_meant = "not meant: completed (those go by id), or on their way",
        .context = &retries,
        .judge = judge,
        .count = count,
        .cost = cost,
        .write = write_one,
    };
    int status = EXIT_USAGE;
    if (filter_read(&filter, "retry", given)) {
        /* Those that failed; other states only where they are named. */
        filter.failed = filter.failed || !options_has(given, "--state");
        status = many_run(&many, &filter);
    }
    many_done(&many);
    filter_done(&filter);
    return status;
}

static int run(struct ctl *ctl, const struct options *given)
{
    bool pays = options_has(given, "--pay-again");
    int status;
    switch (many_by(given, "retry", 1, &status)) {
    case MANY_BY_ID:
        return retry_one(ctl, given->words[0], pays);
    case MANY_BY_FILTER:
        return retry_many(ctl, given, pays);
    case MANY_BY_NOTHING:
        break;
    }
    return status;
}

const struct command command_retry = {
    .name = "retry",
    .usage = "REQUEST-ID | FILTER... [flags]",
    .help = "submit once more what has ended",
    .text =
        "The same request goes out under a key of its own, its videos get "
        "names of their\nown, and a second event tells its end. Where the last "
        "submission was paid for, may\nhave been, or a repeat breaks a rule of "
        "the provider, --pay-again has to say so. So it does for one that waits since the\n"
        "database was set back and may have been bought: it then is sent.\n\n"
        "By filter, as list takes it: those that failed (completed ones go by "
        "id only). How many,\nand what they may cost, is said and asked for "
        "first; a script says --yes. Each is locked\nand looked at again "
        "before it is ordered, a hundred at a time. A run that ended early "
        "says\nhow to go on. Exit status 3: some were left out, and why is "
        "said.\n\n"
        "Examples:\n"
        "  pixverse-ctl retry order-1234.clip-1\n"
        "  pixverse-ctl retry order-1234.clip-1 --pay-again\n"
        "  pixverse-ctl retry --kind provider_failed --since 2h --dry-run\n"
        "  pixverse-ctl retry --error 503 --tenant studio-a --limit 100 "
        "--yes\n",
    .options = options,
    .run = run,
};
