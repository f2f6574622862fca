#include "edge/web/call.h"

#include "edge/web/decode.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#define HEADER_BYTES_MAX (64 * 1024) /* all headers of one reply */
#define CONNECT_MS 10000L
#define KEPT_S 50L /* a kept connection is not used after so long unused */

static_assert(HTTP_ERROR_BYTES == CURL_ERROR_SIZE, "libcurl's own size");

/* ---- what libcurl calls -------------------------------------------------- */

static size_t on_body(char *bytes, size_t size, size_t n, void *context)
{
    struct http_call *call = context;
    buf_add(&call->reply, bytes, size * n);
    return call->reply.failed ? 0 : size * n;
}

/** Whether it is that header; its value goes into `out`, cut if too long. */
static bool take_header(struct str line, struct str name, char *out,
                        size_t out_bytes)
{
    if (line.len <= name.len ||
        !str_eq_nocase((struct str){line.at, name.len}, name)) {
        return false;
    }
    const struct str value =
        str_trim((struct str){line.at + name.len, line.len - name.len});
    snprintf(out, out_bytes, "%.*s", (int)value.len, value.at);
    return true;
}

/** Several Content-Encoding headers are one list. */
static void add_coding(struct http_call *call, const char *coding)
{
    const size_t len = strlen(call->coding);
    snprintf(call->coding + len, sizeof call->coding - len, "%s%s",
             len ? "," : "", coding);
    decode_label_show(call->coding);
}

static size_t on_header(char *bytes, size_t size, size_t n, void *context)
{
    struct http_call *call = context;
    const struct str line = {bytes, size * n};
    char value[sizeof call->coding];
    call->header_bytes += line.len;
    if (call->header_bytes > HEADER_BYTES_MAX) {
        return 0;
    }
    if (str_starts(line, STR("HTTP/"))) {
        call->coding[0] = '\0'; /* an informational reply came before */
    } else if (take_header(line, STR("retry-after:"), call->retry_after,
                           sizeof call->retry_after) ||
               take_header(line, STR("content-type:"), call->content_type,
                           sizeof call->content_type)) {
        return line.len;
    } else if (take_header(line, STR("content-encoding:"), value,
                           sizeof value)) {
        add_coding(call, value);
    } else if (take_header(line, STR("idempotency-replayed:"), value,
                           sizeof value)) {
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
    struct http_call *call = context;
    (void)remote;
    (void)local;
    (void)remote_port;
    (void)local_port;
    if (call->once && call->sends > 0) {
        return CURL_PREREQFUNC_ABORT;
    }
    if (call->may_send && !call->may_send(call->context)) {
        call->gated = true;
        return CURL_PREREQFUNC_ABORT;
    }
    call->sends++;
    return CURL_PREREQFUNC_OK;
}

/* ---- the life of a call -------------------------------------------------- */

struct http_call *http_call_new(struct http *http)
{
    struct http_call *call = calloc(1, sizeof *call);
    if (!call) {
        return NULL;
    }
    list_init(&call->link);
    buf_init(&call->reply, HTTP_BODY_BYTES_MAX);
    call->http = http;
    return call;
}

bool http_call_fill(struct http_call *call, const struct exchange *exchange)
{
    call->post = exchange->method == EXCHANGE_POST;
    call->url = strndup(exchange->url.at, exchange->url.len);
    if (call->post) {
        call->body_len = exchange->body.len;
        call->body = malloc(exchange->body.len + 1);
        if (call->body && exchange->body.len) {
            memcpy(call->body, exchange->body.at, exchange->body.len);
        }
    }
    return call->url && (!call->post || call->body);
}

void http_call_clear(struct http_call *call)
{
    curl_slist_free_all(call->headers);
    free(call->url);
    free(call->body);
    call->headers = NULL;
    call->url = NULL;
    call->body = NULL;
    if (call->reply.size > 65536) {
        buf_done(&call->reply);
        buf_init(&call->reply, HTTP_BODY_BYTES_MAX);
    }
    buf_reset(&call->reply);
}

void http_call_free(struct http_call *call)
{
    http_call_clear(call);
    list_remove(&call->link);
    buf_done(&call->reply);
    assert(!call->easy && !call->pool);
    free(call);
}

/* ---- the handle ---------------------------------------------------------- */

void *http_call_handle(bool once, const char *ca_file)
{
    CURL *easy = curl_easy_init();
    if (!easy) {
        return NULL;
    }
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
    if (ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
    }
    if (once) {
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                         (long)CURL_HTTP_VERSION_1_1);
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
        curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    } else {
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                         (long)CURL_HTTP_VERSION_2TLS);
        curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
        curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, KEPT_S);
    }
    return easy;
}

void http_call_set(struct http_call *call, void *easy,
                   struct curl_slist *shared)
{
    call->easy = easy;
    call->sends = 0;
    call->gated = false;
    call->replayed = false;
    call->header_bytes = 0;
    call->retry_after[0] = '\0';
    call->content_type[0] = '\0';
    call->coding[0] = '\0';
    call->error[0] = '\0';
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
    curl_easy_setopt(easy, CURLOPT_URL, call->url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER,
                     call->headers ? call->headers : shared);
    if (call->post) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)call->body_len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body);
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
    } else {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
}

/* ---- what came ----------------------------------------------------------- */

/**
 * The body as it was meant. What can't be read spoils a 2xx, whose body is the
 * answer; any other status speaks for itself, and `why` says what is missing.
 */
static void read_body(const struct http_call *call, struct buf *plain,
                      struct reply *reply)
{
    reply->body = buf_str(&call->reply);
    if (reply->body.len == 0) {
        return;
    }
    const enum decoded decoded =
        decode_text(reply->body, str_of(call->coding), plain);
    if (decoded == DECODED_PLAIN) {
        return;
    }
    if (decoded == DECODED) {
        reply->body = buf_str(plain);
        return;
    }
    if (plain->len && !plain->failed) {
        reply->body = buf_str(plain); /* the start may hold a task id */
    }
    if (reply->end != REPLY_WHOLE) {
        return;
    }
    if (decoded == DECODED_TOO_LARGE) {
        snprintf(reply->why, sizeof reply->why,
                 "unpacked, the reply is over %d bytes", HTTP_BODY_BYTES_MAX);
    } else {
        snprintf(reply->why, sizeof reply->why,
                 "the reply came in the content coding \"%.60s\", which can't "
                 "be read; nobody asked for one",
                 call->coding);
    }
    if (reply->status / 100 == 2) {
        reply->end =
            decoded == DECODED_TOO_LARGE ? REPLY_TOO_LARGE : REPLY_BROKEN;
    }
}

void http_call_read(const struct http_call *call, enum reply_end end,
                    const char *why, struct buf *plain, struct reply *reply)
{
    long status = 0;
    if (call->easy) {
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    }
    *reply = (struct reply){
        .end = end,
        .sent = call->sends > 0,
        .status = call->sends > 0 ? (int)status : 0,
        .retry_after = str_of(call->retry_after[0] ? call->retry_after : NULL),
        .content_type =
            str_of(call->content_type[0] ? call->content_type : NULL),
        .replayed = call->replayed,
    };
    if (end != REPLY_WHOLE) {
        snprintf(reply->why, sizeof reply->why, "%.159s", why);
    }
    read_body(call, plain, reply);
}
