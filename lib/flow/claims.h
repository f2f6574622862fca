#ifndef FLOW_CLAIMS_H
#define FLOW_CLAIMS_H

#include "core/allot.h"
#include "core/commits.h"
#include "core/queue.h"
#include "flow/chains.h"
#include "flow/pass.h"
#include "flow/shares.h"
#include "flow/ties.h"

/**
 * Rows to make ours, as a part of a turn: claims of waiting ones, takeovers of
 * what is nobody's, and what settles without a submission. Places under the
 * fleet's limit are asked for beside it.
 */
struct claims {
    bool budgets; /* somebody has one */
    const struct ties *ties;
    int tasks_max;
    uint32_t wanted;    /* waiting rows may be there: whose, as bits */
    bool more;          /* the last one found all that it asked for */
    bool expiry_wanted; /* such as settle may be */
    /* of each account, where the next one begins: what only others may have
     * lies before it */
    struct queue queues[ACCOUNTS_MAX];
    struct pass pass;         /* takes over what is nobody's */
    struct chains chains;     /* what waits for another request */
    struct allot allot;       /* places under GENERATIONS_MAX */
    struct shares shares;     /* which tenants' */
    bool sharing;             /* the claim under way is by tenants */
    int64_t owner;            /* the lease that asks for them */
    size_t asked_of;          /* whether anything waits: by whose queue */
    bool asked_whole;         /* and from the start */
    struct loop_timer *timer; /* claims again by itself */
    int64_t last_ms;          /* now of the last claim; each has its own */
    int64_t lost_ms;          /* of one of whose rows no job knows; 0: none */
    int asked;                /* under way, of each kind */
    size_t account;           /* whose claim that is, by its place */
    int asked_adopts;
    int asked_expires;
    int64_t
        gone_since_ms; /* boot clock: the last sign of life of a worker whose
                          tasks are being taken over; 0: none is known */
    struct metric *taken;
    struct metric *takeover_seconds;
};

/** false: no memory; claims_done() is still allowed. */
MUST_CHECK bool claims_init(struct claims *claims, const struct ties *ties,
                            int tasks_max, int generations_max);
void claims_done(struct claims *claims);

/** Waiting rows may be there, for whichever account. */
void claims_want_all(struct claims *claims);

/** A lease is ours, and whatever waits may be. */
void claims_joined(struct claims *claims);
/** Every row is another's. */
void claims_reset(struct claims *claims);

/** Whether claims are by tenants, as a beat says. */
void claims_told_shares(struct claims *claims, bool on);

/** Adds what waits here. sure: we know all that is ours. */
void claims_want(const struct claims *claims, bool sure,
                 struct commits_wanted *wanted);
/** Whether a slot that comes back is claimed for at once. */
bool claims_want_slots(const struct claims *claims);

/** Asks the store for more places, if some are wanted, and which tenants wait;
 * owner: our lease. */
void claims_ask(struct claims *claims, int64_t owner);

/**
 * A bump goes out.
 *
 * @param sure  We know all that is ours.
 * @return      Places that go back with it.
 */
int claims_give_places(struct claims *claims, bool sure);

/** It has come; places: what the store has as ours. */
void claims_told_places(struct claims *claims, bool sure, int places);

/** sure: we know all that is ours. */
void claims_gather(struct claims *claims, bool sure, struct turn *turn,
                   struct arena *arena);
/** It will be sent: slots are kept for what it brings, and it gets a now_ms
 * that no other claim has. */
void claims_sent(struct claims *claims, struct turn *turn);

/** ours: the lease for which it was asked is ours still. now_ms: of the turn.
 */
void claims_came(struct claims *claims, const struct turn_result *result,
                 bool ours, int64_t now_ms);
void claims_lost(struct claims *claims, bool ours, int64_t now_ms);

#endif
