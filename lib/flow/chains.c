#include "flow/chains.h"

#include <assert.h>
#include <string.h>

void chains_gather(struct chains *chains, struct turn *turn)
{
    assert(!chains->asked && !turn->chains);
    chains->asked = chains->wanted;
    turn->chains = chains->wanted;
    memcpy(turn->chains_after, chains->after, sizeof turn->chains_after);
}

void chains_came(struct chains *chains, const struct unblocked *unblocked)
{
    assert(unblocked->freed >= 0 && unblocked->marked >= 0);
    if (unblocked->freed + unblocked->marked >= UNBLOCK_MAX) {
        /* There may be more of the same source: from the first one on. */
        *chains = (struct chains){.wanted = true};
        return;
    }
    if (chains->asked && unblocked->looked < SOURCES_MAX) {
        *chains = (struct chains){0}; /* that was the last part */
        return;
    }
    if (chains->asked) {
        memcpy(chains->after, unblocked->last, sizeof chains->after);
    }
    chains->asked = false;
}

void chains_lost(struct chains *chains)
{
    chains->asked = false;
}
