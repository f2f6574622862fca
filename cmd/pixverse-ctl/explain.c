#include "ctl.h"

#include "account.h"
#include "order.h"
#include "owner.h"
#include "pruned.h"
#include "row.h"
#include "tenant.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct option options[] = {
    {"--json", NULL, "one JSON object", false},
    {"--help", NULL, "this text", false},
    {0},
};

static void print_holds(const json_t *row)
{
    size_t i;
    json_t *hold;
    json_array_foreach(json_object_get(row, "holds"), i, hold)
    {
        char since[25];
        char text[1200];
        str_time(row_number(hold, "since_ms"), since);
        snprintf(text, sizeof text, "  held since %s: %s, scope %s: %s", since,
                 row_text(hold, "reason"), row_text(hold, "scope"),
                 row_text(hold, "message"));
        print_for_people(text);
    }
}

/* ---- what is at stake, and what to do ---- */

/** What of it is paid or may be, while it isn't done. */
static const char *money_of(const json_t *row)
{
    bool doubt = json_is_true(json_object_get(row, "doubt"));
    switch (row_state(row)) {
    case QUEUED:
        return doubt ? "unknown: it may have been bought before the database "
                       "was set back"
                     : "nothing that was sent can have been accepted: nothing "
                       "is billed";
    case SUBMITTING:
        return doubt ? "unknown: it may have been accepted, and is billed then"
                     : "it is billed if the provider accepts it now";
    case RUNNING:
        return "accepted: it is billed when the provider completes it, whatever "
               "becomes of it here";
    case READY:
    case SUCCEEDED:
        return "finished upstream: it is paid for";
    case LATE:
        return "open: it is billed if the provider still completes it";
    case FAILED:
    case CLOSED:
    case TASK_STATES_LEN:
        break;
    }
    return "";
}

/** The command that follows a failure; the id is put in. */
static void next_step(const json_t *row, const json_t *event, char *out,
                      size_t out_bytes)
{
    const char *id = row_text(row, "request_id");
    const struct task_row task = order_task(row);
    if (task.state == LATE) {
        snprintf(out, out_bytes,
                 "its video may still come, and is told as late; pixverse-ctl "
                 "cancel %s ends that",
                 id);
        return;
    }
    switch (task.kind) {
    case FAILURE_INVALID_REQUEST:
        snprintf(out, out_bytes,
                 "mend what is named and send it under a new id: pixverse-ctl "
                 "submit");
        return;
    case FAILURE_MODERATION:
        snprintf(out, out_bytes,
                 "change the prompt or the images and send it under a new id: "
                 "pixverse-ctl submit (accounts are suspended for repeats)");
        return;
    case FAILURE_SUBMIT_UNKNOWN:
        snprintf(out, out_bytes,
                 "pixverse-ctl attach %s TASK-ID, if the provider's list has "
                 "it; pixverse-ctl retry %s --pay-again may pay a second time",
                 id, id);
        return;
    case FAILURE_SOURCE_FAILED:
        snprintf(out, out_bytes,
                 "once the request that it extends is completed: pixverse-ctl "
                 "retry %s",
                 id);
        return;
    case FAILURE_NONE:
    case FAILURE_SUBMIT_REFUSED:
    case FAILURE_PROVIDER_FAILED:
    case FAILURE_CANCELLED:
    case FAILURE_TIMED_OUT:
    case FAILURE_TASK_LOST:
    case FAILURE_ASSET_EXPIRED:
    case FAILURE_ASSET_UNUSABLE:
    case FAILURE_KINDS_LEN:
        break;
    }
    bool unpaid = strcmp(row_text(event, "billed"), "no") == 0;
    snprintf(out, out_bytes,
             unpaid ? "pixverse-ctl retry %s"
                    : "pixverse-ctl retry %s --pay-again may "
                      "pay a second time",
             id);
}

/* ---- in words ---- */

static void print_line(const char *name, const char *text)
{
    char line[2800];
    if (text[0]) {
        snprintf(line, sizeof line, "  %-12s %s", name, text);
        print_for_people(line);
    }
}

static void print_until(const json_t *row, const char *name, int64_t then_ms)
{
    char text[100];
    char span[40];
    char when[25];
    int64_t left_ms = then_ms - row_number(row, "now_ms");
    if (then_ms > 0) {
        str_time(then_ms, when);
        snprintf(text, sizeof text, "%s (in %s)", when,
                 format_duration(left_ms > 0 ? left_ms : 0, span, sizeof span));
        print_line(name, text);
    }
}

static void print_live(const json_t *row)
{
    const json_t *live = json_object_get(row, "live");
    char text[200];
    if (json_object_get(live, "progress")) {
        snprintf(text, sizeof text, "%" PRId64 " %% (%s)",
                 row_number(live, "progress"), row_text(live, "status"));
        print_line("progress", text);
    }
    bool polls = row_state(row) == RUNNING || row_state(row) == LATE;
    print_until(row, polls ? "next poll" : "next try",
                row_number(live, "next_ms"));
    print_line("worker", row_text(live, "worker"));
    if (row_text(row, "unasked")[0]) {
        snprintf(text, sizeof text, "%.170s", row_text(row, "unasked"));
        print_line("not asked", text);
        print_line("worker", row_text(row, "worker"));
    }
}

static void print_failure(const json_t *row, const json_t *event)
{
    char text[2600];
    const json_t *error = json_object_get(event, "error");
    snprintf(text, sizeof text, "%s: %s", row_text(error, "kind"),
             row_text(error, "message"));
    print_line("failed", text);
    print_line("billed", row_text(event, "billed"));
    print_line("retry_safe", json_is_true(json_object_get(error, "retry_safe"))
                                 ? "true"
                                 : "false");
    next_step(row, event, text, sizeof text);
    print_line("next", text);
}

static void print_words(const json_t *row, const json_t *event, const char *why)
{
    char title[2400];
    const char *state = row_state_name(row);
    snprintf(title, sizeof title, "%s: %s%s%s", row_text(row, "request_id"),
             state, why[0] ? "; " : ", told: nothing is owed", why);
    print_for_people(title);
    if (why[0]) {
        print_live(row);
        print_until(row, "deadline", row_number(row, "deadline_ms"));
        print_line("money", money_of(row));
        print_holds(row);
    }
    if (json_object_get(event, "error")) {
        print_failure(row, event);
    }
}

/* ---- in JSON ---- */

static void put(json_t *line, const char *name, const json_t *value)
{
    if (value) {
        json_object_set(line, name, (json_t *)value);
    }
}

static void put_time(json_t *line, const char *name, int64_t time_ms)
{
    char text[25];
    if (time_ms > 0) {
        str_time(time_ms, text);
        json_object_set_new(line, name, json_string(text));
    }
}

static void put_wait(json_t *line, const json_t *row, const char *why)
{
    const json_t *live = json_object_get(row, "live");
    json_t *holds = json_object_get(row, "holds");
    json_t *reason =
        json_deep_copy(json_object_get(live ? live : row, "reason"));
    json_object_set_new(line, "why", json_string(why));
    json_object_set_new(line, "holds",
                        holds ? json_incref(holds) : json_array());
    put(line, "shared", json_object_get(row, "shared"));
    put(line, "worker", json_object_get(row, "worker"));
    put(line, "not_asked", json_object_get(row, "unasked"));
    put(line, "progress", json_object_get(live, "progress"));
    put(line, "status", json_object_get(live, "status"));
    put_time(line, "next", row_number(live, "next_ms"));
    put_time(line, "deadline", row_number(row, "deadline_ms"));
    row_dress_reason(reason);
    put(line, "reason", reason);
    put(line, "waits_for", json_object_get(row, "waits_for"));
    json_decref(reason);
    if (money_of(row)[0]) {
        json_object_set_new(line, "money", json_string(money_of(row)));
    }
}

static void put_failure(json_t *line, const json_t *row, const json_t *event)
{
    char next[400];
    const json_t *error = json_object_get(event, "error");
    put(line, "kind", json_object_get(error, "kind"));
    put(line, "message", json_object_get(error, "message"));
    put(line, "billed", json_object_get(event, "billed"));
    put(line, "retry_safe", json_object_get(error, "retry_safe"));
    next_step(row, event, next, sizeof next);
    json_object_set_new(line, "next_step", json_string(next));
}

static void print_json(const json_t *row, const json_t *event, const char *why)
{
    json_t *line = json_object();
    json_object_set(line, "request_id", json_object_get(row, "request_id"));
    json_object_set_new(line, "state", json_string(row_state_name(row)));
    json_object_set_new(line, "done", json_boolean(why[0] == '\0'));
    if (why[0]) {
        put_wait(line, row, why);
    }
    if (json_object_get(event, "error")) {
        put_failure(line, row, event);
    }
    ctl_print_json(line);
    json_decref(line);
}

static int run(struct ctl *ctl, const struct options *given)
{
    if (given->words_len != 1) {
        return ctl_usage("explain", "it wants one request id");
    }
    json_t *rows = ctl_rows(ctl, "ctl_show", given->words, 1);
    json_t *row = json_array_get(rows, 0);
    int status = EXIT_FAILED;
    if (row && pruned_at_ms(row)) {
        pruned_tell(ctl, row);
        status = EXIT_DONE;
    } else if (row) {
        char why[2000];
        owner_ask(row);
        row_why(row, why, sizeof why);
        tenant_why(ctl, row, why, sizeof why);
        account_why(ctl, row, why, sizeof why);
        row_why_end(why);
        json_t *event = row_event(row);
        if (ctl->json) {
            print_json(row, event, why);
        } else {
            print_words(row, event, why);
        }
        json_decref(event);
        status = EXIT_DONE;
    } else if (rows) {
        fprintf(stderr,
                "pixverse-ctl explain: no request \"%s\" is stored: it was not "
                "sent to %s, or no worker has read it yet (does one run? "
                "consumption pauses while over BACKLOG_MAX rows wait), or it "
                "was rejected\n",
                given->words[0], ctl->settings.kafka_request_topic);
    }
    json_decref(rows);
    return status;
}

const struct command command_explain = {
    .name = "explain",
    .usage = "REQUEST-ID [flags]",
    .help = "why isn't it done?",
    .text = "Example:\n"
            "  pixverse-ctl explain order-1234.clip-1\n",
    .options = options,
    .run = run,
};
