#ifndef EDGE_POLL_ORIGIN_H
#define EDGE_POLL_ORIGIN_H

#include "edge/poll/hub.h"
#include "edge/poll/lookup.h"

/**
 * A host of the provider: who waits for it, the connections to it, and its
 * addresses. It opens one more connection when those that it has keep someone
 * waiting.
 */

#define HOST_BYTES 256

struct poll_origin {
    struct list link; /* in poller.origins */
    struct poller *poller;
    bool secure;
    int port;
    char host[HOST_BYTES];           /* without brackets */
    char authority[HOST_BYTES + 10]; /* as Host says it */
    struct list waiting;
    struct list conns;
    struct list ready;     /* the one used last is last */
    int conns_len;         /* that take calls, or will */
    int dialing;           /* of them */
    struct lookup *lookup; /* null: none under way */
    struct lookup_answer names;
    int64_t names_until_ms;
    int64_t asked_ms; /* when the lookup began */
    int name;         /* the one to dial next */
    int failed;       /* dials in a row, since one had luck */
    int64_t dialed_ms;
    int64_t alone_until_ms; /* a dial failed: those that are there have to do */
    int64_t doubted_ms;     /* when a connection was last left in doubt */
};

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

/** A connection lost it: it is the next to be asked. */
void origin_put_back(struct poll_origin *origin, struct poll_call *call);

/** What a connection tells: it can take calls; it could not be made. */
void origin_opened(struct poll_origin *origin, struct poll_conn *conn);
void origin_dial_failed(struct poll_origin *origin, enum reply_end end,
                        const char *why);

/** The connections that stand idle are as old as one that was dead. */
void origin_drop_idle(struct poll_origin *origin);

/** Each second; false: there is nothing to look at. */
bool origin_look(struct poll_origin *origin, int64_t now_ms);

/** Whatever waits ends so. */
void origin_fail_waiting(struct poll_origin *origin, enum reply_end end,
                         const char *why);

#endif
