#ifndef TESTS_EDGE_HTTP_TRIAL_H
#define TESTS_EDGE_HTTP_TRIAL_H

/**
 * What the tests of the HTTP door share: a loop, a door, a server, and the
 * replies that came. One of each a test.
 */

#include "edge/http.h"
#include "edge/web.h"

#include <signal.h>

#include "lib/check.h"

#define LIMIT_MS 60000
#define ANSWERS_MAX 64
#define OK_JSON                                                                \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"                    \
    "Content-Length: 2\r\n\r\n{}"

struct answer {
    int calls;
    int order; /* 1: the first that came */
    enum reply_end end;
    bool sent;
    int status;
    bool replayed;
    size_t body_bytes;
    char body[256]; /* its start */
    char retry_after[64];
    char content_type[96];
    char why[160];
};

static struct loop *loop;
static struct http *http;
static struct web *web;
static struct answer answers[ANSWERS_MAX];
static int came;
static int awaited;
static bool sending; /* inside http_send() */

/* ---- the client's side ---- */

static inline void out_of_time(void *context)
{
    (void)context;
    fail_msg("only %d of %d replies came", came, awaited);
}

static inline void copy(char *out, size_t out_bytes, struct str text)
{
    snprintf(out, out_bytes, "%.*s", (int)text.len, text.at ? text.at : "");
}

static inline void on_reply(void *context, const struct reply *reply)
{
    struct answer *answer = context;
    assert_false(sending);
    answer->calls++;
    answer->order = ++came;
    answer->end = reply->end;
    answer->sent = reply->sent;
    answer->status = reply->status;
    answer->replayed = reply->replayed;
    answer->body_bytes = reply->body.len;
    copy(answer->body, sizeof answer->body, reply->body);
    copy(answer->retry_after, sizeof answer->retry_after, reply->retry_after);
    copy(answer->content_type, sizeof answer->content_type,
         reply->content_type);
    snprintf(answer->why, sizeof answer->why, "%s", reply->why);
    if (came == awaited) {
        loop_stop(loop);
    }
}

static inline void wait_for(int replies)
{
    struct loop_timer *limit = loop_timer_new(loop, out_of_time, NULL);
    if (!limit) { /* a call that was to fail under a door failed here */
        limit = loop_timer_new(loop, out_of_time, NULL);
    }
    loop_timer_set(limit, LIMIT_MS);
    awaited = replies;
    if (came < awaited) {
        loop_run(loop);
    }
    loop_timer_free(limit);
}

static inline void open_http(int connections, const char *ca_file)
{
    struct err err = {0};
    const struct http_options options = {
        .connections_max = connections,
        .ca_file = ca_file,
    };
    http = http_open(loop, &options, &err);
    assert_non_null(http);
}

static inline bool send_it(const struct exchange *exchange, int64_t timeout_ms,
                           bool (*may_send)(void *), struct answer *answer)
{
    struct err err = {0};
    sending = true;
    bool began =
        http_send(http, exchange, timeout_ms, may_send, on_reply, answer, &err);
    sending = false;
    assert_true(began || err.kind == ERR_PERMANENT);
    return began;
}

static inline const char *url_of(const char *path)
{
    static char url[256];
    snprintf(url, sizeof url, "%s%s", web->url, path);
    return url;
}

static inline bool post(const char *url, const char *body, int64_t timeout_ms,
                        struct answer *answer)
{
    const struct exchange exchange = {
        .method = EXCHANGE_POST,
        .url = str_of(url),
        .idempotency_key = STR("key-1"),
        .body = str_of(body),
        .bearer = STR("secret"),
    };
    return send_it(&exchange, timeout_ms, NULL, answer);
}

static inline bool get(const char *url, int64_t timeout_ms,
                       struct answer *answer)
{
    const struct exchange exchange = {
        .method = EXCHANGE_GET,
        .url = str_of(url),
        .bearer = STR("secret"),
    };
    return send_it(&exchange, timeout_ms, NULL, answer);
}

static inline int setup(void **state)
{
    (void)state;
    struct err err = {0};
    memset(answers, 0, sizeof answers);
    came = 0;
    awaited = -1;
    loop = loop_open(&err);
    return loop ? 0 : -1;
}

static inline int teardown(void **state)
{
    (void)state;
    if (http) {
        http_close(http);
        http = NULL;
    }
    if (web) {
        web_stop(web);
        web = NULL;
    }
    loop_close(loop);
    return 0;
}

/* ---- the server's side ---- */

static inline bool serve_ok(struct web *w, int fd, const char *request,
                            int number)
{
    (void)w;
    (void)request;
    (void)number;
    return web_say(fd, OK_JSON);
}

/** What the test gave as context, then the end. */
static inline bool serve_text(struct web *w, int fd, const char *request,
                              int number)
{
    (void)request;
    (void)number;
    web_say(fd, w->context);
    return false;
}

static inline bool serve_nothing(struct web *w, int fd, const char *request,
                                 int number)
{
    (void)w;
    (void)fd;
    (void)request;
    (void)number;
    return false;
}

static inline bool serve_reset(struct web *w, int fd, const char *request,
                               int number)
{
    (void)w;
    (void)request;
    (void)number;
    web_reset(fd);
    return false;
}

static inline bool serve_never(struct web *w, int fd, const char *request,
                               int number)
{
    (void)w;
    (void)request;
    (void)number;
    web_hold(fd);
    return false;
}

/** Answers what asks for /warm; reads all else whole and closes. */
static inline bool serve_then_die(struct web *w, int fd, const char *request,
                                  int number)
{
    (void)number;
    if (strstr(request, " /warm ")) {
        return web_say(fd, OK_JSON);
    }
    atomic_fetch_add((atomic_int *)w->context, 1);
    return false;
}

static inline void stop(void *context)
{
    (void)context;
    loop_stop(loop);
}

#define TEST(name) TEST_CASE_WITH(name, setup, teardown)

#endif
