#ifndef FLOW_VITALS_H
#define FLOW_VITALS_H

#include "flow/fleet.h"
#include "flow/intake.h"

/**
 * What this worker does at present, written every VITALS_EVERY_MS into a row of
 * its own, behind a beat: for pixverse-ctl workers and top. Nothing follows
 * from it, and one that can't be written is let go.
 */

#define VITALS_EVERY_MS INT64_C(10000)

struct vitals {
    struct engine *engine;
    const struct intake *intake;
    bool writing;
    bool draining;                     /* as last written */
    int64_t written_ms;                /* boot clock, begun; 0: not yet */
    int64_t counts[VITALS_COUNTS_LEN]; /* since the start, then */
};

void vitals_init(struct vitals *vitals, struct engine *engine,
                 const struct intake *intake);

/** After a beat: writes where it is time, or where draining began. */
void vitals_look(struct vitals *vitals);

#endif
