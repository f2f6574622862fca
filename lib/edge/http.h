#ifndef EDGE_HTTP_H
#define EDGE_HTTP_H

#include "base/err.h"
#include "core/exchange.h"
#include "edge/loop.h"

/**
 * Short exchanges with an HTTP server, each sent exactly once. One goes over a
 * connection that was made or answered less than 2 s ago and isn't closed, as
 * far as a look tells, or over a fresh one. After one that closed instead of an
 * answer all are fresh for ten minutes. Through a proxy, an exchange is sent
 * once the tunnel stands: what fails before was not. HTTP/1.1 alone; no
 * redirect, no TLS below 1.2, no proxy but the one it is given.
 */
struct http;
struct proxy;

struct http_options {
    /* Each carries one exchange at a time; more wait in order. */
    int connections_max;
    const char *ca_file;       /* null: the system's */
    const struct proxy *proxy; /* null: none; lives longer */
};

/**
 * @param reply  Its slices live until this returns.
 */
typedef void http_reply_fn(void *context, const struct reply *reply);

struct http *http_open(struct loop *loop, const struct http_options *options,
                       struct err *err);

/**
 * Send one exchange.
 *
 * @param exchange    Copied: the caller may reuse it at once.
 * @param timeout_ms  From the moment that it gets a connection slot, connecting
 *                    included; at least 1.
 * @param may_send    Asked once, right before the first byte would leave: with
 *                    a yes it is sent, whatever comes of it; null: yes. A no
 *                    ends the exchange as not sent. Must not call http_*.
 * @param on_reply    Called exactly once, after this has returned, also when
 *                    http_close() ends the exchange early.
 * @return            false, with *err set, if nothing was started:
 *                    ERR_TRANSIENT  no memory
 *                    ERR_PERMANENT  a URL that we do not accept
 */
MUST_CHECK bool http_send(struct http *http, const struct exchange *exchange,
                          int64_t timeout_ms, bool (*may_send)(void *context),
                          http_reply_fn *on_reply, void *context,
                          struct err *err);

/** Exchanges begun and not ended. */
int http_under_way(const struct http *http);

/** Ends every exchange (REPLY_CANCELLED), then frees. */
void http_close(struct http *http);

#endif
