#ifndef CTL_TENANT_H
#define CTL_TENANT_H

#include "ctl.h"

#define TENANT_NAME_ALLOWED                                                    \
    "[A-Za-z0-9._-]{1,64} that begins with a letter or digit"

/** As the request topic takes one (CONTRACT). */
bool tenant_is_name(const char *name);

/** While tenants share: what its tenant has, behind the words in `why` of why a
 * request that may be claimed waits. Otherwise nothing is added. */
void tenant_why(struct ctl *ctl, const json_t *row, char *why,
                size_t why_bytes);

#endif
