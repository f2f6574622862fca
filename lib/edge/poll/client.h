#ifndef EDGE_POLL_CLIENT_H
#define EDGE_POLL_CLIENT_H

#include "edge/poll/hub.h"

/**
 * What the doors `poll` and `http` open, each in its way.
 *
 * @param once  Exchanges may be POSTs, and each leaves once, whatever becomes
 *              of it: over HTTP/1.1 alone, on a connection that is fresh, or
 *              was made or answered less than 2 s ago. Each has a slot of
 *              connections_max, and its time runs from then on; without one it
 *              waits in order. Else as poll.h says.
 */
struct poller *client_open(struct loop *loop,
                           const struct poller_options *options, bool once,
                           struct err *err);

/** As poller_send(). */
MUST_CHECK bool client_send(struct poller *poller,
                            const struct exchange *exchange, int64_t timeout_ms,
                            bool (*may_send)(void *context),
                            http_reply_fn *on_reply, void *context,
                            struct err *err);

/** Ends every exchange (REPLY_CANCELLED), then frees. */
void client_close(struct poller *poller);

#endif
