#ifndef FLOW_PASS_H
#define FLOW_PASS_H

#include "base/arena.h"
#include "edge/store.h"
#include "flow/job.h"

/**
 * A walk through the table, a part a turn, that takes over what has no living
 * owner. Leases that were dead before it began and of which it left nothing can
 * be forgotten.
 *
 * It begins where our own tasks do: the orphans are of their time, as a rule.
 * What lies before comes last. There are the dead versions of all that came and
 * went while somebody holds an old snapshot: half a second for some two hundred
 * thousand.
 */
struct pass {
    bool wanted;         /* orphans may be there */
    bool nobodys_wanted; /* such as never had an owner may be */
    bool under_way;
    bool nobodys; /* it looks for no others */
    bool clean;   /* all that was seen was taken: nobody else locked some */
    bool forget_wanted;     /* it is over and clean: its dead own nothing */
    int64_t began;          /* the walk began behind that id; 0: at the start */
    bool around;            /* and goes up to that one now, from the start on */
    int64_t after;          /* it goes on behind that id */
    int64_t dead[DEAD_MAX]; /* leases that were dead before it began */
    size_t dead_len;
};

/**
 * Its part of a turn. It goes on where it stood, or begins; what is wanted
 * meanwhile may lie behind it and is for the next one.
 *
 * @param jobs  Ours.
 * @param room  For so many more; 0 or less: none now.
 */
void pass_gather(struct pass *pass, struct jobs *jobs, struct turn *turn,
                 int room, struct arena *arena);

/** What came of it, which had asked for so many rows; 0: it had no part. */
void pass_came(struct pass *pass, const struct turn_result *result, int asked);

#endif
