#ifndef CTL_ACCOUNT_H
#define CTL_ACCOUNT_H

#include "ctl.h"

/** Of a request that waits for a claim: which accounts were seen to take less
 * than is set. Added to why. */
void account_why(struct ctl *ctl, const json_t *row, char *why,
                 size_t why_bytes);

#endif
