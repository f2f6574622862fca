#ifndef EDGE_WEB_CALL_H
#define EDGE_WEB_CALL_H

#include "base/buf.h"
#include "base/list.h"
#include "core/exchange.h"
#include "edge/web/pool.h"

#include <stdbool.h>
#include <stdint.h>

/**
 * One exchange of http.c as libcurl sees it: what it sends, what came. For
 * http.c only; it decides when a call starts and how it ends.
 */

struct curl_slist;

#define HTTP_BODY_BYTES_MAX (1 << 20)
#define HTTP_ERROR_BYTES 256 /* libcurl's CURL_ERROR_SIZE */

/** It has an easy handle only while it is under way: thousands may wait, and a
 * handle is large. */
struct http_call {
    struct list link; /* in http.free, .waiting or .active */
    struct http *http;
    struct http_pool *pool; /* that has the handle; null: none */
    void *easy;             /* null: waiting, or over */
    struct curl_slist *headers; /* its own; null: the shared ones */
    char *url;
    char *body; /* POST; owned */
    size_t body_len;
    bool post;
    bool once; /* a hidden second send is cut off */
    int64_t timeout_ms;
    int64_t due_ms; /* of those sent once: the end of their time */
    bool overdue;   /* its last look has begun */
    bool (*may_send)(void *context);
    void (*on_reply)(void *context, const struct reply *reply);
    void *context;
    struct buf reply; /* as it came */
    size_t header_bytes;
    int sends;  /* times that a request was about to leave */
    bool gated; /* may_send said no */
    bool replayed;
    char retry_after[64];
    char content_type[96];
    char coding[96]; /* Content-Encoding; "": none */
    char error[HTTP_ERROR_BYTES];
};

struct http_call *http_call_new(struct http *http); /* null: no memory */

/** Copies what the exchange says, but for its headers; false: no memory. */
bool http_call_fill(struct http_call *call, const struct exchange *exchange);

/** Forgets the exchange, keeps memory for the next. */
void http_call_clear(struct http_call *call);

/** It has no handle any more. */
void http_call_free(struct http_call *call);

/** A handle for any call of a door; null: no memory. */
void *http_call_handle(bool once, const char *ca_file);

/**
 * Points the handle at the call, which is about to start, and forgets what an
 * earlier try left.
 *
 * @param shared  The headers, if the call has none of its own.
 */
void http_call_set(struct http_call *call, void *easy,
                   struct curl_slist *shared);

/**
 * What the reply says, its codings undone.
 *
 * @param end    As libcurl ended; *reply tells another where the body can't be
 *               used.
 * @param plain  Holds a body that was coded, as long as *reply is in use.
 */
void http_call_read(const struct http_call *call, enum reply_end end,
                    const char *why, struct buf *plain, struct reply *reply);

#endif
