#include "owner.h"

#include "edge/http.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ASK_MS 2000

struct question {
    struct loop *loop;
    json_t *answer; /* null: none */
    char why[520];
};

static void on_reply(void *context, const struct reply *reply)
{
    struct question *q = context;
    if (reply->end != REPLY_WHOLE) {
        snprintf(q->why, sizeof q->why, "%s",
                 reply->why[0] ? reply->why : reply_end_name(reply->end));
    } else if (reply->status == 200 || reply->status == 404) {
        q->answer = json_loadb(reply->body.at ? reply->body.at : "",
                               reply->body.len, 0, NULL);
    }
    if (!q->answer && !q->why[0]) {
        snprintf(q->why, sizeof q->why, "HTTP %d", reply->status);
    }
    loop_stop(q->loop);
}

static void ask(struct question *q, const char *url)
{
    const struct http_options options = {.connections_max = 1};
    const struct exchange exchange = {.method = EXCHANGE_GET,
                                      .url = str_of(url)};
    struct err err = {0};
    struct http *http = http_open(q->loop, &options, &err);
    if (http && http_send(http, &exchange, ASK_MS, NULL, on_reply, q, &err)) {
        loop_run(q->loop);
    } else {
        snprintf(q->why, sizeof q->why, "%s", err.text);
    }
    if (http) {
        http_close(http);
    }
}

/** Another worker may listen there by now, or the task have gone on. */
static void judge(struct question *q, const json_t *row)
{
    if (!q->answer) {
        return;
    }
    if (row_number(q->answer, "lease") != row_number(row, "owner")) {
        snprintf(q->why, sizeof q->why, "another worker answers there");
    } else if (strcmp(row_text(q->answer, "request_id"),
                      row_text(row, "request_id")) != 0) {
        snprintf(q->why, sizeof q->why, "it has just let go of the task");
    }
}

void owner_ask(json_t *row)
{
    char url[400];
    const char *admin = row_text(row, "admin");
    if (!json_object_get(row, "owner") ||
        json_is_true(json_object_get(row, "worker_dead"))) {
        return;
    }
    struct err err = {0};
    struct question q = {.loop = admin[0] ? loop_open(&err) : NULL};
    if (q.loop) {
        snprintf(url, sizeof url, "http://%s/task?id=%" PRId64, admin,
                 row_number(row, "task"));
        ask(&q, url);
        judge(&q, row);
        loop_close(q.loop);
    } else {
        snprintf(q.why, sizeof q.why, "%s",
                 admin[0] ? err.text : "its lease names no address");
    }
    if (q.why[0]) {
        char text[1000];
        snprintf(text, sizeof text, "%s at %s: %s", row_text(row, "worker"),
                 admin[0] ? admin : "no address", q.why);
        json_object_set_new(row, "unasked", json_string(text));
        json_decref(q.answer);
    } else {
        json_object_set_new(row, "live", q.answer);
    }
}
