#ifndef EDGE_WEB_CALL_H
#define EDGE_WEB_CALL_H

#include "base/buf.h"
#include "base/list.h"
#include "core/exchange.h"
#include "edge/web/client.h"

#include <stdbool.h>
#include <stdint.h>

/**
 * One exchange of http.c: what it sends, what came. For http.c only, which
 * decides when a call starts and how it ends.
 */

struct curl_slist;

#define HTTP_BODY_BYTES_MAX (1 << 20)

/** Thousands may wait; libcurl knows only those that are under way. */
struct http_call {
    struct list link; /* in http.free, .waiting or .active */
    struct http *http;
    struct web_call web;
    struct curl_slist *headers;
    char *url;
    char *body; /* POST; owned */
    size_t body_len;
    bool post;
    int64_t timeout_ms;
    bool (*may_send)(void *context);
    void (*on_reply)(void *context, const struct reply *reply);
    void *context;
    struct buf reply; /* as it came */
    char retry_after[64];
    char content_type[96];
    char coding[96]; /* Content-Encoding; "": none */
};

struct http_call *http_call_new(struct http *http); /* null: no memory */

/** Copies what the exchange says; false: no memory. */
bool http_call_fill(struct http_call *call, const struct exchange *exchange);

/** Forgets the exchange, keeps memory for the next. */
void http_call_clear(struct http_call *call);

/** It is not under way any more. */
void http_call_free(struct http_call *call);

/**
 * What the reply says, its codings undone.
 *
 * @param came   Whether libcurl had it: else it never started.
 * @param end    *reply tells another where the body can't be used.
 * @param plain  Holds a body that was coded, as long as *reply is in use.
 */
void http_call_read(struct http_call *call, bool came,
                    const struct web_end *end, struct buf *plain,
                    struct reply *reply);

#endif
