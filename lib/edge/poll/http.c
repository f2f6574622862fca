#include "edge/http.h"

#include "edge/poll/client.h"

#include <stdlib.h>

struct http {
    struct poller *client;
};

struct http *http_open(struct loop *loop, const struct http_options *options,
                       struct err *err)
{
    const struct poller_options as = {
        .connections_max = options->connections_max,
        .ca_file = options->ca_file,
        .proxy = options->proxy,
    };
    struct http *http = calloc(1, sizeof *http);
    if (!http) {
        err_set(err, ERR_FATAL, "no memory for HTTP");
        return NULL;
    }
    http->client = client_open(loop, &as, true, err);
    if (!http->client) {
        free(http);
        return NULL;
    }
    return http;
}

bool http_send(struct http *http, const struct exchange *exchange,
               int64_t timeout_ms, bool (*may_send)(void *context),
               http_reply_fn *on_reply, void *context, struct err *err)
{
    return client_send(http->client, exchange, timeout_ms, may_send, on_reply,
                       context, err);
}

int http_under_way(const struct http *http)
{
    return http->client->under_way;
}

void http_close(struct http *http)
{
    client_close(http->client);
    free(http);
}
