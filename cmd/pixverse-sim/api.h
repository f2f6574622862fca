#ifndef SIM_API_H
#define SIM_API_H

#include "world.h"

/** The provider's calls and the simulator's own, behind one HTTP server. */

/** Whether a fault closes this connection before it says a word. */
bool api_on_accept(void *world);
/** Whether the body of this request is to be read at all. */
bool api_on_head(void *world, const struct http_request *request);
/** Answer a request. */
void api_on_request(void *world, const struct http_request *request,
                    struct reply *reply);

#endif
