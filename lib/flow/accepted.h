#ifndef FLOW_ACCEPTED_H
#define FLOW_ACCEPTED_H

#include "edge/accepted.h"
#include "flow/fleet.h"

/**
 * Tells that requests were taken in (ACCEPTED_EVENTS). What is owed is a row of
 * `accepted`, written in the intake's commit: it is read, sent, and taken away
 * once the broker has it. So nothing is told that is not stored, and what a
 * crash leaves is told by whoever counts for the fleet, perhaps once more, with
 * the same bytes.
 */

struct accepted_options {
    bool on; /* requests that this worker takes in owe it */
    const char *topic;
};

/** One that the producer has. */
struct accepted_sent {
    struct accepted *accepted;
    int64_t id;
};

struct accepted {
    struct fleet *fleet;
    struct accepted_options options;
    bool wanted; /* something is owed, perhaps */
    bool asking; /* the store is to answer */
    bool failed; /* something of this round was not taken: not at once again */
    bool stopped;
    int64_t looked_ms;                       /* boot clock; 0: not yet */
    struct accepted_sent sent[ACCEPTED_MAX]; /* of this round */
    size_t sending;                          /* of these: not answered */
    int64_t told[ACCEPTED_MAX];              /* to be taken away */
    size_t told_len;
    loop_fn *on_idle;
    void *idle_context;
    struct metric *events;
};

void accepted_init(struct accepted *accepted, struct fleet *fleet,
                   const struct accepted_options *options);
void accepted_done(struct accepted *accepted);

/** A loop_fn, context is the accepted: requests were stored. */
void accepted_want(void *accepted);

/** Behind a good beat: looks where it is time. */
void accepted_look(struct accepted *accepted);

/** Once nothing more is taken in: on_idle when all is told, or nothing more can
 * be told for now. Never called before this has returned. */
void accepted_stop(struct accepted *accepted, loop_fn *on_idle, void *context);

#endif
