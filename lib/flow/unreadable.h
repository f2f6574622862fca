#ifndef FLOW_UNREADABLE_H
#define FLOW_UNREADABLE_H

#include "flow/engine.h"

/**
 * Rows that this program can't read: a later one made them, or something broke
 * them. Claims and takeovers pass them by; one worker of the fleet looks for
 * them now and then, so that somebody is told: among what is worked on, then
 * among what waits, where no claim may come for long.
 */

#define UNREADABLE_NAMED_MAX 20

/** What was found on one way through both tables. */
struct unreadable_pass {
    bool waiting;    /* it has come to what waits */
    int64_t after;   /* the last task of the table that was looked at */
    int64_t took_ms; /* all looks together */
    int64_t rows;    /* all that were found */
    char first[140]; /* the first one's request, else its task; "" : none */
    int64_t named[UNREADABLE_NAMED_MAX]; /* tasks that the log has named */
    size_t named_len;
};

struct unreadable {
    struct engine *engine;
    bool looking;
    int64_t due_ms;              /* boot clock: the next look; 0: not ours */
    int64_t asked_ms;            /* when the last one began */
    struct unreadable_pass pass; /* as far as it has come */
    struct unreadable_pass last; /* the last whole one: what is told */
    struct metric *gauge;
};

void unreadable_init(struct unreadable *unreadable, struct engine *engine);

/** At each beat.
 *
 * @param ours  This worker is the one that looks. */
void unreadable_look(struct unreadable *unreadable, bool ours);

#endif
