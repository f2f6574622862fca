#ifndef FLOW_STATUS_H
#define FLOW_STATUS_H

#include "edge/admin.h"
#include "flow/engine.h"
#include "flow/fleet.h"
#include "flow/intake.h"

/** What the probes are told: who is there, what is held, how much there is. */
struct status {
    const char *name;
    struct engine *engine;
    struct fleet *fleet;
    struct intake *intake;
    bool store_up;
    bool schema_misfit;
    bool consumer_up;
    bool producer_up;
    bool draining;
    char store_why[300];
    char consumer_why[300];
    char producer_why[300];
};

/** An admin_fn; context is the status. */
void status_answer(void *status, struct str path, struct admin_answer *answer);

#endif
