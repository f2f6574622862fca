#include "edge/http.h"

#include "base/buf.h"
#include "base/list.h"
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

/** Adds "name: value"; the list is null, and stays so, once memory is short. */
static struct curl_slist *header_add(struct curl_slist *list, bool *failed,
                                     const char *name, struct str value)
{
    char *line = NULL;
    if (asprintf(&line, "%s%.*s", name, (int)value.len,
                 value.at ? value.at : "") < 0) {
        *failed = true;
        return list;
    }
    struct curl_slist *longer = curl_slist_append(list, line);
    free(line);
    if (!longer) {
        *failed = true;
        return list;
    }
    return longer;
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
    bool failed = false;
    struct curl_slist *list = NULL;
    if (bearer.at) {
        list = header_add(list, &failed, "Authorization: Bearer ", bearer);
    }
    list =
        header_add(list, &failed, "Accept: application/json", (struct str){0});
    char *copy = strndup(bearer.at ? bearer.at : "", bearer.len);
    /* An older list may still be in use by a call under way. */
    if (failed || !copy || http->under_way > 0) {
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
    bool failed = false;
    struct curl_slist *list = NULL;
    const struct str none = {0};
    if (exchange->bearer.at) {
        list = header_add(list, &failed, "Authorization: Bearer ",
                          exchange->bearer);
    }
    list = header_add(list, &failed, "Accept: application/json", none);
    if (call->post) {
        list =
            header_add(list, &failed, "Content-Type: application/json", none);
        list = header_add(list, &failed, "Expect:", none);
    }
    if (exchange->idempotency_key.at) {
        list = header_add(list, &failed,
                          "Idempotency-Key: ", exchange->idempotency_key);
    }
    call->headers = list;
    return !failed;
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
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
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
    switch ((int)code) {
    case CURLE_OK:
        return REPLY_WHOLE;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return REPLY_UNRESOLVED;
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
        return REPLY_UNREACHED;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return REPLY_UNTRUSTED;
    case CURLE_OPERATION_TIMEDOUT:
        return REPLY_TIMED_OUT;
    default:
        return REPLY_BROKEN;
    }
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
        .ca_file = options->ca_file ? strdup(options->ca_file) : NULL,
        .soon = loop_timer_new(loop, end_doomed, http),
    };
    list_init(&http->free);
    list_init(&http->waiting);
    list_init(&http->active);
    list_init(&http->doomed);
    http->curl =
        loop_curl_open(loop, options->connections_max, on_done, http, err);
    if (!http->curl || !http->soon || (options->ca_file && !http->ca_file)) {
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
    curl_slist_free_all(http->shared);
    free(http->shared_bearer);
    free(http->ca_file);
    free(http);
}
