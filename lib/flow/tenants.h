#ifndef FLOW_TENANTS_H
#define FLOW_TENANTS_H

#include "base/err.h"
#include "base/metric.h"
#include "flow/uses.h"

#include <stdbool.h>
#include <stddef.h>

/**
 * Ends and cost by tenant, for METRICS_TENANTS_MAX tenants: the first that come
 * have series of their own, the others one together, "(others)". 0: none.
 */
struct tenants {
    struct metrics *metrics;
    struct tenant *all;
    size_t len;
    size_t max;
};

/** false: no memory. */
MUST_CHECK bool tenants_init(struct tenants *tenants, size_t max,
                             struct metrics *metrics);
void tenants_done(struct tenants *tenants);

/** What those with series of their own occupy at the provider: of this worker,
 * while tenants share; else 0. */
void tenants_occupy(struct tenants *tenants, const struct uses *uses);

/** An end. cost: as the provider tells it; 0 where none is told. */
void tenants_settled(struct tenants *tenants, const char *tenant,
                     bool completed, double cost);

#endif
