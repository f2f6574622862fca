#ifndef EDGE_ADMIN_PORTS_H
#define EDGE_ADMIN_PORTS_H

#include "base/err.h"

#include <microhttpd.h>
#include <stdbool.h>

/** Where a server listens: of a name, its first address of each family. */

#define PORTS_MAX 2

struct ports {
    struct MHD_Daemon *at[PORTS_MAX];
    size_t len;
    int fault; /* errno of an address that was not taken; 0: unknown */
};

struct ports_options {
    const char *setting; /* what the address is called, for errors */
    const char *listen;  /* "host:port"; port 0 takes a free one */
    unsigned connections_max;
    unsigned timeout_s;
    size_t connection_bytes; /* of request headers, all in all */
    MHD_AccessHandlerCallback on_request;
    MHD_NotifyConnectionCallback on_connection; /* null: nobody asks */
    MHD_RequestCompletedCallback on_completed;  /* the same */
    void *context;
};

/** Each connection has a thread. false with *err: nothing is open. */
bool ports_open(struct ports *ports, const struct ports_options *options,
                struct err *err);
int ports_number(const struct ports *ports);

/** Waits until every thread has ended. */
void ports_close(struct ports *ports);

#endif
