#ifndef EDGE_WEB_HANDLE_H
#define EDGE_WEB_HANDLE_H

#include "edge/web/client.h"

/** An easy handle of libcurl's, as a client needs it: all options that are ever
 * set stand in handle.c. For client.c only. */

/** With what a policy says; null: no memory. */
void *web_handle_new(const struct web_policy *policy);

/** Whether it serves one request after another. */
bool web_handle_is_kept(const struct web_policy *policy);

/** Points call->easy at the call, which is about to start. False: no memory, it
 * must not. */
MUST_CHECK bool web_handle_set(struct web_call *call,
                               const struct web_request *request);

#endif
