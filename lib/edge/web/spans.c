#include "edge/spans.h"

#include "edge/web/wire.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPANS_BYTES_MAX ((size_t)1 << 20) /* that wait for the next message */
#define SEND_BYTES ((size_t)256 << 10)    /* so many go at once */
#define HEADERS_MAX 16
#define HEADER_BYTES 2100
#define CONNECT_MS 5000
#define WHOLE_MS 10000

struct spans {
    struct loop *loop;
    struct wire *wire;
    char *url;
    char *service;
    char *attributes;
    enum span_sampler sampler;
    double ratio;
    int64_t every_ms;
    spans_told_fn *on_told;
    void *context;
    const char *headers[HEADERS_MAX];
    size_t headers_len;
    struct buf waiting; /* spans, separated by commas */
    int64_t waiting_len;
    struct buf message; /* under way */
    int64_t message_len;
    struct wire_call *call; /* null: none is */
    struct loop_timer *soon;
    loop_fn *on_flushed;
    void *flushed_context;
    struct loop_timer *limit;
};

static void send_waiting(struct spans *s);

static void end_flush(void *context)
{
    struct spans *s = context;
    loop_fn *on_end = s->on_flushed;
    s->on_flushed = NULL;
    loop_timer_stop(s->limit);
    if (on_end) {
        on_end(s->flushed_context);
    }
}

static void told(struct spans *s, int64_t spans, const char *why)
{
    if (spans > 0) {
        s->on_told(s->context, spans, why);
    }
}

static void on_answer(void *context, const struct wire_answer *answer)
{
    struct spans *s = context;
    char why[200];
    const bool good = answer->whole && answer->status / 100 == 2;
    s->call = NULL;
    snprintf(why, sizeof why, "it answers %d", answer->status);
    told(s, s->message_len, good ? NULL : answer->whole ? why : answer->why);
    s->message_len = 0;
    if (s->waiting_len > 0 && (s->on_flushed || s->waiting.len >= SEND_BYTES)) {
        send_waiting(s);
    } else if (s->waiting_len > 0) {
        loop_timer_set(s->soon, s->every_ms);
    }
    if (s->on_flushed && !s->call) {
        end_flush(s);
    }
}

static void send_waiting(struct spans *s)
{
    assert(!s->call && s->waiting_len > 0);
    buf_reset(&s->message);
    span_begin(s->service, str_of(s->attributes), &s->message);
    buf_add_str(&s->message, buf_str(&s->waiting));
    span_end(&s->message);
    s->message_len = s->waiting_len;
    s->waiting_len = 0;
    buf_reset(&s->waiting);
    const struct wire_request request = {
        .method = "POST",
        .url = s->url,
        .headers = s->headers,
        .headers_len = s->headers_len,
        .body = buf_str(&s->message),
        .connect_ms = CONNECT_MS,
        .stall_ms = WHOLE_MS,
        .whole_ms = WHOLE_MS,
    };
    s->call =
        s->message.failed ? NULL : wire_start(s->wire, &request, on_answer, s);
    if (!s->call) {
        told(s, s->message_len, "no memory for a message");
        s->message_len = 0;
    }
}

static void on_soon(void *context)
{
    struct spans *s = context;
    if (!s->call && s->waiting_len > 0) {
        send_waiting(s);
    }
}

void spans_add(struct spans *s, const struct span_request *request)
{
    const size_t before = s->waiting.len;
    const int n = span_write(request, s->sampler, s->ratio, &s->waiting);
    if (s->waiting.failed) { /* half a span is none */
        told(s, n, "too many spans wait for the collector");
        if (before == 0) {
            buf_reset(&s->waiting);
        } else {
            s->waiting.len = before;
            s->waiting.failed = false;
        }
        return;
    }
    if (n > 0 && s->waiting_len == 0 && !s->call) {
        loop_timer_set(s->soon, s->every_ms);
    }
    s->waiting_len += n;
    if (s->waiting.len >= SEND_BYTES && !s->call) {
        loop_timer_set(s->soon, 0);
    }
}

void spans_flush(struct spans *s, int64_t limit_ms, loop_fn *on_end,
                 void *context)
{
    assert(on_end && !s->on_flushed);
    s->on_flushed = on_end;
    s->flushed_context = context;
    if (!s->call && s->waiting_len > 0) {
        send_waiting(s);
    }
    loop_timer_set(s->limit, s->call ? limit_ms : 0);
}

static bool add_headers(struct spans *s, const char *list)
{
    char line[HEADER_BYTES];
    struct str rest = str_of(list);
    s->headers[s->headers_len++] = strdup("Content-Type: application/json");
    while (s->headers_len < HEADERS_MAX &&
           span_next_header(&rest, line, sizeof line)) {
        s->headers[s->headers_len++] = strdup(line);
    }
    explicit_bzero(line, sizeof line);
    for (size_t i = 0; i < s->headers_len; i++) {
        if (!s->headers[i]) {
            return false;
        }
    }
    return true;
}

struct spans *spans_open(struct loop *loop, const struct spans_options *options,
                         spans_told_fn *on_told, void *context, struct err *err)
{
    assert(on_told && options->every_ms > 0);
    assert(options->ratio >= 0 && options->ratio <= 1);
    struct spans *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(err, ERR_FATAL, "no memory for traces");
        return NULL;
    }
    *s = (struct spans){
        .loop = loop,
        .url = strdup(options->url),
        .service = strdup(options->service),
        .attributes = strdup(options->attributes),
        .sampler = options->sampler,
        .ratio = options->ratio,
        .every_ms = options->every_ms,
        .on_told = on_told,
        .context = context,
        .soon = loop_timer_new(loop, on_soon, s),
        .limit = loop_timer_new(loop, end_flush, s),
        .wire = wire_open(loop, 1, NULL, err),
    };
    buf_init(&s->waiting, SPANS_BYTES_MAX);
    buf_init(&s->message, 0);
    if (!s->url || !s->service || !s->attributes || !s->soon || !s->limit ||
        !s->wire || !add_headers(s, options->headers)) {
        err_set(err, ERR_FATAL, "no memory for traces");
        spans_close(s);
        return NULL;
    }
    return s;
}

void spans_close(struct spans *s)
{
    if (!s) {
        return;
    }
    wire_close(s->wire);
    loop_timer_free(s->soon);
    loop_timer_free(s->limit);
    for (size_t i = 0; i < s->headers_len; i++) {
        char *line = (char *)(uintptr_t)s->headers[i];
        if (line) {
            explicit_bzero(line, strlen(line));
        }
        free(line);
    }
    buf_done(&s->waiting);
    buf_done(&s->message);
    free(s->url);
    free(s->service);
    free(s->attributes);
    free(s);
}
