#ifndef FLOW_USES_H
#define FLOW_USES_H

#include "base/str.h"
#include "core/task.h"

#include <stdbool.h>
#include <stddef.h>

/**
 * What a worker occupies: how many of its stored rows take a slot at the
 * provider (core/allot.h), by account and tenant. Counted only while tenants
 * share. Begins zeroed.
 */

#define TENANT_BYTES 65 /* with the NUL */

/** They never move while anything is counted. */
struct use {
    int n;
    int told; /* what the store has; -1: nobody knows */
    char account[ACCOUNT_NAME_BYTES];
    char tenant[TENANT_BYTES];
};

struct uses {
    struct use **all; /* by tenant, then account */
    size_t len;
    size_t size;
    bool lacks; /* there was no memory: it is to be counted anew */
};

void uses_done(struct uses *uses);

/** One more; null: no memory. */
struct use *uses_add(struct uses *uses, struct str account, const char *tenant);

/** Those of a tenant, whatever the account. */
int uses_of(const struct uses *uses, const char *tenant);

/** Those that are known to be 0 at both ends go; nobody may point at them. */
void uses_sweep(struct uses *uses);

#endif
