#ifndef FLOW_WHY_H
#define FLOW_WHY_H

#include "flow/account.h"
#include "flow/gate.h"
#include "flow/reason.h"

/** What many tasks wait for, as the worker sees it: into reasons. */

/** A submission met what is in the way of all of its account's. */
void why_shared(struct reasons *reasons, const struct gate *gate,
                const struct lane *lane, enum shared_reason reason,
                const struct outcome *outcome);

/** Whether GENERATIONS_MAX, which is `most`, is reached; with an account: its
 * slots. */
void why_generations(struct reasons *reasons, const struct clock *clock,
                     int most, const struct account *of, bool full);

/** Whether what `setting` bounds is used up. */
void why_full(struct reasons *reasons, const struct clock *clock,
              enum shared_reason reason, bool full, const char *setting,
              int most);

#endif
