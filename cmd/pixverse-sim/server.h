#ifndef SIM_SERVER_H
#define SIM_SERVER_H

#include "server_calls.h"

#include "base/err.h"

#include <uv.h>

/**
 * A small HTTP/1.1 server on one libuv loop. It owns its sockets down to how
 * they end, because a simulated provider must be able to misbehave.
 */
struct server;

/**
 * Listen.
 *
 * @param port  0: the system picks one; see server_port().
 */
MUST_CHECK bool server_open(struct server **server, uv_loop_t *loop,
                            const char *host, int port,
                            const struct server_calls *calls, struct err *err);
int server_port(const struct server *server);
/** Ends every connection; freed once the loop has run out. */
void server_close(struct server *server);

#endif
