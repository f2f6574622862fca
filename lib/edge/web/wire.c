#include "edge/web/wire.h"

#include "base/buf.h"
#include "edge/web/client.h"
#include "edge/web/decode.h"
#include "edge/web/headers.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#define BODY_BYTES_MAX ((size_t)2 << 20)
#define RECEIVE_BYTES (256 * 1024L)

struct wire {
    struct web_client *client;
    struct list calls;
};

struct wire_call {
    struct list link;
    struct web_call web;
    struct curl_slist *headers;
    wire_fn *on_end;
    void *context;
    wire_source_fn *source;
    wire_sink_fn *sink;
    struct buf answer;
    bool starved; /* there was no memory for a piece of it */
};

static void free_call(struct wire_call *call)
{
    list_remove(&call->link);
    web_call_done(&call->web);
    curl_slist_free_all(call->headers);
    buf_done(&call->answer);
    free(call);
}

/* ---- what the client asks ---- */

static size_t source(void *context, char *out, size_t room)
{
    struct wire_call *call = context;
    return call->source(call->context, out, room);
}

static enum web_taken on_body(void *context, const char *bytes, size_t len)
{
    struct wire_call *call = context;
    if (call->sink && web_call_status(&call->web) / 100 == 2) {
        call->sink(call->context, bytes, len);
    } else {
        const bool fits =
            !call->answer.failed && len <= BODY_BYTES_MAX - call->answer.len;
        buf_add(&call->answer, bytes, len); /* the start of it will do */
        call->starved = call->starved || (fits && call->answer.failed);
    }
    return WEB_TAKEN;
}

static void on_end(void *context, const struct web_end *end)
{
    struct wire_call *call = context;
    const struct web_call *web = &call->web;
    struct wire_answer answer = {
        .whole = end->end == REPLY_WHOLE,
        .status = web_call_status(web),
        .body = buf_str(&call->answer),
    };
    char coding[64];
    web_call_copy(web, "Date", answer.date, sizeof answer.date);
    web_call_copy(web, "ETag", answer.etag, sizeof answer.etag);
    web_call_copy(web, "Content-Length", answer.length, sizeof answer.length);
    web_call_copy(web, "x-amz-bucket-region", answer.region,
                  sizeof answer.region);
    web_call_list(web, "Content-Encoding", coding, sizeof coding);
    struct buf plain;
    buf_init(&plain, BODY_BYTES_MAX);
    const enum decoded decoded =
        decode_text(answer.body, str_of(coding), &plain);
    const bool read =
        decoded == DECODED || decoded == DECODED_PLAIN || answer.body.len == 0;
    if (decoded == DECODED) {
        answer.body = buf_str(&plain);
    }
    if (!answer.whole) {
        snprintf(answer.why, sizeof answer.why, "%.150s", end->why);
    } else if (call->starved || !read) {
        /* Half an answer would be read as another one. */
        answer.whole = false;
        answer.ours = true;
        snprintf(answer.why, sizeof answer.why, "%s",
                 call->starved ? "no memory for the answer"
                               : "the answer can't be unpacked");
    }
    list_remove(&call->link);
    call->on_end(call->context, &answer);
    buf_done(&plain);
    free_call(call);
}

static const struct web_hooks hooks = {
    .source = source,
    .on_body = on_body,
    .on_end = on_end,
};

/* ---- the door ---- */

static bool make_headers(struct wire_call *call,
                         const struct wire_request *request)
{
    /* What streams can't be sent again: the server may refuse it before. */
    bool memory = headers_add(
        &call->headers, request->source ? "Expect: 100-continue" : "Expect:");
    memory = memory && headers_add(&call->headers, "Accept-Encoding: identity");
    for (size_t i = 0; i < request->headers_len; i++) {
        memory = memory && headers_add(&call->headers, request->headers[i]);
    }
    return memory;
}

static bool start(struct wire_call *call, const struct wire *wire,
                  const struct wire_request *request)
{
    const struct web_request asked = {
        .method = request->method,
        .url = request->url,
        .headers = call->headers,
        .body = request->body,
        .source_bytes = request->source ? request->source_bytes : -1,
        .receive_bytes = request->sink ? RECEIVE_BYTES : 0,
        .ca_file = request->ca_file,
        .direct = request->direct,
        .connect_ms = request->connect_ms,
        .whole_ms = request->whole_ms,
        .stall_ms = request->stall_ms,
        .window_ms = request->window_ms,
    };
    return web_call_start(&call->web, wire->client, &asked, &hooks, call);
}

struct wire_call *wire_start(struct wire *wire,
                             const struct wire_request *request,
                             wire_fn *on_answer, void *context)
{
    assert(request->method && request->url && on_answer);
    assert(!request->source || request->source_bytes >= 0);
    struct wire_call *call = calloc(1, sizeof *call);
    if (!call) {
        return NULL;
    }
    *call = (struct wire_call){
        .on_end = on_answer,
        .context = context,
        .source = request->source,
        .sink = request->sink,
    };
    buf_init(&call->answer, BODY_BYTES_MAX);
    list_add_tail(&wire->calls, &call->link);
    if (!make_headers(call, request) || !start(call, wire, request)) {
        free_call(call);
        return NULL;
    }
    return call;
}

void wire_more(struct wire_call *call)
{
    web_call_go_on(&call->web);
}

void wire_drop(struct wire_call *call)
{
    free_call(call);
}

struct wire *wire_open(struct loop *loop, int connections_max,
                       const struct proxy *proxy, struct err *err)
{
    const struct web_policy policy = {
        .connections_max = connections_max,
        .proxy = proxy,
        .exact = true,
    };
    struct wire *wire = calloc(1, sizeof *wire);
    if (wire) {
        list_init(&wire->calls);
        wire->client = web_client_open(loop, &policy, err);
    }
    if (!wire || !wire->client) {
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
    web_client_close(wire->client);
    free(wire);
}
