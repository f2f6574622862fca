#include "edge/web/call.h"

#include "edge/web/decode.h"
#include "edge/web/headers.h"
#include "edge/web/plain.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the life of a call ---- */

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
    assert(!call->url && !call->body && !call->headers);
    call->post = exchange->method == EXCHANGE_POST;
    call->url = strndup(exchange->url.at, exchange->url.len);
    if (call->post) {
        call->body_len = exchange->body.len;
        call->body = malloc(exchange->body.len + 1);
        if (call->body && exchange->body.len) {
            memcpy(call->body, exchange->body.at, exchange->body.len);
        }
    }
    call->headers =
        http_headers(exchange->bearer, exchange->idempotency_key, call->post);
    return call->url && call->headers && (!call->post || call->body);
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
    assert(!call->web.pool);
    web_call_done(&call->web);
    http_call_clear(call);
    list_remove(&call->link);
    buf_done(&call->reply);
    free(call);
}

/* ---- what came ---- */

void http_call_read(struct http_call *call, bool came,
                    const struct web_end *end, struct buf *plain,
                    struct reply *reply)
{
    const struct web_call *web = &call->web;
    char replayed[8] = "";
    call->retry_after[0] = '\0';
    call->content_type[0] = '\0';
    call->coding[0] = '\0';
    if (came) {
        web_call_copy(web, "Retry-After", call->retry_after,
                      sizeof call->retry_after);
        web_call_copy(web, "Content-Type", call->content_type,
                      sizeof call->content_type);
        web_call_copy(web, "Idempotency-Replayed", replayed, sizeof replayed);
        web_call_list(web, "Content-Encoding", call->coding,
                      sizeof call->coding);
        decode_label_show(call->coding);
    }
    *reply = (struct reply){
        .end = end->end,
        .sent = came && web->sends > 0,
        .status = came ? web_call_status(web) : 0,
        .body = buf_str(&call->reply),
        .retry_after = str_of(call->retry_after[0] ? call->retry_after : NULL),
        .content_type =
            str_of(call->content_type[0] ? call->content_type : NULL),
        .replayed = str_eq_nocase(str_of(replayed), STR("true")),
    };
    if (end->end != REPLY_WHOLE) {
        snprintf(reply->why, sizeof reply->why, "%.159s", end->why);
    }
    plain_body(str_of(call->coding), plain, reply);
}
