#ifndef EDGE_POLL_ORIGIN_H
#define EDGE_POLL_ORIGIN_H

#include "edge/poll/target.h"

/**
 * A host of the provider: who waits for it, the connections to it, and its
 * addresses. It opens one more connection when those that it has keep someone
 * waiting.
 */

/** The poller's, made if it is not there; null: no memory. */
struct poll_origin *origin_of(struct poller *poller,
                              const struct poll_target *target);

/** One whose URLs begin as this one does, so that it needn't be read; null: it
 * has to be. *path: as of a target. */
struct poll_origin *origin_known(struct poller *poller, struct str url,
                                 struct str *path);
/** So do those that lead to it; target: what was read of that one. */
void origin_know(struct poll_origin *origin, struct str url,
                 const struct poll_target *target);
void origin_free(struct poll_origin *origin); /* nothing is left in it */

/** Gives calls to connections, and opens more. */
void origin_turn(struct poll_origin *origin);

/** A call's time is over, and no connection had it: it ends as not sent. */
void origin_time_out(struct poll_call *call);

/** Each second; false: there is nothing to look at. */
bool origin_look(struct poll_origin *origin, int64_t now_ms);

/** Whatever waits ends so. */
void origin_fail_waiting(struct poll_origin *origin, enum reply_end end,
                         const char *why);

#endif
