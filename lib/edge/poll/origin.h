#ifndef EDGE_POLL_ORIGIN_H
#define EDGE_POLL_ORIGIN_H

#include "edge/poll/hub.h"

/**
 * A host of the provider: who waits for it, the connections to it, and its
 * addresses. It opens one more connection when those that it has keep someone
 * waiting.
 */

/** What a URL says. */
struct poll_target {
    bool secure;
    int port;
    char host[HOST_BYTES];
    struct str path; /* into the URL; empty: "/" */
};

/** false: a URL that we do not accept. */
bool origin_read_url(struct str url, struct poll_target *target);

/** The poller's, made if it is not there; null: no memory. */
struct poll_origin *origin_of(struct poller *poller,
                              const struct poll_target *target);
void origin_free(struct poll_origin *origin); /* nothing is left in it */

/** Gives calls to connections, and opens more. */
void origin_turn(struct poll_origin *origin);

/** Each second; false: there is nothing to look at. */
bool origin_look(struct poll_origin *origin, int64_t now_ms);

/** Whatever waits ends so. */
void origin_fail_waiting(struct poll_origin *origin, enum reply_end end,
                         const char *why);

#endif
