#ifndef FLOW_SHARES_H
#define FLOW_SHARES_H

#include "core/share.h"
#include "edge/store.h"
#include "flow/job.h"

/**
 * Tenants, as a part of a claim (DESIGN "Tenants"): who waits and who occupies
 * is looked at now and then, how many of each are claimed is core/share.h's to
 * say, and what we occupy is told to the others. Off: claims are by priority,
 * and nothing here is used.
 */

/** What the look knew of a tenant, beside its numbers. */
struct shares_head {
    char name[TENANT_BYTES];
    bool waits;
    uint32_t dry; /* accounts, as bits: whose last claim brought less of it than
                   * was asked for. What waits may be pinned to another */
    int held;     /* by others */
    int asked;    /* by the claim under way */
};

struct shares {
    struct jobs *jobs;
    int64_t slots; /* of all; 0: no limit */
    bool on;
    bool anew;    /* all that we occupy is to be told */
    bool leaving; /* that it is nothing: we claim by priority again */
    bool looking;
    int64_t asked_ms;  /* boot clock: the last look */
    int64_t next_ms;   /* not before: the next */
    int64_t passed_ms; /* boot clock: time is counted until then */
    int64_t told_ms;   /* boot clock: what changed was told then */
    double least;      /* core/share.h */
    size_t len;        /* of both of these, by their names */
    struct shares_head *heads;
    struct share_tenant *numbers;
    struct uses uses;
};

void shares_init(struct shares *shares, struct jobs *jobs, int64_t slots);
void shares_done(struct shares *shares);

/** Whether claims are by tenants, as a beat says. Returns whether that is
 * another answer than before. */
bool shares_told(struct shares *shares, bool on);

/** Every row is another's. */
void shares_reset(struct shares *shares);

/* ---- looks ---- */

/** Whether there is to be one now; else *wait_ms is set, -1: one is under way.
 */
bool shares_look_due(const struct shares *shares, int64_t boot_ms,
                     int64_t *wait_ms);
void shares_asked(struct shares *shares, int64_t boot_ms);

/** Returns whether anybody waits. null: it failed, and nothing changes. */
bool shares_looked(struct shares *shares, const struct share_seen *seen,
                   size_t len, int64_t boot_ms);

/* ---- claims ---- */

/** Whether somebody is known, by a look that holds, of whom one of these
 * accounts (bits) may claim something. */
bool shares_any(const struct shares *shares, uint32_t accounts,
                int64_t boot_ms);

/** Who goes, of so many at most, by the account at that place: in the turn.
 * Returns how many. */
int shares_plan(struct shares *shares, size_t account, int room,
                int64_t boot_ms, struct turn *turn, struct arena *arena);

/** The answer. short_of: it let in fewer for another reason than that they were
 * not there. */
void shares_claimed(struct shares *shares, size_t account,
                    const struct turn_result *result, bool short_of);
void shares_lost(struct shares *shares);

/* ---- what we occupy ---- */

/** Whether it is to be told. */
bool shares_uses_due(const struct shares *shares, int64_t boot_ms);

/** Into the turn, which will be sent. */
void shares_gather_uses(struct shares *shares, int64_t boot_ms,
                        struct turn *turn, struct arena *arena);

#endif
