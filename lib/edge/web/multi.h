#ifndef EDGE_WEB_MULTI_H
#define EDGE_WEB_MULTI_H

#include "base/err.h"
#include "edge/loop.h"

/**
 * A libcurl multi handle turned by the loop; for this room only.
 * Handles are void pointers here because library types stay in the .c files.
 */
struct web_multi;

/** An easy handle ended and is out of the multi; code is its CURLcode. */
typedef void web_multi_fn(void *context, void *easy, int code);

struct web_multi *web_multi_open(struct loop *loop, int connections_max,
                                 web_multi_fn *on_done, void *context,
                                 struct err *err);

/** Not from within a callback of libcurl. */
bool web_multi_add(struct web_multi *curl, void *easy);
void web_multi_remove(struct web_multi *curl, void *easy);

/**
 * A socket for libcurl's open callbacks. What was sent and stays without an
 * acknowledgement for a minute ends the connection: the kernel alone goes on
 * for a quarter of an hour.
 *
 * @return  -1, errno set: there is none.
 */
int web_multi_socket(int family, int type, int protocol);

/** Look for handles that ended, after calls that may end some. */
void web_multi_look(struct web_multi *curl);

/** No easy handle may be left in it; null is accepted. */
void web_multi_close(struct web_multi *curl);

#endif
