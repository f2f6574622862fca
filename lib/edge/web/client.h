#ifndef EDGE_WEB_CLIENT_H
#define EDGE_WEB_CLIENT_H

#include "base/err.h"
#include "edge/loop.h"
#include "edge/web/handle.h"

#include <stdbool.h>

/**
 * HTTP requests as libcurl makes them: how each ended, and the clocks that end
 * it. `http`, `fetch` and `wire` are each a policy, and what they make of the
 * bytes. For this room only.
 */
struct web_client;

struct web_client *web_client_open(struct loop *loop,
                                   const struct web_policy *policy,
                                   struct err *err);

/** Nothing may be under way; null is accepted. */
void web_client_close(struct web_client *client);

/** @return false: no memory; on_end() doesn't come. */
MUST_CHECK bool web_call_start(struct web_call *call, struct web_client *client,
                               const struct web_request *request,
                               const struct web_hooks *hooks, void *context);

/** Soon; where nothing waits: nothing. */
void web_call_go_on(struct web_call *call);

/** Ends it soon, as REPLY_CANCELLED. */
void web_call_cancel(struct web_call *call);

/** Ends it now, as REPLY_CANCELLED; not from within a hook, nor is the next. */
void web_call_stop(struct web_call *call, const char *why);

/** Breaks off what is under way, without an end, and gives its memory back. */
void web_call_done(struct web_call *call);

#endif
