#include "order.h"

#include "core/apimart.h"
#include "row.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct option options[] = {
    {"--account", "NAME", "whose list has it, of one that waits in doubt",
     false},
    {"--json", NULL, "one JSON object", false},
    {"--help", NULL, "this text", false},
    {0},
};

/** Whether this row is one that an id may be missing from. */
static bool may_attach(const json_t *row, const char *provider_id)
{
    const struct task_row task = order_task(row);
    const char *id = row_text(row, "request_id");
    char state[80];
    if (task.provider_task_id[0]) {
        order_refuse("attach",
                     "%s has another id, %s: if %s was bought under the same "
                     "key too, the provider does not honour keys",
                     id, task.provider_task_id, provider_id);
        return false;
    }
    if (row_number(row, "first_sent_ms") == 0) {
        order_refuse("attach",
                     "%s is %s and was never sent: the id can't be "
                     "that of its submission",
                     id, order_state(row, state, sizeof state));
        return false;
    }
    bool over = task.state == CLOSED || task.state == FAILED;
    if (over && task.kind != FAILURE_SUBMIT_UNKNOWN) {
        order_refuse("attach",
                     "%s is %s: only submit_unknown leaves open whether an id "
                     "exists",
                     id, order_state(row, state, sizeof state));
        return false;
    }
    return true;
}

/** Whether the id is another's; *same: it is this request's already. */
static bool is_taken(struct ctl *ctl, const char *request_id,
                     const char *provider_id, bool *same)
{
    json_t *rows = ctl_rows(ctl, "ctl_order_holder", &provider_id, 1);
    bool taken = rows == NULL;
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        const char *holder = row_text(row, "request_id");
        if (strcmp(holder, request_id) == 0 &&
            !json_is_true(json_object_get(row, "over"))) {
            *same = true;
        } else if (strcmp(holder, request_id) == 0) {
            order_refuse("attach",
                         "%s was an earlier submission of %s, which is over",
                         provider_id, request_id);
            taken = true;
        } else {
            order_refuse("attach", "%s belongs to %s", provider_id, holder);
            taken = true;
        }
    }
    json_decref(rows);
    return taken;
}

/** The names of all, for people; *pinned: it waits for one of them alone. */
static bool knows_account(const json_t *accounts, const char *name,
                          bool *pinned, struct buf *all)
{
    size_t i;
    const json_t *row;
    bool known = false;
    json_array_foreach((json_t *)(uintptr_t)accounts, i, row)
    {
        const char *one = row_text(row, "name");
        buf_printf(all, "%s%s", i ? ", " : "", one);
        known = known || (name && strcmp(one, name) == 0);
        *pinned = *pinned || json_is_true(json_object_get(row, "pinned"));
    }
    buf_add_char(all, '\0');
    return known;
}

/** What waits in doubt may have been sent by any account, where the database
 * was set back: whoever polls it has to be the one that has it. */
static bool choose_account(struct ctl *ctl, const json_t *row,
                           const char *account)
{
    const char *id = row_text(row, "request_id");
    if (row_state(row) != QUEUED) {
        return !account ||
               (order_refuse("attach",
                             "--account is for what waits in doubt: which "
                             "account %s was sent by is stored",
                             id),
                false);
    }
    char task[24];
    char submission[24];
    snprintf(task, sizeof task, "%" PRId64, row_number(row, "id"));
    snprintf(submission, sizeof submission, "%" PRId64,
             row_number(row, "submission"));
    const char *const params[] = {task, submission, account};
    json_t *accounts = ctl_rows(ctl, "ctl_attach_accounts", params, 1);
    bool pinned = false;
    struct buf all;
    buf_init(&all, 0);
    const bool known = knows_account(accounts, account, &pinned, &all);
    bool fine = accounts != NULL;
    if (fine && account && !known) {
        order_refuse("attach", "--account %s: allowed: %s", account, all.bytes);
        fine = false;
    } else if (fine && !account && !pinned && json_array_size(accounts) > 1) {
        order_refuse("attach",
                     "any account may have sent %s: say whose list has it, "
                     "with --account, one of %s",
                     id, all.bytes);
        fine = false;
    }
    fine = fine &&
           (!account || order_write(ctl, "ctl_attach_account", params, 3) >= 0);
    buf_done(&all);
    json_decref(accounts);
    return fine;
}

/** The same write as a worker's that learnt it; what lay still is woken. */
static bool attach(struct ctl *ctl, const json_t *row, const char *provider_id)
{
    char task[24];
    char submission[24];
    snprintf(task, sizeof task, "%" PRId64, row_number(row, "id"));
    snprintf(submission, sizeof submission, "%" PRId64,
             row_number(row, "submission"));
    const char *const params[] = {task, submission, provider_id};
    const char *const queries[] = {"learn", "learn_waiting", "learn_closed"};
    int which = order_change(ctl, queries, 3, params, 3);
    if (which < 0) {
        return false;
    }
    if (which == 0) {
        order_refuse("attach",
                     "%s changed at this moment and nothing was "
                     "written: try again",
                     row_text(row, "request_id"));
        return false;
    }
    /* Reopened, or taken from the queue: nobody's. */
    bool nobodys = which > 1 || row_state(row) == QUEUED;
    return !nobodys || order_write(ctl, "ctl_wake", NULL, 0) >= 0;
}

static void tell(const struct ctl *ctl, const json_t *row,
                 const char *provider_id, bool same)
{
    const char *id = row_text(row, "request_id");
    if (ctl->json) {
        json_t *line =
            json_pack("{s:s, s:s, s:b}", "request_id", id, "provider_task_id",
                      provider_id, "attached", !same);
        ctl_print_json(line);
        json_decref(line);
        return;
    }
    enum task_state state = row_state(row);
    printf("%s: %s %s\n", id, same ? "has it already:" : "now has",
           provider_id);
    if (!same) {
        puts(state == CLOSED || state == FAILED
                 ? "  submit_unknown was told; it is open again as late, and a "
                   "video that comes is told as late"
                 : "  whoever works on it reads its row again within 10 s, and "
                   "polls from then on");
    }
}

static int run(struct ctl *ctl, const struct options *given)
{
    if (given->words_len != 2) {
        return ctl_usage("attach", "it wants a request id and a provider id");
    }
    const char *provider_id = given->words[1];
    if (!apimart_is_task_id(str_of(provider_id))) {
        return ctl_usage("attach",
                         "\"%s\" is no provider id: 1 to %d visible ASCII "
                         "characters without spaces",
                         provider_id, PROVIDER_TASK_ID_BYTES - 1);
    }
    /* Two operators can't give one id to two requests. */
    json_t *row = order_write(ctl, "ctl_order_lock", NULL, 0) >= 0
                      ? order_look(ctl, "attach", given->words[0], NULL, 0)
                      : NULL;
    bool same = false;
    int status = EXIT_FAILED;
    if (row && !is_taken(ctl, given->words[0], provider_id, &same) &&
        (same || (may_attach(row, provider_id) &&
                  choose_account(ctl, row, options_get(given, "--account")) &&
                  attach(ctl, row, provider_id)))) {
        tell(ctl, row, provider_id, same);
        status = EXIT_DONE;
    }
    json_decref(row);
    return status;
}

const struct command command_attach = {
    .name = "attach",
    .usage = "REQUEST-ID PROVIDER-TASK-ID [flags]",
    .help = "give a doubtful task its provider id",
    .text =
        "For an id that a worker learnt and could not write: its log names "
        "both, as does\nthe provider's own list of what was bought. One in "
        "doubt is polled from then on;\none that was told as submit_unknown "
        "is opened again, and its video is told as\nlate. All else is refused, "
        "with the reason. Where\nthe database was set back, and several accounts "
        "are known, --account says whose\nlist has it.\n\n"
        "Example:\n"
        "  pixverse-ctl attach order-1234.clip-1 task_01H8\n",
    .options = options,
    .run = run,
};
