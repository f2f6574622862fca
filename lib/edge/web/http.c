#include "edge/http.h"

#include "base/list.h"
#include "edge/web/call.h"
#include "edge/web/end.h"
#include "edge/web/headers.h"
#include "edge/web/pool.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdlib.h>

#define STREAMS_PER_CONNECTION 100 /* HTTP/2's common limit */
#define HANDLES_KEPT 64
#define CALLS_KEPT 256
#define LAST_LOOK_MS 100 /* for a reply that is there at the end of its time */
#define PLAIN_KEPT 65536 /* bytes for a reply that was coded, between calls */
/* So long a server is asked over one connection: names move, and whoever is
 * behind one address changes. */
#define LIFE_MS 600000

struct http {
    struct http_options options;
    struct loop *loop;
    char *ca_file;
    struct http_pools *pools;
    struct list free;
    struct list waiting;
    struct list active;
    struct list doomed; /* never started: their reply is owed */
    struct buf plain;   /* a reply's body, its coding undone */
    CURL *idle[HANDLES_KEPT]; /* handles of calls that are over */
    int idle_len;
    int free_len;
    int active_len;
    int under_way;
    bool streams; /* the server speaks HTTP/2, as its last reply showed */
    struct loop_timer *soon;   /* ends the doomed */
    struct loop_timer *late;   /* ends those sent once whose time is over */
    struct curl_slist *shared; /* the headers of a GET */
    char *shared_bearer;
    bool closing;
};

/* ---- a call gets what it needs ------------------------------------------- */

static struct http_call *call_get(struct http *http)
{
    struct list *link = list_pop(&http->free);
    if (link) {
        http->free_len--;
        return LIST_OWNER(link, struct http_call, link);
    }
    return http_call_new(http);
}

/** An easy handle for a call that starts; null: no memory. */
static CURL *take_handle(struct http *http)
{
    return http->idle_len
               ? http->idle[--http->idle_len]
               : http_call_handle(http->options.once, http->ca_file);
}

static void give_handle(struct http_call *call)
{
    struct http *http = call->http;
    CURL *easy = call->easy;
    call->easy = NULL;
    call->pool = NULL;
    if (!easy) {
        return;
    }
    if (http->idle_len < HANDLES_KEPT) {
        curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
        http->idle[http->idle_len++] = easy;
    } else {
        curl_easy_cleanup(easy);
    }
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

/** The headers that all GETs share, made again only for another key. */
static bool share_headers(struct http *http, struct str bearer)
{
    if (http->shared && str_eq(str_of(http->shared_bearer), bearer)) {
        return true;
    }
    struct curl_slist *list = http_headers(bearer, (struct str){0}, false);
    char *copy = strndup(bearer.at ? bearer.at : "", bearer.len);
    /* An older list may still be in use by a call under way. */
    if (!list || !copy || http->under_way > 0) {
        curl_slist_free_all(list);
        free(copy);
        return false;
    }
    curl_slist_free_all(http->shared);
    free(http->shared_bearer);
    http->shared = list;
    http->shared_bearer = copy;
    return true;
}

static bool own_headers(struct http_call *call, const struct exchange *exchange)
{
    call->headers =
        http_headers(exchange->bearer, exchange->idempotency_key, call->post);
    return call->headers != NULL;
}

static bool call_fill(struct http_call *call, const struct exchange *exchange)
{
    struct http *http = call->http;
    call->once = http->options.once;
    const bool filled = http_call_fill(call, exchange);
    const bool plain = !call->post && !exchange->idempotency_key.at;
    const bool headers = (plain && share_headers(http, exchange->bearer)) ||
                         own_headers(call, exchange);
    return filled && headers;
}

static void watch_time(struct http *http)
{
    int64_t due_ms = INT64_MAX;
    for (struct list *at = http->active.next; at != &http->active;
         at = at->next) {
        const struct http_call *call = LIST_OWNER(at, struct http_call, link);
        due_ms = call->due_ms < due_ms ? call->due_ms : due_ms;
    }
    if (due_ms < INT64_MAX) {
        const int64_t left_ms = due_ms - loop_boot_ms(http->loop);
        loop_timer_set(http->late, left_ms > 0 ? left_ms : 0);
    }
}

/**
 * Most calls leave their time to libcurl, which looks at the clock before it
 * looks into the socket: where a process stood still, it ends them with the
 * reply unread. A POST's reply is worth more.
 */
static void call_limit(struct http_call *call)
{
    const bool once = call->http->options.once;
    curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS,
                     once ? 0L : (long)call->timeout_ms);
    call->overdue = false;
    call->due_ms = loop_boot_ms(call->http->loop) + call->timeout_ms;
}

static void call_start(struct http_call *call)
{
    struct http *http = call->http;
    CURL *easy = take_handle(http);
    if (!easy) {
        list_add_tail(&http->doomed, &call->link);
        return;
    }
    http_call_set(call, easy, http->shared);
    call_limit(call);
    http->active_len++;
    list_add_tail(&http->active, &call->link);
    call->pool = http_pools_add(http->pools, easy, !http->options.once);
    if (!call->pool) {
        http->active_len--;
        list_remove(&call->link);
        list_add_tail(&http->doomed, &call->link);
    }
    if (http->options.once) {
        watch_time(http);
    }
}

/* ---- ends ---------------------------------------------------------------- */

static enum reply_end end_of(const struct http_call *call, CURLcode code)
{
    if (call->gated) {
        return REPLY_CANCELLED;
    }
    if (call->reply.failed) {
        return REPLY_TOO_LARGE;
    }
    return http_end_of((int)code);
}

static void call_end(struct http_call *call, enum reply_end end, const char *why)
{
    struct http *http = call->http;
    struct reply reply;
    http_call_read(call, end, why, &http->plain, &reply);
    http_reply_fn *on_reply = call->on_reply;
    void *context = call->context;
    http->under_way--;
    on_reply(context, &reply);
    if (http->plain.size > PLAIN_KEPT) {
        buf_done(&http->plain);
        buf_init(&http->plain, HTTP_BODY_BYTES_MAX);
    }
    give_handle(call);
    http_call_clear(call);
    list_remove(&call->link);
    if (http->free_len < CALLS_KEPT) {
        http->free_len++;
        list_add_tail(&http->free, &call->link);
    } else {
        http_call_free(call);
    }
}

/**
 * Without streams, more than a connection each would only wait inside libcurl,
 * with their timeouts running.
 */
static int at_once(const struct http *http)
{
    int most = http->options.connections_max;
    most *= http->streams ? STREAMS_PER_CONNECTION : 1;
    return most < http->options.at_once_max ? most : http->options.at_once_max;
}

static void start_waiting(struct http *http)
{
    while (!http->closing && http->active_len < at_once(http) &&
           !list_is_empty(&http->waiting)) {
        call_start(LIST_OWNER(list_pop(&http->waiting), struct http_call, link));
    }
}

static void end_doomed(void *context)
{
    struct http *http = context;
    while (!list_is_empty(&http->doomed)) {
        struct http_call *call =
            LIST_OWNER(list_pop(&http->doomed), struct http_call, link);
        call_end(call, REPLY_CANCELLED, "libcurl did not take it");
    }
}

static void end_late(void *context)
{
    struct http *http = context;
    const int64_t now_ms = loop_boot_ms(http->loop);
    for (struct list *at = http->active.next; at != &http->active;) {
        struct http_call *call = LIST_OWNER(at, struct http_call, link);
        at = at->next;
        if (now_ms < call->due_ms) {
            continue;
        }
        if (!call->overdue) {
            call->overdue = true;
            call->due_ms = now_ms + LAST_LOOK_MS;
            continue;
        }
        http_pool_remove(call->pool, call->easy);
        http->active_len--;
        list_remove(&call->link);
        call_end(call, REPLY_TIMED_OUT, "no answer within its time");
    }
    start_waiting(http);
    watch_time(http);
}

/** A connection that carries many exchanges and spoils one may spoil all. One
 * of HTTP/1.1 is closed by libcurl itself, unless others are as dead as it. */
static void doubt_pool(const struct http_call *call, enum reply_end end)
{
    const struct http *http = call->http;
    if (!http->options.once && call->sends > 0 &&
        (end == REPLY_TIMED_OUT || (end == REPLY_BROKEN && http->streams))) {
        http_pool_doubt(call->pool);
    }
}

static void on_done(void *context, void *easy, int code)
{
    struct http *http = context;
    struct http_call *call = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &call);
    if (code == CURLE_OK) {
        long version = 0;
        curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
        http->streams = version == CURL_HTTP_VERSION_2_0;
    }
    const enum reply_end end = end_of(call, (CURLcode)code);
    doubt_pool(call, end);
    http->active_len--;
    list_remove(&call->link);
    start_waiting(http);
    call_end(call, end,
             call->error[0] ? call->error : curl_easy_strerror((CURLcode)code));
}

/* ---- the door ------------------------------------------------------------ */

struct http *http_open(struct loop *loop, const struct http_options *options,
                       struct err *err)
{
    struct http *http = calloc(1, sizeof *http);
    if (!http) {
        err_set(err, ERR_FATAL, "no memory for HTTP");
        return NULL;
    }
    *http = (struct http){
        .options = *options,
        .loop = loop,
        .ca_file = options->ca_file ? strdup(options->ca_file) : NULL,
        .soon = loop_timer_new(loop, end_doomed, http),
        .late = loop_timer_new(loop, end_late, http),
    };
    buf_init(&http->plain, HTTP_BODY_BYTES_MAX);
    list_init(&http->free);
    list_init(&http->waiting);
    list_init(&http->active);
    list_init(&http->doomed);
    http->pools =
        http_pools_open(loop, options->connections_max,
                        options->once ? 0 : LIFE_MS, on_done, http, err);
    if (!http->pools || !http->soon || !http->late ||
        (options->ca_file && !http->ca_file)) {
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
    if (!call_fill(call, exchange)) {
        http_call_free(call);
        return err_set(err, ERR_TRANSIENT, "no memory for an exchange");
    }
    http->under_way++;
    list_add_tail(&http->waiting, &call->link);
    start_waiting(http);
    if (!list_is_empty(&http->doomed)) {
        loop_timer_set(http->soon, 0);
    }
    return true;
}

int http_under_way(const struct http *http)
{
    return http->under_way;
}

static void end_all(struct list *calls, bool in_curl)
{
    while (!list_is_empty(calls)) {
        struct http_call *call = LIST_OWNER(list_pop(calls), struct http_call, link);
        if (in_curl) {
            http_pool_remove(call->pool, call->easy);
        }
        call_end(call, REPLY_CANCELLED, "stopped");
    }
}

void http_close(struct http *http)
{
    http->closing = true;
    end_all(&http->active, true);
    end_all(&http->waiting, false);
    end_doomed(http);
    while (!list_is_empty(&http->free)) {
        http_call_free(LIST_OWNER(http->free.next, struct http_call, link));
    }
    while (http->idle_len) {
        curl_easy_cleanup(http->idle[--http->idle_len]);
    }
    http_pools_close(http->pools);
    loop_timer_free(http->soon);
    loop_timer_free(http->late);
    curl_slist_free_all(http->shared);
    free(http->shared_bearer);
    buf_done(&http->plain);
    free(http->ca_file);
    free(http);
}
