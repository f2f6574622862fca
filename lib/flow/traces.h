#ifndef FLOW_TRACES_H
#define FLOW_TRACES_H

#include "base/metric.h"
#include "edge/spans.h"
#include "flow/clock.h"
#include "flow/job.h"

/** What goes to a collector of traces, and what doesn't arrive there. */

struct traces {
    struct metric *sent;
    struct metric *dropped;
    bool away; /* the last message was not taken, and it was logged */
};

void traces_init(struct traces *traces, struct metrics *metrics);

/** Tells a job's whole way where this step closes its row. */
void traces_step(struct spans *spans, const struct job *job,
                 const struct step *step, const struct clock *clock);

/** As spans_told_fn; context: the traces. */
void traces_told(void *traces, int64_t spans, const char *why);

#endif
