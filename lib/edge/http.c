#include "edge/http.h"

#include "base/buf.h"
#include "base/list.h"
#include "edge/http_end.h"
#include "edge/http_headers.h"
#include "edge/loop_curl.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#define BODY_BYTES_MAX (1 << 20)
#define HEADER_BYTES_MAX (64 * 1024) /* all headers of one reply */
#define CONNECT_MS 10000L
#define STREAMS_PER_CONNECTION 100 /* HTTP/2's common limit */
#define HANDLES_KEPT 64
#define CALLS_KEPT 256
#define LAST_LOOK_MS 100 /* for a reply that is there at the end of its time */
#define KEPT_S 50L /* a kept connection is not used after so long unused */

/** One exchange. It has an easy handle only while it is under way: thousands may
 * wait, and a handle is large. */
struct call {
    struct list link; /* in http.free, .waiting or .active */
    struct http *http;
    CURL *easy; /* null: waiting, or over */
    struct curl_slist *headers; /* its own; null: the shared ones */
    char *url;
    char *body; /* POST; owned */
    size_t body_len;
    bool post;
    int64_t timeout_ms;
    int64_t due_ms; /* of those sent once: the end of their time */
    bool overdue;   /* its last look has begun */
    bool (*may_send)(void *context);
    http_reply_fn *on_reply;
    void *context;
    struct buf reply;
    size_t header_bytes;
    int sends;  /* times that a request was about to leave */
    bool gated; /* may_send said no */
    bool replayed;
    char retry_after[64];
    char content_type[96];
    char error[CURL_ERROR_SIZE];
};

struct http {
    struct http_options options;
    struct loop *loop;
    char *ca_file;
    struct loop_curl *curl;
    struct list free;
    struct list waiting;
    struct list active;
    struct list doomed; /* never started: their reply is owed */
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

/* ---- what libcurl calls -------------------------------------------------- */

static size_t on_body(char *bytes, size_t size, size_t n, void *context)
{
    struct call *call = context;
    buf_add(&call->reply, bytes, size * n);
    return call->reply.failed ? 0 : size * n;
}

static void keep_value(char *out, size_t out_bytes, struct str line,
                       struct str name)
{
    struct str value = {line.at + name.len, line.len - name.len};
    value = str_trim(value);
    snprintf(out, out_bytes, "%.*s", (int)value.len, value.at);
}

static bool is_header(struct str line, struct str name)
{
    return line.len > name.len &&
           str_eq_nocase((struct str){line.at, name.len}, name);
}

static size_t on_header(char *bytes, size_t size, size_t n, void *context)
{
    struct call *call = context;
    struct str line = {bytes, size * n};
    call->header_bytes += line.len;
    if (call->header_bytes > HEADER_BYTES_MAX) {
        return 0;
    }
    if (is_header(line, STR("retry-after:"))) {
        keep_value(call->retry_after, sizeof call->retry_after, line,
                   STR("retry-after:"));
    } else if (is_header(line, STR("content-type:"))) {
        keep_value(call->content_type, sizeof call->content_type, line,
                   STR("content-type:"));
    } else if (is_header(line, STR("idempotency-replayed:"))) {
        char value[8];
        keep_value(value, sizeof value, line, STR("idempotency-replayed:"));
        call->replayed = str_eq_nocase(str_of(value), STR("true"));
    }
    return line.len;
}

/**
 * Called after connecting, before each time that the request leaves. libcurl
 * sends a POST again by itself when a kept connection turns out dead (curl pull
 * request 18417: no option against it), so the second call is cut off.
 */
static int on_prereq(void *context, char *remote, char *local, int remote_port,
                     int local_port)
{
    struct call *call = context;
    (void)remote;
    (void)local;
    (void)remote_port;
    (void)local_port;
    if (call->http->options.once && call->sends > 0) {
        return CURL_PREREQFUNC_ABORT;
    }
    if (call->may_send && !call->may_send(call->context)) {
        call->gated = true;
        return CURL_PREREQFUNC_ABORT;
    }
    call->sends++;
    return CURL_PREREQFUNC_OK;
}

/* ---- one call ------------------------------------------------------------ */

static void call_clear(struct call *call)
{
    curl_slist_free_all(call->headers);
    free(call->url);
    free(call->body);
    call->headers = NULL;
    call->url = NULL;
    call->body = NULL;
    if (call->reply.size > 65536) {
        buf_done(&call->reply);
        buf_init(&call->reply, BODY_BYTES_MAX);
    }
    buf_reset(&call->reply);
}

static void call_free(struct call *call)
{
    call_clear(call);
    list_remove(&call->link);
    buf_done(&call->reply);
    assert(!call->easy);
    free(call);
}

/** What an easy handle keeps from call to call. */
static void set_common(const struct http *http, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_prereq);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT,
                     "pixverse-worker/" PROGRAM_VERSION);
    if (http->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, http->ca_file);
    }
    if (http->options.once) {
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                         (long)CURL_HTTP_VERSION_1_1);
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
        curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    } else {
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                         (long)CURL_HTTP_VERSION_2TLS);
        curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
        curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, KEPT_S);
        loop_curl_keep(http->curl, easy);
    }
}

static struct call *call_get(struct http *http)
{
    struct list *link = list_pop(&http->free);
    if (link) {
        http->free_len--;
        return LIST_OWNER(link, struct call, link);
    }
    struct call *call = calloc(1, sizeof *call);
    if (!call) {
        return NULL;
    }
    list_init(&call->link);
    buf_init(&call->reply, BODY_BYTES_MAX);
    call->http = http;
    return call;
}

/** An easy handle for a call that starts; false: no memory. */
static bool take_handle(struct call *call)
{
    struct http *http = call->http;
    CURL *easy = NULL;
    if (http->idle_len) {
        easy = http->idle[--http->idle_len];
    } else {
        easy = curl_easy_init();
        if (!easy) {
            return false;
        }
        set_common(http, easy);
    }
    call->easy = easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
    return true;
}

static void give_handle(struct call *call)
{
    struct http *http = call->http;
    CURL *easy = call->easy;
    call->easy = NULL;
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

static bool own_headers(struct call *call, const struct exchange *exchange)
{
    call->headers =
        http_headers(exchange->bearer, exchange->idempotency_key, call->post);
    return call->headers != NULL;
}

static bool call_fill(struct call *call, const struct exchange *exchange)
{
    struct http *http = call->http;
    call->post = exchange->method == EXCHANGE_POST;
    call->url = strndup(exchange->url.at, exchange->url.len);
    if (call->post) {
        call->body_len = exchange->body.len;
        call->body = malloc(exchange->body.len + 1);
        if (call->body && exchange->body.len) {
            memcpy(call->body, exchange->body.at, exchange->body.len);
        }
    }
    bool plain = !call->post && !exchange->idempotency_key.at;
    bool headers = (plain && share_headers(http, exchange->bearer)) ||
                   own_headers(call, exchange);
    return call->url && (!call->post || call->body) && headers;
}

static void watch_time(struct http *http)
{
    int64_t due_ms = INT64_MAX;
    for (struct list *at = http->active.next; at != &http->active;
         at = at->next) {
        const struct call *call = LIST_OWNER(at, struct call, link);
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
static void call_limit(struct call *call)
{
    const bool once = call->http->options.once;
    curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS,
                     once ? 0L : (long)call->timeout_ms);
    call->overdue = false;
    call->due_ms = loop_boot_ms(call->http->loop) + call->timeout_ms;
}

static void call_start(struct call *call)
{
    struct http *http = call->http;
    if (!take_handle(call)) {
        list_add_tail(&http->doomed, &call->link);
        return;
    }
    CURL *easy = call->easy;
    call->sends = 0;
    call->gated = false;
    call->replayed = false;
    call->header_bytes = 0;
    call->retry_after[0] = '\0';
    call->content_type[0] = '\0';
    call->error[0] = '\0';
    curl_easy_setopt(easy, CURLOPT_URL, call->url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER,
                     call->headers ? call->headers : http->shared);
    call_limit(call);
    if (call->post) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)call->body_len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body);
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
    } else {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    http->active_len++;
    list_add_tail(&http->active, &call->link);
    if (!loop_curl_add(http->curl, easy)) {
        http->active_len--;
        list_remove(&call->link);
        list_add_tail(&http->doomed, &call->link);
    }
    if (http->options.once) {
        watch_time(http);
    }
}

/* ---- ends ---------------------------------------------------------------- */

static enum reply_end end_of(const struct call *call, CURLcode code)
{
    if (call->gated) {
        return REPLY_CANCELLED;
    }
    if (call->reply.failed) {
        return REPLY_TOO_LARGE;
    }
    return http_end_of((int)code);
}

static void call_end(struct call *call, enum reply_end end, const char *why)
{
    struct http *http = call->http;
    long status = 0;
    if (call->easy) {
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    }
    struct reply reply = {
        .end = end,
        .sent = call->sends > 0,
        .status = call->sends > 0 ? (int)status : 0,
        .body = buf_str(&call->reply),
        .retry_after = str_of(call->retry_after[0] ? call->retry_after : NULL),
        .content_type =
            str_of(call->content_type[0] ? call->content_type : NULL),
        .replayed = call->replayed,
    };
    if (end != REPLY_WHOLE) {
        snprintf(reply.why, sizeof reply.why, "%.159s", why);
    }
    http_reply_fn *on_reply = call->on_reply;
    void *context = call->context;
    http->under_way--;
    on_reply(context, &reply);
    give_handle(call);
    call_clear(call);
    list_remove(&call->link);
    if (http->free_len < CALLS_KEPT) {
        http->free_len++;
        list_add_tail(&http->free, &call->link);
    } else {
        call_free(call);
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
        call_start(LIST_OWNER(list_pop(&http->waiting), struct call, link));
    }
}

static void end_doomed(void *context)
{
    struct http *http = context;
    while (!list_is_empty(&http->doomed)) {
        struct call *call =
            LIST_OWNER(list_pop(&http->doomed), struct call, link);
        call_end(call, REPLY_CANCELLED, "libcurl did not take it");
    }
}

static void end_late(void *context)
{
    struct http *http = context;
    const int64_t now_ms = loop_boot_ms(http->loop);
    for (struct list *at = http->active.next; at != &http->active;) {
        struct call *call = LIST_OWNER(at, struct call, link);
        at = at->next;
        if (now_ms < call->due_ms) {
            continue;
        }
        if (!call->overdue) {
            call->overdue = true;
            call->due_ms = now_ms + LAST_LOOK_MS;
            continue;
        }
        loop_curl_remove(http->curl, call->easy);
        http->active_len--;
        list_remove(&call->link);
        call_end(call, REPLY_TIMED_OUT, "no answer within its time");
    }
    start_waiting(http);
    watch_time(http);
}

static void on_done(void *context, void *easy, int code)
{
    struct http *http = context;
    struct call *call = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &call);
    if (code == CURLE_OK) {
        long version = 0;
        curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
        http->streams = version == CURL_HTTP_VERSION_2_0;
    }
    http->active_len--;
    list_remove(&call->link);
    start_waiting(http);
    call_end(call, end_of(call, (CURLcode)code),
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
    list_init(&http->free);
    list_init(&http->waiting);
    list_init(&http->active);
    list_init(&http->doomed);
    http->curl =
        loop_curl_open(loop, options->connections_max, on_done, http, err);
    if (!http->curl || !http->soon || !http->late ||
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
    struct call *call = call_get(http);
    if (!call) {
        return err_set(err, ERR_TRANSIENT, "no memory for an exchange");
    }
    call->timeout_ms = timeout_ms;
    call->may_send = may_send;
    call->on_reply = on_reply;
    call->context = context;
    if (!call_fill(call, exchange)) {
        call_free(call);
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

static void end_all(struct http *http, struct list *calls, bool in_curl)
{
    while (!list_is_empty(calls)) {
        struct call *call = LIST_OWNER(list_pop(calls), struct call, link);
        if (in_curl) {
            loop_curl_remove(http->curl, call->easy);
        }
        call_end(call, REPLY_CANCELLED, "stopped");
    }
}

void http_close(struct http *http)
{
    http->closing = true;
    end_all(http, &http->active, true);
    end_all(http, &http->waiting, false);
    end_doomed(http);
    while (!list_is_empty(&http->free)) {
        call_free(LIST_OWNER(http->free.next, struct call, link));
    }
    while (http->idle_len) {
        curl_easy_cleanup(http->idle[--http->idle_len]);
    }
    loop_curl_close(http->curl);
    loop_timer_free(http->soon);
    loop_timer_free(http->late);
    curl_slist_free_all(http->shared);
    free(http->shared_bearer);
    free(http->ca_file);
    free(http);
}
