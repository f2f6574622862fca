#include "flow/tenants.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* No tenant is called so: a parenthesis is none of the letters that it may
 * have. */
#define OTHERS "(others)"

struct tenant {
    char *name;
    struct metric *settled[2]; /* failed, completed */
    struct metric *cost;
    struct metric *occupied;
};

bool tenants_init(struct tenants *tenants, size_t max, struct metrics *metrics)
{
    assert(metrics);
    *tenants = (struct tenants){.metrics = metrics, .max = max};
    tenants->all = max ? calloc(max + 1, sizeof *tenants->all) : NULL;
    return !max || tenants->all;
}

void tenants_done(struct tenants *tenants)
{
    for (size_t i = 0; i < tenants->len; i++) {
        free(tenants->all[i].name);
    }
    free(tenants->all);
    *tenants = (struct tenants){0};
}

static struct metric *settled_of(struct metrics *metrics, const char *label,
                                 const char *end)
{
    struct buf labels;
    buf_init(&labels, 0);
    buf_printf(&labels, "%s,end=\"%s\"", label, end);
    struct metric *metric = metric_get(
        metrics, METRIC_COUNTER, "pixverse_tenant_settled_total", labels.bytes,
        "Tasks settled by tenant, for METRICS_TENANTS_MAX tenants.");
    buf_done(&labels);
    return metric;
}

/** null: no memory. */
static struct tenant *tenant_new(struct tenants *tenants, const char *name)
{
    assert(tenants->len <= tenants->max);
    struct tenant *tenant = &tenants->all[tenants->len];
    struct buf label;
    buf_init(&label, 0);
    buf_add_text(&label, "tenant=\"");
    metric_label_add(&label, name);
    buf_add_text(&label, "\"");
    tenant->name = strdup(name);
    if (!tenant->name || label.failed) {
        free(tenant->name);
        buf_done(&label);
        return NULL;
    }
    tenants->len++;
    tenant->settled[0] = settled_of(tenants->metrics, label.bytes, "failed");
    tenant->settled[1] = settled_of(tenants->metrics, label.bytes, "completed");
    tenant->cost =
        metric_get(tenants->metrics, METRIC_COUNTER,
                   "pixverse_tenant_cost_total", label.bytes,
                   "Cost of settled tasks by tenant, as the provider told it.");
    tenant->occupied = metric_get(
        tenants->metrics, METRIC_GAUGE, "pixverse_tenant_occupied", label.bytes,
        "Tasks of this worker that submit and run by tenant, while tenants "
        "share.");
    buf_done(&label);
    return tenant;
}

static struct tenant *tenant_of(struct tenants *tenants, const char *name)
{
    for (size_t i = 0; i < tenants->len; i++) {
        if (strcmp(tenants->all[i].name, name) == 0) {
            return &tenants->all[i];
        }
    }
    if (tenants->len < tenants->max) {
        return tenant_new(tenants, name);
    }
    return strcmp(name, OTHERS) == 0 ? tenant_new(tenants, OTHERS)
                                     : tenant_of(tenants, OTHERS);
}

void tenants_settled(struct tenants *tenants, const char *name, bool completed,
                     double cost)
{
    assert(name && cost >= 0);
    struct tenant *tenant =
        tenants->max ? tenant_of(tenants, name[0] ? name : OTHERS) : NULL;
    if (tenant) {
        metric_add(tenant->settled[completed], 1);
        metric_add(tenant->cost, cost);
    }
}

void tenants_occupy(struct tenants *tenants, const struct uses *uses)
{
    int others = 0;
    for (size_t i = 0; i < uses->len; i++) {
        others += uses->all[i]->n;
    }
    struct tenant *rest = NULL;
    for (size_t i = 0; i < tenants->len; i++) {
        struct tenant *tenant = &tenants->all[i];
        const int n = uses_of(uses, tenant->name);
        others -= n;
        metric_set(tenant->occupied, n);
        rest = strcmp(tenant->name, OTHERS) == 0 ? tenant : rest;
    }
    if (rest) {
        metric_set(rest->occupied, others);
    }
}
