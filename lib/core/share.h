#ifndef CORE_SHARE_H
#define CORE_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Whose turn it is (DESIGN "Tenants"). A provider's slots are held for minutes,
 * so what counts is who occupies them, not who was let go first: each tenant of
 * whom something waits has a part of the slots by its weight, its cap at most,
 * and what one leaves is filled up by the others as water would. A part below
 * one slot is had in turns: whoever has occupied least for its weight until now
 * goes first. Where there is no limit of slots, the parts are of submissions.
 */

#define SHARE_WEIGHT_MAX 1000
#define SHARE_SLOTS_MAX 1000000

/** A tenant of whom something waits. */
struct share_tenant {
    int weight;       /* 1..SHARE_WEIGHT_MAX */
    int slots;        /* its cap; 0: none */
    int64_t occupied; /* slots, at present */
    double used;      /* until now, for its weight (share_passed()) */
    int n;            /* set: so many of it go now */
    double part; /* set: its part of the slots; of no use without a limit */
    /* within share_fill(): */
    bool above; /* has its part: it takes only what others leave */
    size_t at;
};

struct share {
    int64_t slots;  /* of all; 0: no limit */
    int64_t others; /* of these, occupied by tenants of whom nothing waits */
    int room;       /* so many may go now */
};

/** Sets n and part of each. The sum of all n is below or at the room, and none
 * brings its tenant above its cap. */
void share_fill(const struct share *share, struct share_tenant *tenants,
                size_t len);

/**
 * So much time has gone by, with what each occupied; only where there is a
 * limit of slots.
 */
void share_passed(struct share_tenant *tenants, size_t len, int64_t ms);

/** So many of it went. limited: there is a limit of slots, and time counts. */
void share_went(struct share_tenant *tenant, int n, bool limited);

/**
 * Who has waited for nothing, or was kept back by its cap, makes up for
 * nothing: nobody counts as having used less than the least of those that wait
 * for their part. Behind share_fill().
 *
 * @param least  What was returned before; 0 at first.
 * @return       The least: what a newcomer begins with.
 */
double share_level(struct share_tenant *tenants, size_t len, double least);

#endif
