#include "edge/poll.h"

#include "edge/poll/client.h"

struct poller *poller_open(struct loop *loop,
                           const struct poller_options *options,
                           struct err *err)
{
    return client_open(loop, options, false, err);
}

bool poller_send(struct poller *poller, const struct exchange *exchange,
                 int64_t timeout_ms, bool (*may_send)(void *context),
                 http_reply_fn *on_reply, void *context, struct err *err)
{
    return client_send(poller, exchange, timeout_ms, may_send, on_reply,
                       context, err);
}

int poller_under_way(const struct poller *poller)
{
    return poller->under_way;
}

void poller_close(struct poller *poller)
{
    client_close(poller);
}
