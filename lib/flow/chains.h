#ifndef FLOW_CHAINS_H
#define FLOW_CHAINS_H

#include "edge/store.h"

/**
 * Rows that wait for the request that they extend. The unit that stores its
 * READY or its end lets them go, but two transactions may not see each other:
 * so one worker looks at all of them now and then, a part of their sources a
 * turn.
 */
struct chains {
    bool wanted;                  /* a look at all, from `after` on */
    bool asked;                   /* a part of it is under way */
    char after[REQUEST_ID_BYTES]; /* the last source of the part before */
};

/** Its part of a turn. */
void chains_gather(struct chains *chains, struct turn *turn);

/** What came of it, and of what the turn's saves said of sources. */
void chains_came(struct chains *chains, const struct unblocked *unblocked);

/** Nobody knows what came of it: that part is looked at again. */
void chains_lost(struct chains *chains);

#endif
