#ifndef FLOW_PASS_H
#define FLOW_PASS_H

#include "base/arena.h"
#include "edge/store.h"

/**
 * A walk through the table, a part a turn, that takes over what has no living
 * owner. Leases that were dead before it began and of which it left nothing can
 * be forgotten.
 */
struct pass {
    bool wanted;         /* orphans may be there */
    bool nobodys_wanted; /* such as never had an owner may be */
    bool under_way;
    bool nobodys; /* it looks for no others */
    bool clean;   /* all that was seen was taken: nobody else locked some */
    bool forget_wanted;     /* it is over and clean: its dead own nothing */
    int64_t after;          /* the walk goes on behind that id */
    int64_t dead[DEAD_MAX]; /* leases that were dead before it began */
    size_t dead_len;
};

/**
 * Its part of a turn. It goes on where it stood, or begins; what is wanted
 * meanwhile may lie behind it and is for the next one.
 *
 * @param room  For so many jobs; 0 or less: none now.
 */
void pass_gather(struct pass *pass, struct turn *turn, int room,
                 struct arena *arena);

/** What came of it, which had asked for so many rows; 0: it had no part. */
void pass_came(struct pass *pass, const struct turn_result *result, int asked);

#endif
