#ifndef EDGE_POLL_H
#define EDGE_POLL_H

#include "edge/http.h"

/**
 * Questions to the provider that are asked again and again: GETs only, so that
 * nothing about money depends on this door. Connections are kept, as many as
 * round trips need; over TLS, HTTP/2 where the server speaks it. What is asked
 * in one turn goes out together in the next. No redirect, no TLS
 * below 1.2, no proxy but the one it is given; each exchange names its own host
 * and key.
 */
struct poller;
struct proxy;

struct poller_options {
    int connections_max;       /* to each host, at least 1 */
    const char *ca_file;       /* null: the system's */
    const struct proxy *proxy; /* null: none; lives longer */
};

struct poller *poller_open(struct loop *loop,
                           const struct poller_options *options,
                           struct err *err);

/**
 * Ask. A GET may be asked again: one that a kept connection lost before a byte
 * of its reply came goes to a fresh one, up to five times.
 *
 * @param exchange    A GET without an idempotency key; copied.
 * @param timeout_ms  From the moment that it goes to a connection; at least 1.
 *                    Until then it waits 60 s at most, 10 s for the first
 *                    connection.
 * @param may_send    Asked once, right before it would leave; null: yes. A no
 *                    ends it as not sent. Must not call poller_*.
 * @param on_reply    Called exactly once, after this has returned, also when
 *                    poller_close() ends it early. Must not close the poller.
 * @return            false, with *err set, if nothing was started:
 *                    ERR_TRANSIENT  no memory
 *                    ERR_PERMANENT  a URL that we do not accept
 */
MUST_CHECK bool poller_send(struct poller *poller,
                            const struct exchange *exchange, int64_t timeout_ms,
                            bool (*may_send)(void *context),
                            http_reply_fn *on_reply, void *context,
                            struct err *err);

/** Exchanges begun and not ended. */
int poller_under_way(const struct poller *poller);

/** Ends every exchange (REPLY_CANCELLED), then frees. */
void poller_close(struct poller *poller);

#endif
