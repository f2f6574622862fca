#include "edge/poll.h"

#include <assert.h>

/* lib/edge/poll.h: the fake provider is asked as in http.c, which has both. */

static struct http *http_of(const struct poller *poller)
{
    return (struct http *)(uintptr_t)poller;
}

struct poller *poller_open(struct loop *loop,
                           const struct poller_options *options,
                           struct err *err)
{
    const struct http_options http = {.connections_max =
                                          options->connections_max};
    assert(options->connections_max >= 1);
    return (struct poller *)http_open(loop, &http, err);
}

bool poller_send(struct poller *poller, const struct exchange *exchange,
                 int64_t timeout_ms, bool (*may_send)(void *context),
                 http_reply_fn *on_reply, void *context, struct err *err)
{
    assert(exchange->method == EXCHANGE_GET && !exchange->idempotency_key.at);
    return http_send(http_of(poller), exchange, timeout_ms, may_send, on_reply,
                     context, err);
}

int poller_under_way(const struct poller *poller)
{
    return http_under_way(http_of(poller));
}

void poller_close(struct poller *poller)
{
    http_close(http_of(poller));
}
