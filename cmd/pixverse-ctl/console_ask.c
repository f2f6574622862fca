#include "console_ask.h"

#include "console_guard.h"
#include "console_live.h"
#include "console_reply.h"
#include "console_video.h"

#include "core/json.h"
#include "page.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLAGS_MAX 12

/** A question: a command with those flags, which come as parameters. */
struct question {
    const char *path;
    const char *words[2];
    bool about_one; /* wants the parameter `id` */
    const char *flags[FLAGS_MAX];
};

static const struct question questions[] = {
    {"/api/list",
     {"list"},
     false,
     {"state", "kind", "error", "tenant", "account", "since", "older-than",
      "after", "limit"}},
    {"/api/show", {"show"}, true, {NULL}},
    {"/api/explain", {"explain"}, true, {NULL}},
    {"/api/stats", {"stats"}, false, {"since", "until", "by"}},
    {"/api/workers", {"workers"}, false, {NULL}},
    {"/api/rejected",
     {"rejected", "list"},
     false,
     {"error", "since", "limit", "look"}},
};

#define LIST_AT 0
#define LIST_FILTERS 7 /* of its flags, those that say which */

/** An order: the words that it wants behind its name, as fields of the body. */
struct order {
    const char *name;
    const char *wants[3]; /* "id", "task", "reason"; null ends them */
    const char *takes;    /* a flag's value, which may be missing; null: none */
    bool may_pay_again;
    bool by_filter; /* it may be about all that fit one, instead */
};

#define MANY_AT_ONCE 1000 /* that are done within a run's time */

static const struct order orders[] = {
    {"retry", {"id"}, NULL, true, true},
    {"cancel", {"id"}, NULL, false, true},
    {"attach", {"id", "task"}, "account", false, false},
    {"announce", {"id"}, NULL, false, false},
    {"pause", {"reason"}, NULL, false, false},
    {"resume", {NULL}, NULL, false, false},
};
#define ORDERS "retry, cancel, attach, announce, pause, resume"

/* ---- what a command said ---- */

static void add_command(struct buf *out, const struct console_args *args)
{
    struct buf line;
    buf_init(&line, 0);
    console_args_line(args, &line);
    buf_add_text(out, "\"command\":");
    buf_add_json(out, buf_str(&line));
    buf_done(&line);
}

static int http_status(const struct console_run *run)
{
    switch (run->status) {
    case EXIT_DONE:
    case EXIT_LEFT: /* of several cells, those that answered */
        return 200;
    case EXIT_USAGE:
        return 400;
    case EXIT_FAILED:
        return strstr(run->err.bytes ? run->err.bytes : "", ": no request \"")
                   ? 404
                   : 409;
    default:
        return 503;
    }
}

static void tell(struct page_answer *answer, const struct console_args *args,
                 const struct console_run *run)
{
    answer->status = http_status(run);
    answer->content_type = "application/json";
    buf_add_char(answer->body, '{');
    add_command(answer->body, args);
    buf_add_char(answer->body, ',');
    if (answer->status != 200) {
        const struct str said = str_trim(buf_str(&run->err));
        buf_add_text(answer->body, "\"error\":");
        buf_add_json(answer->body,
                     said.len ? said
                              : STR("pixverse-ctl ended without a word"));
    } else {
        buf_add_text(answer->body, "\"rows\":[");
        console_add_rows(answer->body, buf_str(&run->out));
        buf_add_char(answer->body, ']');
        if (run->status == EXIT_LEFT) {
            buf_add_text(answer->body, ",\"left\":");
            buf_add_json(answer->body, str_trim(buf_str(&run->err)));
        }
    }
    buf_add_char(answer->body, '}');
}

/* ---- questions ---- */

struct asked {
    const struct question *question;
    struct console_args *args;
    char unknown[60]; /* a parameter that is none */
};

static void add_flag(void *context, const char *name, const char *value)
{
    struct asked *asked = context;
    if (asked->question->about_one && strcmp(name, "id") == 0) {
        return;
    }
    for (size_t i = 0; i < FLAGS_MAX && asked->question->flags[i]; i++) {
        if (strcmp(asked->question->flags[i], name) == 0) {
            if (value[0]) { /* an empty field of a form is none */
                console_args_flag(asked->args, name, value);
            }
            return;
        }
    }
    snprintf(asked->unknown, sizeof asked->unknown, "%s", name);
}

static void answer_question(struct console *console, const struct page_ask *ask,
                            const struct question *question,
                            struct page_answer *answer)
{
    struct console_args args = {0};
    struct asked asked = {.question = question, .args = &args};
    const char *id = page_query(ask, "id");
    console_args_add(&args, question->words[0]);
    if (question->words[1]) {
        console_args_add(&args, question->words[1]);
    }
    console_args_add(&args, "--json");
    page_each_query(ask, add_flag, &asked);
    if (question->about_one && id && id[0]) {
        console_args_add(&args, "--"); /* an id is never a flag */
        console_args_add(&args, id);
    }
    if (asked.unknown[0]) {
        console_refuse(answer, 400, "no parameter \"%s\" is known here",
                       asked.unknown);
    } else if (question->about_one && (!id || !id[0])) {
        console_refuse(answer, 400, "id is missing, allowed: a request's id");
    } else {
        struct console_run run;
        console_run(&run, &args, console->ctl->environment);
        tell(answer, &args, &run);
        console_run_done(&run);
    }
    console_args_done(&args);
}

/* ---- orders ---- */

static const struct order *find_order(const char *name)
{
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        if (strcmp(orders[i].name, name) == 0) {
            return &orders[i];
        }
    }
    return NULL;
}

/** What came of an order, for the log, which is what one has when the page is
 * gone: "not done" is said only where nothing can have been. */
static const char *end_of(int status, bool many)
{
    switch (status) {
    case EXIT_DONE:
        return "done";
    case EXIT_LEFT:
        return "done, some left out";
    case EXIT_FAILED: /* after some batches, perhaps */
        return many ? "failed: part of it may be done" : "not done";
    case -1:
        return "interrupted: part of it may be done";
    default:
        return "not done";
    }
}

/** Who ordered what, and what came of it. */
static void log_order(const struct page_ask *ask,
                      const struct console_args *args, const char *end)
{
    struct buf line;
    buf_init(&line, 0);
    console_args_line(args, &line);
    /* A line break in what was asked for would make a line of its own. */
    char *shown = text_for_people(line.bytes ? line.bytes : "");
    fprintf(stderr, "pixverse-ctl console: %s ordered: %s: %s\n", ask->from,
            shown ? shown : "", end);
    free(shown);
    buf_done(&line);
}

static void carry_out(struct console *console, const struct page_ask *ask,
                      const struct order *order, const json_t *body,
                      struct page_answer *answer)
{
    struct console_args args = {0};
    struct console_run run;
    console_args_add(&args, order->name);
    console_args_add(&args, "--json");
    if (order->may_pay_again &&
        json_is_true(json_object_get(body, "pay_again"))) {
        console_args_add(&args, "--pay-again");
    }
    if (order->takes && row_text(body, order->takes)[0]) {
        console_args_flag(&args, order->takes, row_text(body, order->takes));
    }
    console_args_add(&args, "--"); /* what follows is never a flag */
    for (size_t i = 0; order->wants[i]; i++) {
        console_args_add(&args, row_text(body, order->wants[i]));
    }
    console_run(&run, &args, console->ctl->environment);
    log_order(ask, &args, end_of(run.status, false));
    tell(answer, &args, &run);
    console_run_done(&run);
    console_args_done(&args);
}

/** The filter's fields as flags, those of the list; false: one is none. */
static bool add_filter(struct console_args *args, const json_t *filter)
{
    const char *const *flags = questions[LIST_AT].flags;
    const char *name;
    const json_t *value;
    json_object_foreach((json_t *)filter, name, value)
    {
        size_t i = 0;
        while (i < LIST_FILTERS && strcmp(flags[i], name) != 0) {
            i++;
        }
        if (i == LIST_FILTERS || !json_is_string(value)) {
            return false;
        }
        console_args_flag(args, name, json_string_value(value));
    }
    return json_object_size(filter) > 0;
}

/** What people are told of it, and that it was done: some may be left out. */
static void tell_many(struct page_answer *answer,
                      const struct console_args *args,
                      const struct console_run *run)
{
    if (run->status != EXIT_DONE && run->status != EXIT_LEFT) {
        tell(answer, args, run);
        return;
    }
    answer->content_type = "application/json";
    buf_add_char(answer->body, '{');
    add_command(answer->body, args);
    buf_add_text(answer->body, ",\"said\":");
    buf_add_json(answer->body, str_trim(buf_str(&run->out)));
    buf_add_char(answer->body, '}');
}

/** About all that fit: looked at first (`dry_run`), then ordered, no more than
 * were counted. */
static void order_many(struct console *console, const struct page_ask *ask,
                       const struct order *order, const json_t *body,
                       struct page_answer *answer)
{
    struct console_args args = {0};
    struct console_run run;
    char limit[24];
    const bool dry = json_is_true(json_object_get(body, "dry_run"));
    const int64_t most = dry ? MANY_AT_ONCE : row_number(body, "limit");
    snprintf(limit, sizeof limit, "%d", (int)most);
    console_args_add(&args, order->name);
    console_args_add(&args, dry ? "--dry-run" : "--yes");
    console_args_flag(&args, "limit", limit);
    if (most < 1 || most > MANY_AT_ONCE) {
        console_refuse(answer, 400,
                       "limit is missing, allowed: 1..%d, as many as dry_run "
                       "has counted",
                       MANY_AT_ONCE);
    } else if (!add_filter(&args, json_object_get(body, "filter"))) {
        console_refuse(answer, 400,
                       "filter has no field, or one that is none, allowed: "
                       "those of the list, each a text");
    } else {
        console_run(&run, &args, console->ctl->environment);
        if (!dry) {
            log_order(ask, &args, end_of(run.status, true));
        }
        tell_many(answer, &args, &run);
        console_run_done(&run);
    }
    console_args_done(&args);
}

/** Null: all are there. */
static const char *missing_word(const struct order *order, const json_t *body)
{
    for (size_t i = 0; order->wants[i]; i++) {
        if (!row_text(body, order->wants[i])[0]) {
            return order->wants[i];
        }
    }
    return NULL;
}

static void answer_order(struct console *console, const struct page_ask *ask,
                         struct page_answer *answer)
{
    bool no_memory = false;
    json_t *body = json_read(ask->body, &no_memory);
    const struct order *order = find_order(row_text(body, "order"));
    const bool many =
        order && order->by_filter && json_object_get(body, "filter");
    const char *missing = order && !many ? missing_word(order, body) : NULL;
    if (!console->orders) {
        console_refuse(answer, 403,
                       "this console takes no orders; pixverse-ctl console "
                       "--allow-orders does");
    } else if (!order) {
        console_refuse(answer, 400, "order is \"%s\", allowed: " ORDERS,
                       row_text(body, "order"));
    } else if (missing) {
        console_refuse(answer, 400, "%s is missing: %s wants it", missing,
                       order->name);
    } else if (many) {
        order_many(console, ask, order, body, answer);
    } else {
        carry_out(console, ask, order, body, answer);
    }
    json_decref(body);
}

/* ---- pages ---- */

/** Each page is the same file: its script looks at the address. */
static bool answer_page(const struct page_ask *ask, struct page_answer *answer)
{
    static const char *const pages[] = {
        "/", "/list", "/request", "/rejected", "/stats", "/workers", NULL};
    const char *path = ask->path;
    for (size_t i = 0; pages[i]; i++) {
        path = strcmp(path, pages[i]) == 0 ? "/index.html" : path;
    }
    for (const struct page_file *file = page_files; file->path; file++) {
        if (strcmp(file->path, path) == 0) {
            answer->content_type = file->content_type;
            buf_add(answer->body, file->bytes, file->len);
            return true;
        }
    }
    return false;
}

static bool answer_api(struct console *console, const struct page_ask *ask,
                       struct page_answer *answer)
{
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        if (strcmp(questions[i].path, ask->path) == 0) {
            answer_question(console, ask, &questions[i], answer);
            return true;
        }
    }
    if (strcmp(ask->path, "/api/overview") == 0) {
        live_overview(console, answer);
    } else if (strcmp(ask->path, "/api/live") == 0) {
        live_stream(console, answer);
    } else if (strcmp(ask->path, "/api/video") == 0) {
        video_answer(console, ask, answer);
    } else {
        return false;
    }
    return true;
}

static bool answer_post(struct console *console, const struct page_ask *ask,
                        struct page_answer *answer)
{
    if (strcmp(ask->path, "/api/login") == 0) {
        guard_login(console, ask, answer);
    } else if (strcmp(ask->path, "/api/logout") == 0) {
        guard_logout(console, ask, answer);
    } else if (strcmp(ask->path, "/api/order") == 0) {
        answer_order(console, ask, answer);
    } else {
        return false;
    }
    return true;
}

void console_answer(void *context, const struct page_ask *ask,
                    struct page_answer *answer)
{
    struct console *console = context;
    if (!guard_lets_in(console, ask, answer)) {
        return;
    }
    const bool found =
        strcmp(ask->method, "POST") == 0
            ? answer_post(console, ask, answer)
            : answer_page(ask, answer) || answer_api(console, ask, answer);
    if (!found) {
        console_refuse(answer, 404, "there is nothing at %s", ask->path);
    }
}
