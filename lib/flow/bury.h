#ifndef FLOW_BURY_H
#define FLOW_BURY_H

#include "core/lease.h"
#include "flow/engine.h"

/**
 * Who is declared dead (DESIGN "Leases"): all whose counter stood still for too
 * long, in one look.
 */

struct bury {
    struct engine *engine;
    const struct lease_watch *watch;
    bool under_way;
    int64_t after; /* this look goes on with the leases above that */
};

/** After each reading of leases. */
void bury_look(struct bury *bury);

#endif
