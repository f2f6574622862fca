#ifndef EDGE_WEB_MULTI_H
#define EDGE_WEB_MULTI_H

#include "base/err.h"
#include "edge/loop.h"

/**
 * A libcurl multi handle turned by the loop; for this room only.
 * Handles are void pointers here because library types stay in the .c files.
 */
struct loop_curl;

/** An easy handle ended and is out of the multi; code is its CURLcode. */
typedef void loop_curl_fn(void *context, void *easy, int code);

struct loop_curl *loop_curl_open(struct loop *loop, int connections_max,
                                 loop_curl_fn *on_done, void *context,
                                 struct err *err);

/** Not from within a callback of libcurl. */
bool loop_curl_add(struct loop_curl *curl, void *easy);
void loop_curl_remove(struct loop_curl *curl, void *easy);

/**
 * For an easy handle whose connections live long: its sockets stay known to the
 * kernel between exchanges, which saves half of an exchange's system calls.
 */
void loop_curl_keep(struct loop_curl *curl, void *easy);

/**
 * A socket for libcurl's open callbacks. What was sent and stays without an
 * acknowledgement for a minute ends the connection: the kernel alone goes on
 * for a quarter of an hour.
 *
 * @return  -1, errno set: there is none.
 */
int loop_curl_socket(int family, int type, int protocol);

/** Look for handles that ended, after calls that may end some. */
void loop_curl_look(struct loop_curl *curl);

/** No easy handle may be left in it; null is accepted. */
void loop_curl_close(struct loop_curl *curl);

#endif
