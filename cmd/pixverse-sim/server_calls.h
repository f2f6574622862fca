#ifndef SIM_SERVER_CALLS_H
#define SIM_SERVER_CALLS_H

#include "http_request.h"
#include "reply.h"

#include <stdbool.h>

/** Whom the server asks. All run on the loop and must not wait. */
struct server_calls {
    /** A connection came: false closes it at once. */
    bool (*on_accept)(void *context);
    /** The head of a request is there: false closes before its body is read. */
    bool (*on_head)(void *context, const struct http_request *request);
    /** The request is there: compose the answer. Views live until return. */
    void (*on_request)(void *context, const struct http_request *request,
                       struct reply *reply);
    void *context;
};

#endif
