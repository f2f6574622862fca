#ifndef CTL_TENANT_H
#define CTL_TENANT_H

#include "ctl.h"

/** While tenants share: what its tenant has, behind the words in `why` of why a
 * request that may be claimed waits. Otherwise nothing is added. */
void tenant_why(struct ctl *ctl, const json_t *row, char *why,
                size_t why_bytes);

#endif
