#include "core/share.h"

#include <assert.h>

/** A submission counts as much as a slot that is held for so long. */
#define GRANT_MS 1000.0
/** Parts are sums of fractions. */
#define NEARLY 1e-6

static bool has_cap(const struct share_tenant *tenant)
{
    return tenant->slots > 0;
}

static int64_t goes_to(const struct share_tenant *tenant)
{
    return tenant->occupied + tenant->n;
}

static bool is_full(const struct share_tenant *tenant)
{
    return has_cap(tenant) && goes_to(tenant) >= tenant->slots;
}

/* ---- parts ---- */

/**
 * What those without a part get for each unit of weight. Who would get more
 * than its cap gets that: the others have the more, so it is done again.
 */
static bool cap_some(struct share_tenant *tenants, size_t len, double *left)
{
    double weights = 0;
    bool capped = false;
    for (size_t i = 0; i < len; i++) {
        weights += tenants[i].part < 0 ? tenants[i].weight : 0;
    }
    const double each = weights > 0 ? *left / weights : 0;
    for (size_t i = 0; i < len; i++) {
        struct share_tenant *tenant = &tenants[i];
        if (tenant->part < 0 && has_cap(tenant) &&
            tenant->slots < each * tenant->weight) {
            tenant->part = tenant->slots;
            *left -= tenant->slots;
            capped = true;
        }
    }
    for (size_t i = 0; i < len && !capped; i++) {
        if (tenants[i].part < 0) {
            tenants[i].part = each * tenants[i].weight;
        }
    }
    return capped;
}

static void give_parts(const struct share *share, struct share_tenant *tenants,
                       size_t len)
{
    double left = (double)(share->slots - share->others);
    left = left > 0 ? left : 0;
    for (size_t i = 0; i < len; i++) {
        tenants[i].part = -1;
    }
    while (cap_some(tenants, len, &left)) {
    }
}

/* ---- who is next ---- */

/** Before all that have their part: what was used until now, and by what goes
 * now where submissions are shared. */
static double used_by(const struct share_tenant *tenant, bool limited)
{
    return tenant->used + (limited ? 0 : GRANT_MS * tenant->n / tenant->weight);
}

static bool is_before(const struct share_tenant *a,
                      const struct share_tenant *b, bool limited)
{
    if (a->above != b->above) {
        return b->above;
    }
    if (a->above) {
        const int64_t one = (goes_to(a) + 1) * b->weight;
        const int64_t other = (goes_to(b) + 1) * a->weight;
        if (one != other) {
            return one < other;
        }
    }
    const double one = used_by(a, limited);
    const double other = used_by(b, limited);
    return one < other || (one == other && a < b);
}

/** The first `len` of tenants[].at are a heap of places: the next one first. */
static void sift(struct share_tenant *tenants, size_t len, size_t at,
                 bool limited)
{
    assert(at < len);
    for (;;) {
        size_t first = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < len;
             child++) {
            if (is_before(&tenants[tenants[child].at],
                          &tenants[tenants[first].at], limited)) {
                first = child;
            }
        }
        if (first == at) {
            return;
        }
        const size_t moved = tenants[at].at;
        tenants[at].at = tenants[first].at;
        tenants[first].at = moved;
        at = first;
    }
}

static void look_at_part(struct share_tenant *tenant, bool limited)
{
    tenant->above = limited && (double)goes_to(tenant) > tenant->part - NEARLY;
}

/** Places of those that may take any; how many. */
static size_t make_heap(struct share_tenant *tenants, size_t len, bool limited)
{
    size_t heap = 0;
    for (size_t i = 0; i < len; i++) {
        look_at_part(&tenants[i], limited);
        if (!is_full(&tenants[i])) {
            tenants[heap++].at = i;
        }
    }
    for (size_t i = heap / 2; i-- > 0;) {
        sift(tenants, heap, i, limited);
    }
    return heap;
}

void share_fill(const struct share *share, struct share_tenant *tenants,
                size_t len)
{
    const bool limited = share->slots > 0;
    assert(share->room >= 0 && share->slots >= 0 && share->others >= 0);
    for (size_t i = 0; i < len; i++) {
        assert(tenants[i].weight > 0 && tenants[i].occupied >= 0);
        tenants[i].n = 0;
        tenants[i].part = 0;
    }
    if (limited) {
        give_parts(share, tenants, len);
    }
    size_t heap = make_heap(tenants, len, limited);
    for (int left = share->room; left > 0 && heap > 0; left--) {
        struct share_tenant *next = &tenants[tenants[0].at];
        next->n++;
        look_at_part(next, limited);
        if (is_full(next)) {
            tenants[0].at = tenants[--heap].at;
        }
        if (heap > 0) {
            sift(tenants, heap, 0, limited);
        }
    }
}

/* ---- what was used ---- */

void share_passed(struct share_tenant *tenants, size_t len, int64_t ms)
{
    assert(ms >= 0);
    for (size_t i = 0; i < len; i++) {
        tenants[i].used +=
            (double)tenants[i].occupied * (double)ms / tenants[i].weight;
    }
}

void share_went(struct share_tenant *tenant, int n, bool limited)
{
    assert(n >= 0 && tenant->weight > 0);
    tenant->occupied += n;
    if (!limited) {
        tenant->used += GRANT_MS * n / tenant->weight;
    }
}

/** Its cap is less than its part would be. */
static bool is_kept_back(const struct share_tenant *tenant)
{
    return has_cap(tenant) &&
           (is_full(tenant) || tenant->part >= tenant->slots);
}

double share_level(struct share_tenant *tenants, size_t len, double least)
{
    double lowest = least;
    bool any = false;
    for (size_t i = 0; i < len; i++) {
        if (!is_kept_back(&tenants[i]) && (!any || tenants[i].used < lowest)) {
            lowest = tenants[i].used;
            any = true;
        }
    }
    lowest = lowest > least ? lowest : least;
    for (size_t i = 0; i < len; i++) {
        if (tenants[i].used < lowest) {
            tenants[i].used = lowest;
        }
    }
    return lowest;
}
