#include "edge/http.h"

#include "base/list.h"
#include "edge/web/call.h"

#include <assert.h>
#include <stdlib.h>

#define CALLS_KEPT 256
#define CONNECT_MS 10000
#define PLAIN_KEPT 65536 /* bytes for a reply that was coded, between calls */

struct http {
    struct http_options options;
    struct loop *loop;
    struct web_client *client;
    struct list free;
    struct list waiting;
    struct list active;
    struct list doomed; /* never started: their reply is owed */
    struct buf plain;   /* a reply's body, its coding undone */
    int free_len;
    int active_len;
    int under_way;
    struct loop_timer *soon; /* ends the doomed */
    bool closing;
};

/* ---- a call gets what it needs ---- */

static struct http_call *call_get(struct http *http)
{
    struct list *link = list_pop(&http->free);
    if (link) {
        http->free_len--;
        return LIST_OWNER(link, struct http_call, link);
    }
    return http_call_new(http);
}

static bool is_clean(struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if (c < 0x20 || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static const struct web_hooks hooks;

static void call_start(struct http_call *call)
{
    struct http *http = call->http;
    assert(call->http->active_len >= 0 && call->timeout_ms >= 1);
    const struct web_request request = {
        .method = call->post ? "POST" : "GET",
        .url = call->url,
        .headers = call->headers,
        .body = {call->body, call->body_len},
        .source_bytes = -1,
        .connect_ms = CONNECT_MS,
        .whole_ms = call->timeout_ms,
    };
    if (!web_call_start(&call->web, http->client, &request, &hooks, call)) {
        list_add_tail(&http->doomed, &call->link);
        loop_timer_set(http->soon, 0);
        return;
    }
    http->active_len++;
    list_add_tail(&http->active, &call->link);
}

/* ---- ends ---- */

static void call_end(struct http_call *call, bool came,
                     const struct web_end *end)
{
    struct http *http = call->http;
    assert(call->http->under_way > 0 && call->on_reply);
    struct reply reply;
    http_call_read(call, came, end, &http->plain, &reply);
    http_reply_fn *on_reply = call->on_reply;
    void *context = call->context;
    http->under_way--;
    on_reply(context, &reply);
    if (http->plain.size > PLAIN_KEPT) {
        buf_done(&http->plain);
        buf_init(&http->plain, HTTP_BODY_BYTES_MAX);
    }
    http_call_clear(call);
    list_remove(&call->link);
    if (http->free_len < CALLS_KEPT) {
        http->free_len++;
        list_add_tail(&http->free, &call->link);
    } else {
        http_call_free(call);
    }
}

/** More would only wait inside libcurl, with their timeouts running. */
static void start_waiting(struct http *http)
{
    assert(http->active_len <= http->options.connections_max);
    while (!http->closing && http->active_len < http->options.connections_max &&
           !list_is_empty(&http->waiting)) {
        call_start(
            LIST_OWNER(list_pop(&http->waiting), struct http_call, link));
    }
}

/** They never came to libcurl: waiting, or doomed. */
static void end_unstarted(struct list *calls, const char *why)
{
    const struct web_end end = {.end = REPLY_CANCELLED, .why = why};
    while (!list_is_empty(calls)) {
        call_end(LIST_OWNER(list_pop(calls), struct http_call, link), false,
                 &end);
    }
}

static void end_doomed(void *context)
{
    struct http *http = context;
    end_unstarted(&http->doomed, "libcurl did not take it");
}

static bool may_leave(void *context, const char *remote)
{
    const struct http_call *call = context;
    (void)remote;
    return !call->may_send || call->may_send(call->context);
}

static enum web_taken on_body(void *context, const char *bytes, size_t len)
{
    struct http_call *call = context;
    buf_add(&call->reply, bytes, len);
    return call->reply.failed ? WEB_REFUSED : WEB_TAKEN;
}

static void on_end(void *context, const struct web_end *told)
{
    struct http_call *call = context;
    struct http *http = call->http;
    assert(http->active_len > 0);
    struct web_end end = *told;
    if (call->reply.failed && end.end != REPLY_CANCELLED) {
        end.end = REPLY_TOO_LARGE;
    }
    http->active_len--;
    list_remove(&call->link);
    start_waiting(http);
    call_end(call, true, &end);
}

static const struct web_hooks hooks = {
    .may_send = may_leave,
    .on_body = on_body,
    .on_end = on_end,
};

/* ---- the door ---- */

struct http *http_open(struct loop *loop, const struct http_options *options,
                       struct err *err)
{
    assert(options->connections_max >= 1);
    struct http *http = calloc(1, sizeof *http);
    if (!http) {
        err_set(err, ERR_FATAL, "no memory for HTTP");
        return NULL;
    }
    *http = (struct http){
        .options = *options,
        .loop = loop,
        .soon = loop_timer_new(loop, end_doomed, http),
    };
    buf_init(&http->plain, HTTP_BODY_BYTES_MAX);
    list_init(&http->free);
    list_init(&http->waiting);
    list_init(&http->active);
    list_init(&http->doomed);
    const struct web_policy policy = {
        .connections_max = options->connections_max,
        .ca_file = options->ca_file,
        .proxy = options->proxy,
        .once = true,
    };
    http->client = web_client_open(loop, &policy, err);
    if (!http->client || !http->soon) {
        err_set(err, ERR_FATAL, "no memory for HTTP");
        http_close(http);
        return NULL;
    }
    return http;
}

bool http_send(struct http *http, const struct exchange *exchange,
               int64_t timeout_ms, bool (*may_send)(void *context),
               http_reply_fn *on_reply, void *context, struct err *err)
{
    assert(on_reply);
    assert(timeout_ms >= 1);
    if (!str_starts(exchange->url, STR("https://")) &&
        !str_starts(exchange->url, STR("http://"))) {
        return err_set(err, ERR_PERMANENT, "the URL is neither http nor https");
    }
    if (!is_clean(exchange->url) || !is_clean(exchange->bearer) ||
        !is_clean(exchange->idempotency_key)) {
        return err_set(err, ERR_PERMANENT,
                       "a control character in the URL or a header");
    }
    struct http_call *call = call_get(http);
    if (!call) {
        return err_set(err, ERR_TRANSIENT, "no memory for an exchange");
    }
    call->timeout_ms = timeout_ms;
    call->may_send = may_send;
    call->on_reply = on_reply;
    call->context = context;
    if (!http_call_fill(call, exchange)) {
        http_call_free(call);
        return err_set(err, ERR_TRANSIENT, "no memory for an exchange");
    }
    http->under_way++;
    list_add_tail(&http->waiting, &call->link);
    start_waiting(http);
    return true;
}

int http_under_way(const struct http *http)
{
    return http->under_way;
}

void http_close(struct http *http)
{
    assert(!http->closing);
    http->closing = true;
    while (!list_is_empty(&http->active)) {
        struct http_call *call =
            LIST_OWNER(http->active.next, struct http_call, link);
        web_call_stop(&call->web, "stopped");
    }
    end_unstarted(&http->waiting, "stopped");
    end_doomed(http);
    while (!list_is_empty(&http->free)) {
        http_call_free(LIST_OWNER(http->free.next, struct http_call, link));
    }
    web_client_close(http->client);
    loop_timer_free(http->soon);
    buf_done(&http->plain);
    free(http);
}
