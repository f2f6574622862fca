#ifndef EDGE_POLL_LOOKUP_H
#define EDGE_POLL_LOOKUP_H

#include "edge/loop.h"

#include <netinet/in.h>
#include <stdbool.h>

/**
 * A host's addresses, asked of the system's resolver in a thread of its own: it
 * blocks, for half a minute where no name server answers, and can't be told to
 * stop. Addresses written as such are read at once.
 */
struct lookup;

#define LOOKUP_ADDRESSES_MAX 8

union lookup_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct lookup_answer {
    union lookup_address addresses[LOOKUP_ADDRESSES_MAX];
    int len;
    char why[128]; /* there are none */
};

typedef void lookup_fn(void *context, const struct lookup_answer *answer);

/** An address, not a name; false leaves *answer as it was. */
bool lookup_literal(const char *host, int port, struct lookup_answer *answer);

/**
 * @param on_end  Once, after this has returned, unless it is stopped before.
 * @return        null: no memory, or no thread.
 */
struct lookup *lookup_start(struct loop *loop, const char *host, int port,
                            lookup_fn *on_end, void *context);

/** on_end() doesn't come any more. Not after it has come. */
void lookup_stop(struct lookup *lookup);

#endif
