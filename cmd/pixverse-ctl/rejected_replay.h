#ifndef PIXVERSE_CTL_REJECTED_REPLAY_H
#define PIXVERSE_CTL_REJECTED_REPLAY_H

#include "rejected_read.h"

/** Replays those that weren't, or, `again`, were. Returns an exit status. */
int rejecteds_replay(struct ctl *ctl, const struct options *given,
                     struct rejecteds *found);

#endif
