#include "edge/web/wire.h"

#include "base/buf.h"
#include "base/list.h"
#include "core/rate.h"
#include "edge/web/decode.h"
#include "edge/web/multi.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_BYTES_MAX ((size_t)2 << 20)
#define SEND_BYTES (128 * 1024L)
#define RECEIVE_BYTES (256 * 1024L)
/* A body that streams can't be sent twice: no connection is used for it that
 * the server may be about to close. */
#define STREAM_AGE_S 4L
#define KEPT_S 300L /* the longest life of a connection that is used again */
#define LEAST_BYTES_PER_S 4096

struct wire {
    struct loop *loop;
    struct loop_curl *curl;
    struct loop_timer *soon;
    struct list calls;
};

struct wire_call {
    struct list link;
    struct wire *wire;
    CURL *easy;
    struct curl_slist *headers;
    struct loop_timer *stall;
    wire_fn *on_end;
    void *context;
    wire_source_fn *source;
    wire_sink_fn *sink;
    struct str body; /* ours */
    size_t body_at;  /* given to libcurl */
    int64_t left;    /* of ours, still to give */
    int64_t total;   /* of ours */
    int64_t stall_ms;
    int64_t last_ms; /* a byte moved */
    int64_t whole_ms;
    int64_t began_ms;
    bool has_rate;
    struct rate rate;
    bool paused;     /* for want of ours */
    bool resume;
    struct buf answer;
    char coding[64]; /* Content-Encoding of the answer; "": none */
    struct wire_answer head; /* what came of it so far */
    char error[CURL_ERROR_SIZE];
};

/* ---- what libcurl calls -------------------------------------------------- */

static void moved(struct wire_call *call, size_t len)
{
    call->last_ms = loop_boot_ms(call->wire->loop);
    rate_add(&call->rate, (int64_t)len);
}

static curl_socket_t on_open(void *context, curlsocktype purpose,
                             struct curl_sockaddr *address)
{
    (void)context;
    (void)purpose;
    return loop_curl_socket(address->family, address->socktype,
                            address->protocol);
}

static size_t on_read(char *out, size_t size, size_t n, void *context)
{
    struct wire_call *call = context;
    size_t room = size * n;
    size_t len = 0;
    if (call->source) {
        len = call->left > 0 ? call->source(call->context, out, room) : 0;
        if (len == 0 && call->left > 0) {
            call->paused = true;
            rate_pause(&call->rate, loop_boot_ms(call->wire->loop));
            return CURL_READFUNC_PAUSE;
        }
    } else {
        len = call->body.len - call->body_at;
        len = len < room ? len : room;
        memcpy(out, call->body.at + call->body_at, len);
        call->body_at += len;
    }
    call->left -= (int64_t)len;
    moved(call, len);
    return len;
}

/** libcurl sends again what went to a connection that was closed meanwhile. */
static int on_seek(void *context, curl_off_t offset, int origin)
{
    struct wire_call *call = context;
    if (call->source || origin != SEEK_SET || offset < 0 ||
        (size_t)offset > call->body.len) {
        return CURL_SEEKFUNC_CANTSEEK;
    }
    call->body_at = (size_t)offset;
    call->left = (int64_t)(call->body.len - call->body_at);
    return CURL_SEEKFUNC_OK;
}

static bool take_header(struct str line, struct str name, char *out,
                        size_t out_bytes)
{
    if (line.len <= name.len ||
        !str_eq_nocase((struct str){line.at, name.len}, name)) {
        return false;
    }
    struct str value =
        str_trim((struct str){line.at + name.len, line.len - name.len});
    snprintf(out, out_bytes, "%.*s", (int)value.len, value.at);
    return true;
}

static size_t on_header(char *bytes, size_t size, size_t n, void *context)
{
    struct wire_call *call = context;
    struct str line = {bytes, size * n};
    struct wire_answer *head = &call->head;
    moved(call, line.len);
    if (!take_header(line, STR("date:"), head->date, sizeof head->date) &&
        !take_header(line, STR("etag:"), head->etag, sizeof head->etag)) {
        take_header(line, STR("x-amz-bucket-region:"), head->region,
                    sizeof head->region);
        take_header(line, STR("content-encoding:"), call->coding,
                    sizeof call->coding);
    }
    return line.len;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *context)
{
    struct wire_call *call = context;
    size_t len = size * n;
    long status = 0;
    moved(call, len);
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    if (call->sink && status >= 200 && status <= 299) {
        call->sink(call->context, bytes, len);
    } else {
        buf_add(&call->answer, bytes, len); /* the start of it will do */
    }
    return len;
}

/* ---- ends ---------------------------------------------------------------- */

static void free_call(struct wire_call *call)
{
    list_remove(&call->link);
    loop_timer_free(call->stall);
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
    buf_done(&call->answer);
    free(call);
}

static void end_call(struct wire_call *call, CURLcode code)
{
    struct wire_answer *answer = &call->head;
    long status = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    answer->status = (int)status;
    answer->whole = code == CURLE_OK;
    answer->body = buf_str(&call->answer);
    struct buf plain;
    buf_init(&plain, BODY_BYTES_MAX);
    if (decode_text(answer->body, str_of(call->coding), &plain) == DECODED) {
        answer->body = buf_str(&plain);
    }
    if (!answer->whole) {
        snprintf(answer->why, sizeof answer->why, "%.150s",
                 call->error[0] ? call->error : curl_easy_strerror(code));
    }
    list_remove(&call->link);
    call->on_end(call->context, answer);
    buf_done(&plain);
    free_call(call);
}

static void on_done(void *context, void *easy, int code)
{
    struct wire_call *call = NULL;
    (void)context;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &call);
    end_call(call, (CURLcode)code);
}

/** When the clocks of the call are looked at again. */
static void watch_clocks(struct wire_call *call, int64_t now_ms)
{
    int64_t left_ms = call->last_ms + call->stall_ms - now_ms;
    const int64_t rate_ms =
        call->has_rate ? rate_left_ms(&call->rate, now_ms) : left_ms;
    const int64_t whole_ms =
        call->whole_ms ? call->began_ms + call->whole_ms - now_ms : left_ms;
    left_ms = rate_ms < left_ms ? rate_ms : left_ms;
    left_ms = whole_ms < left_ms ? whole_ms : left_ms;
    loop_timer_set(call->stall, left_ms > 0 ? left_ms : 0);
}

/** Whether it is over, and in words why. */
static bool is_given_up(struct wire_call *call, int64_t now_ms)
{
    if (now_ms - call->last_ms >= call->stall_ms) {
        snprintf(call->error, sizeof call->error, "no byte moved for %lld s",
                 (long long)(call->stall_ms / 1000));
        return true;
    }
    if (call->has_rate && rate_is_low(&call->rate, now_ms)) {
        snprintf(call->error, sizeof call->error,
                 "less than 4 KiB a second moved for %lld s",
                 (long long)(call->rate.window_ms / 1000));
        return true;
    }
    if (call->whole_ms && now_ms - call->began_ms >= call->whole_ms) {
        snprintf(call->error, sizeof call->error, "not done within %lld s",
                 (long long)(call->whole_ms / 1000));
        return true;
    }
    return false;
}

static void on_stall(void *context)
{
    struct wire_call *call = context;
    int64_t now_ms = loop_boot_ms(call->wire->loop);
    if (call->paused) {
        call->last_ms = now_ms;
    }
    if (!is_given_up(call, now_ms)) {
        watch_clocks(call, now_ms);
        return;
    }
    loop_curl_remove(call->wire->curl, call->easy);
    end_call(call, CURLE_OPERATION_TIMEDOUT);
}

/* ---- the door ------------------------------------------------------------ */

static void set_body(struct wire_call *call, const struct wire_request *request)
{
    CURL *easy = call->easy;
    bool put = strcmp(request->method, "PUT") == 0;
    bool post = strcmp(request->method, "POST") == 0;
    if (strcmp(request->method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (put || post) {
        curl_easy_setopt(easy, put ? CURLOPT_UPLOAD : CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(easy, CURLOPT_READDATA, call);
        curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(easy, CURLOPT_SEEKDATA, call);
        curl_easy_setopt(
            easy, put ? CURLOPT_INFILESIZE_LARGE : CURLOPT_POSTFIELDSIZE_LARGE,
            (curl_off_t)call->total);
    } else if (strcmp(request->method, "GET") != 0) {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    }
}

static void set_options(struct wire_call *call,
                        const struct wire_request *request)
{
    CURL *easy = call->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, KEPT_S);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)request->connect_ms);
    curl_easy_setopt(easy, CURLOPT_USERAGENT,
                     "pixverse-worker/" PROGRAM_VERSION);
    if (request->source) {
        curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BYTES);
        curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, STREAM_AGE_S);
    }
    if (request->sink) {
        curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BYTES);
    }
    if (request->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, request->ca_file);
    }
    set_body(call, request);
}

static bool add_header(struct wire_call *call, const char *line)
{
    struct curl_slist *longer = curl_slist_append(call->headers, line);
    call->headers = longer ? longer : call->headers;
    return longer != NULL;
}

struct wire_call *wire_start(struct wire *wire,
                             const struct wire_request *request,
                             wire_fn *on_end, void *context)
{
    struct wire_call *call = calloc(1, sizeof *call);
    if (!call) {
        return NULL;
    }
    *call = (struct wire_call){
        .wire = wire,
        .easy = curl_easy_init(),
        .stall = loop_timer_new(wire->loop, on_stall, call),
        .on_end = on_end,
        .context = context,
        .source = request->source,
        .sink = request->sink,
        .body = request->body,
        .total = request->source ? request->source_bytes
                                 : (int64_t)request->body.len,
        .stall_ms = request->stall_ms,
        .last_ms = loop_boot_ms(wire->loop),
        .whole_ms = request->whole_ms,
        .began_ms = loop_boot_ms(wire->loop),
        .has_rate = request->window_ms > 0,
    };
    call->left = call->total;
    rate_begin(&call->rate, call->has_rate ? request->window_ms : 1,
               LEAST_BYTES_PER_S, call->began_ms);
    list_init(&call->link);
    buf_init(&call->answer, BODY_BYTES_MAX);
    /* What streams can't be sent again: the server may refuse it before. */
    const char *expect = request->source ? "Expect: 100-continue" : "Expect:";
    bool memory = call->easy && call->stall && add_header(call, expect) &&
                  add_header(call, "Accept-Encoding: identity");
    for (size_t i = 0; i < request->headers_len; i++) {
        memory = memory && add_header(call, request->headers[i]);
    }
    if (memory) {
        set_options(call, request);
        memory = loop_curl_add(wire->curl, call->easy);
    }
    if (!memory) {
        free_call(call);
        return NULL;
    }
    list_add_tail(&wire->calls, &call->link);
    watch_clocks(call, call->began_ms);
    return call;
}

static void on_soon(void *context)
{
    struct wire *wire = context;
    for (struct list *at = wire->calls.next; at != &wire->calls;) {
        struct wire_call *call = LIST_OWNER(at, struct wire_call, link);
        at = at->next;
        if (call->resume) {
            call->resume = false;
            call->paused = false;
            call->last_ms = loop_boot_ms(wire->loop);
            rate_resume(&call->rate, call->last_ms);
            curl_easy_pause(call->easy, CURLPAUSE_CONT);
        }
    }
    loop_curl_look(wire->curl);
}

void wire_more(struct wire_call *call)
{
    if (call->paused && !call->resume) {
        call->resume = true;
        loop_timer_set(call->wire->soon, 0);
    }
}

void wire_drop(struct wire_call *call)
{
    loop_curl_remove(call->wire->curl, call->easy);
    free_call(call);
}

struct wire *wire_open(struct loop *loop, int connections_max, struct err *err)
{
    struct wire *wire = calloc(1, sizeof *wire);
    if (wire) {
        *wire = (struct wire){
            .loop = loop,
            .soon = loop_timer_new(loop, on_soon, wire),
        };
        list_init(&wire->calls);
        wire->curl = loop_curl_open(loop, connections_max, on_done, wire, err);
    }
    if (!wire || !wire->soon || !wire->curl) {
        wire_close(wire);
        err_set(err, ERR_TRANSIENT, "no memory for the store");
        return NULL;
    }
    return wire;
}

void wire_close(struct wire *wire)
{
    if (!wire) {
        return;
    }
    while (!list_is_empty(&wire->calls)) {
        wire_drop(LIST_OWNER(wire->calls.next, struct wire_call, link));
    }
    loop_curl_close(wire->curl);
    loop_timer_free(wire->soon);
    free(wire);
}
