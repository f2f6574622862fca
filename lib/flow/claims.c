#include "flow/claims.h"

#include "base/crashpoint.h"
#include "base/log.h"

#include <assert.h>
#include <string.h>

#define ADOPTS_MAX 500
#define EXPIRES_MAX 200
#define BUSY_MS 20 /* about as long as another's claim takes */

void claims_want_all(struct claims *claims)
{
    assert(claims->ties->accounts->len > 0);
    claims->wanted = UINT32_MAX >> (32 - claims->ties->accounts->len);
}

static void claim_again(void *context)
{
    struct claims *claims = context;
    claims_want_all(claims);
    ties_ask_soon(claims->ties);
}

bool claims_init(struct claims *claims, const struct ties *ties, int tasks_max,
                 int generations_max)
{
    assert(tasks_max > 0 && generations_max >= 0);
    *claims = (struct claims){
        .ties = ties, .tasks_max = tasks_max, .allot.most = generations_max};
    claims->timer = loop_timer_new(ties->clock->loop, claim_again, claims);
    shares_init(&claims->shares, ties->jobs,
                account_slots_of_all(ties->accounts, generations_max));
    claims->taken =
        metric_get(ties->metrics, METRIC_COUNTER, "pixverse_taken_over_total",
                   NULL, "Tasks taken over from workers that were gone.");
    claims->takeover_seconds = metric_get(
        ties->metrics, METRIC_HISTOGRAM, "pixverse_takeover_seconds", NULL,
        "From the last sign of life of a worker that is gone to the takeover "
        "of its tasks, a batch of them at a time.");
    return claims->timer != NULL;
}

void claims_done(struct claims *claims)
{
    loop_timer_free(claims->timer);
    shares_done(&claims->shares);
}

void claims_joined(struct claims *claims)
{
    claims->pass.wanted = true;
    claims_want_all(claims);
}

void claims_reset(struct claims *claims)
{
    claims->pass = (struct pass){0};
    claims->chains = (struct chains){0};
    memset(claims->queues, 0, sizeof claims->queues);
    claims->lost_ms = 0;
    claims->owner = 0;
    allot_reset(&claims->allot);
    shares_reset(&claims->shares);
}

void claims_told_shares(struct claims *claims, bool on)
{
    if (shares_told(&claims->shares, on)) {
        memset(claims->queues, 0, sizeof claims->queues);
        claims_want_all(claims);
    }
}

/* ---- asking ---- */

/** Places that are taken, or will be by what is under way. */
static int places_used(const struct claims *claims)
{
    return (int)claims->ties->jobs->counting + claims->asked;
}

/** By all but the fleet's limit and whoever they go to. */
static int room_for_tasks(const struct claims *claims)
{
    const struct ties *ties = claims->ties;
    assert(ties->jobs->used <= ties->jobs->slots_max);
    if (!claims->wanted || !ties->clock->known || claims->lost_ms) {
        return 0;
    }
    int left = claims->tasks_max - (int)ties->jobs->used;
    return left > 0 ? left : 0;
}

/** How many, and to whom they go. returning: slots that are free once the saves
 * of the same turn are stored count. */
static int room_for_claims(const struct claims *claims, bool returning,
                           size_t *account)
{
    const int ours = room_for_tasks(claims);
    const int places = allot_room(&claims->allot, places_used(claims));
    return account_choose(claims->ties->accounts, claims->wanted,
                          ours < places ? ours : places, returning, account);
}

/** What may be ours though we don't know it keeps its place. */
static bool is_sure(const struct claims *claims, bool sure)
{
    return sure && !claims->lost_ms && claims->ties->clock->known;
}

static bool may_take(const struct claims *claims)
{
    const struct gate *gate = claims->ties->gate;
    return gate->lease_ok && !gate->draining;
}

static int room_for_adopts(const struct claims *claims, size_t claimed)
{
    const struct ties *ties = claims->ties;
    return may_take(claims) && ties->clock->known
               ? jobs_room(ties->jobs, ties->jobs->slots_max, claimed,
                           ADOPTS_MAX)
               : 0;
}

/** They settle without a submission: the room for jobs bounds them, of which a
 * part is left to takeovers. */
static int room_for_expired(const struct claims *claims, size_t claimed)
{
    const struct jobs *jobs = claims->ties->jobs;
    assert(jobs->used <= jobs->slots_max);
    size_t max = jobs->slots_max - jobs->slots_max / 4;
    return claims->expiry_wanted && may_take(claims)
               ? jobs_room(jobs, max, claimed, EXPIRES_MAX)
               : 0;
}

void claims_want(const struct claims *claims, bool sure,
                 struct commits_wanted *wanted)
{
    const struct shares *shares = &claims->shares;
    const int64_t boot_ms = clock_boot_ms(claims->ties->clock);
    size_t account;
    const bool claim =
        room_for_claims(claims, false, &account) > 0 &&
        (!shares->on || shares_any(shares, claims->wanted, boot_ms));
    const struct pass *pass = &claims->pass;
    const bool passes = pass->wanted || pass->nobodys_wanted || pass->under_way;
    wanted->urgent += claim && claims->more;
    wanted->riding += claim && !claims->more;
    wanted->riding += passes && room_for_adopts(claims, 0) > 0;
    wanted->riding += claims->pass.forget_wanted;
    wanted->riding += room_for_expired(claims, 0) > 0;
    wanted->riding += claims->chains.wanted;
    wanted->riding += is_sure(claims, sure) && shares_uses_due(shares, boot_ms);
}

bool claims_want_slots(const struct claims *claims)
{
    const struct account_list *accounts = claims->ties->accounts;
    bool room = false;
    for (size_t i = 0; i < accounts->len; i++) {
        room = room || gate_submits_room(claims->ties->gate,
                                         &accounts->at[i].lane, false) > 0;
    }
    return claims->wanted && (claims->more || !room);
}

/** Which tenants', and what we occupy: that is written down before a claim adds
 * to it, and before one by priority, which says nothing of it, can. */
static void gather_shares(struct claims *claims, bool sure, struct turn *turn,
                          struct arena *arena)
{
    struct shares *shares = &claims->shares;
    const int64_t boot_ms = clock_boot_ms(claims->ties->clock);
    if (shares->on && turn->claims_max > 0) {
        turn->claims_max = shares_plan(shares, claims->account,
                                       turn->claims_max, boot_ms, turn, arena);
        if (turn->claims_max == 0) { /* caps keep all back, or a look comes */
            loop_timer_set(claims->timer, ALLOT_EVERY_MS);
            if (!shares->looking) { /* the next account's turn */
                claims->wanted &= ~(UINT32_C(1) << claims->account);
                ties_ask_soon(claims->ties);
            }
        }
    }
    if (is_sure(claims, sure) && ((shares->on && turn->claims_max > 0) ||
                                  shares_uses_due(shares, boot_ms))) {
        shares_gather_uses(shares, boot_ms, turn, arena);
    }
    if (shares->leaving) {
        turn->claims_max = 0;
    }
}

void claims_gather(struct claims *claims, bool sure, struct turn *turn,
                   struct arena *arena)
{
    assert(!turn->claims_max && !turn->adopts_max && !turn->expires_max);
    const struct account_list *accounts = claims->ties->accounts;
    turn->guarded = claims->allot.most > 0;
    turn->budgets = claims->budgets;
    /* Committed with the saves, or not at all: their slots are free by then. */
    turn->claims_max = room_for_claims(claims, true, &claims->account);
    turn->account = accounts->settings->at[claims->account].keys[0].account;
    turn->account_slots = slots_now(&accounts->at[claims->account].slots);
    turn->resend_after_ms = account_resend_after_ms(accounts, turn->now_ms);
    claims->shares.slots = account_slots_of_all(accounts, claims->allot.most);
    gather_shares(claims, sure, turn, arena);
    /* The claims of this very turn need slots, too. */
    size_t claimed = (size_t)turn->claims_max;
    pass_gather(&claims->pass, claims->ties->jobs, turn,
                room_for_adopts(claims, claimed), arena);
    turn->expires_max =
        turn->adopts_max == 0 ? room_for_expired(claims, claimed) : 0;
    chains_gather(&claims->chains, turn);
}

static struct lane *lane_of(const struct claims *claims)
{
    assert(claims->account < claims->ties->accounts->len);
    return &claims->ties->accounts->at[claims->account].lane;
}

void claims_sent(struct claims *claims, struct turn *turn)
{
    if (turn->claims_max > 0) {
        /* By its time its rows are known again: the last one had another. */
        turn->now_ms += turn->now_ms == claims->last_ms;
        claims->last_ms = turn->now_ms;
    }
    claims->sharing = turn->sharing;
    if (turn->claims_max > 0 && !turn->sharing) {
        queue_ask(&claims->queues[claims->account],
                  clock_boot_ms(claims->ties->clock), turn->claim_after);
    }
    claims->asked = turn->claims_max;
    if (claims->allot.most > 0 && turn->adopts_max > 0) {
        allot_adopting(&claims->allot);
    }
    claims->asked_adopts = turn->adopts_max;
    claims->asked_expires = turn->expires_max;
    /* Counted before they are there: no replay may take their slots. */
    gate_reserve(claims->ties->gate, lane_of(claims), turn->claims_max);
    if (turn->claims_max > 0) {
        claims->wanted &= ~(UINT32_C(1) << claims->account);
    }
    claims->expiry_wanted = claims->expiry_wanted && turn->expires_max == 0;
}

/** When it goes on, where nothing calls for it; -1: not at all. */
static void claim_after(struct claims *claims, int64_t wait_ms)
{
    if (wait_ms >= 0) {
        loop_timer_set(claims->timer, wait_ms);
    }
}

/** Another worker is at it. */
static void try_again_soon(struct claims *claims)
{
    struct loop *loop = claims->ties->clock->loop;
    loop_timer_set(claims->timer, BUSY_MS + loop_random(loop) % BUSY_MS);
}

/* ---- places under the fleet's limit ---- */

static void on_places(void *context, const struct places_result *result)
{
    struct claims *claims = context;
    const struct ties *ties = claims->ties;
    struct queue *queue = &claims->queues[claims->asked_of];
    if (result->owner != claims->owner) {
        return; /* of a lease that we have lost */
    }
    CRASHPOINT_IF(result->got > 0, "places_after");
    if (result->waits || result->busy || result->err.kind != ERR_NONE) {
        queue_found(queue, claims->asked_whole);
    }
    if (result->err.kind != ERR_NONE) {
        allot_lost(&claims->allot);
        loop_timer_set(claims->timer, ALLOT_EVERY_MS);
        return;
    }
    if (result->busy) {
        allot_busy(&claims->allot);
        try_again_soon(claims);
        return;
    }
    const bool none_waits = !result->waits;
    allot_got(&claims->allot, result->got, none_waits);
    if (none_waits && !claims->asked_whole) {
        claim_after(claims, queue_none(queue, clock_boot_ms(ties->clock)));
    }
    ties->hooks->on_generations(ties->context, NULL,
                                result->waits && result->got == 0);
    claims->wanted = none_waits ? 0 : claims->wanted;
    if (claims->wanted && result->got == 0) {
        loop_timer_set(claims->timer, ALLOT_EVERY_MS);
    }
    ties_ask_soon(ties);
}

static void ask_places(struct claims *claims, int64_t owner)
{
    const int64_t boot_ms = clock_boot_ms(claims->ties->clock);
    const int tasks = room_for_tasks(claims);
    const int room =
        account_room(claims->ties->accounts, claims->wanted, false);
    const int more = allot_more(&claims->allot, places_used(claims),
                                room < tasks ? room : tasks, boot_ms);
    claims->owner = owner;
    if (more == 0) {
        return;
    }
    int64_t after[PRIORITIES];
    struct str names[ACCOUNTS_MAX];
    const struct places ask = {
        .owner = owner,
        .more = more,
        .most = claims->allot.most,
        .claim_after = after,
        .accounts = names,
        .accounts_len = account_names(claims->ties->accounts, names),
    };
    claims->asked_of = claims->account;
    claims->asked_whole =
        queue_look(&claims->queues[claims->asked_of], boot_ms, after);
    allot_asked(&claims->allot, boot_ms);
    CRASHPOINT("places_before");
    store_places(claims->ties->store, &ask, on_places, claims);
    CRASHPOINT("places_sent");
}

static void on_look(void *context, const struct share_seen *tenants, size_t len,
                    const struct err *err)
{
    struct claims *claims = context;
    const bool any = shares_looked(&claims->shares, err ? NULL : tenants, len,
                                   clock_boot_ms(claims->ties->clock));
    if (err) {
        loop_timer_set(claims->timer, ALLOT_EVERY_MS);
    } else if (!any) {
        claims->wanted = 0;
    }
    ties_ask_soon(claims->ties);
}

/** Who waits, before a claim by tenants. */
static void ask_look(struct claims *claims, int64_t owner)
{
    struct shares *shares = &claims->shares;
    const int64_t boot_ms = clock_boot_ms(claims->ties->clock);
    size_t account;
    int64_t wait_ms;
    if (!shares->on || room_for_claims(claims, false, &account) == 0) {
        return;
    }
    if (shares_look_due(shares, boot_ms, &wait_ms)) {
        struct str names[ACCOUNTS_MAX];
        const struct share_look look = {
            .owner = owner,
            .now_ms = clock_now_ms(claims->ties->clock),
            .accounts = names,
            .accounts_len = account_names(claims->ties->accounts, names),
        };
        shares_asked(shares, boot_ms);
        store_share_look(claims->ties->store, &look, on_look, claims);
    } else if (wait_ms > 0 && !shares_any(shares, claims->wanted, boot_ms)) {
        claim_after(claims, wait_ms);
    }
}

void claims_ask(struct claims *claims, int64_t owner)
{
    assert(owner > 0);
    ask_places(claims, owner);
    ask_look(claims, owner);
}

static void free_old_place(void *context, struct job *job)
{
    const struct claims *claims = context;
    if (job->counts && /* its task may be folded, as nearly all are */
        !allot_is_recent(job->sent_ms, clock_now_ms(claims->ties->clock))) {
        jobs_free_place(claims->ties->jobs, job);
    }
}

int claims_give_places(struct claims *claims, bool sure)
{
    if ((claims->allot.most == 0 && !claims->shares.on) ||
        !is_sure(claims, sure)) {
        return 0;
    }
    jobs_each(claims->ties->jobs, free_old_place, claims);
    return allot_give(&claims->allot, places_used(claims));
}

void claims_told_places(struct claims *claims, bool sure, int places)
{
    if (is_sure(claims, sure)) {
        allot_told(&claims->allot, places);
    }
}

/* ---- answers ---- */

/** What it had to leave, or put aside, hid others that may go. */
static void budgets_came(struct claims *claims,
                         const struct turn_result *result)
{
    if (result->budget_busy) {
        queue_again(&claims->queues[claims->account]);
        try_again_soon(claims);
    } else if (result->budget_barred) {
        claims->wanted |= UINT32_C(1) << claims->account;
        ties_ask_soon(claims->ties);
    }
}

/** Whether it goes on at once, and when where nothing calls for it. */
static void claim_on(struct claims *claims, const struct turn_result *result)
{
    const int64_t boot_ms = clock_boot_ms(claims->ties->clock);
    const uint32_t own = UINT32_C(1) << claims->account;
    if (claims->more || (claims->sharing && !result->caps_busy &&
                         shares_any(&claims->shares, own, boot_ms))) {
        claims->wanted |= own;
    }
    if (!claims->sharing) {
        claim_after(claims, queue_came(&claims->queues[claims->account],
                                       boot_ms, result->claimed_last,
                                       claims->more || result->slots_full));
    }
}

static void claimed_came(struct claims *claims,
                         const struct turn_result *result, int64_t now_ms)
{
    const struct ties *ties = claims->ties;
    const int asked = claims->asked;
    assert((int)result->claimed_len <= asked);
    CRASHPOINT_IF(result->claimed_len > 0, "claim_after");
    for (size_t i = 0; i < result->claimed_len; i++) {
        if (!ties->hooks->on_claimed(ties->context, &result->claimed[i],
                                     &result->claimed_facts[i])) {
            /* no memory: it is found again as what was lost */
            claims->lost_ms = now_ms;
        }
    }
    const bool put_off = result->claims_put_off || result->caps_busy;
    const bool took_all = result->slots_full &&
                          (int64_t)result->claimed_len >= result->slots_room;
    if (claims->sharing || result->adopted_len > 0) {
        shares_claimed(&claims->shares, claims->account, result,
                       result->claims_put_off || took_all);
    }
    if (asked && put_off) {
        try_again_soon(claims);
    }
    if (asked && result->claims_put_off) {
        queue_lost(&claims->queues[claims->account]);
    } else if (asked) {
        struct account *account = &ties->accounts->at[claims->account];
        ties->hooks->on_generations(ties->context, account,
                                    result->slots_full &&
                                        result->claimed_len == 0);
        if (result->slots_full) {
            if (took_all) {
                slots_full(&account->slots, now_ms);
            }
            loop_timer_set(claims->timer, ALLOT_EVERY_MS);
        }
        allot_claimed(&claims->allot, (int)result->claimed_len);
        claims->more = (int)result->claimed_len == asked;
        account_served(ties->accounts, claims->account,
                       (int)result->claimed_len);
        claim_on(claims, result);
        budgets_came(claims, result);
    }
}

/** Rows bring their places along; one for which there was no memory comes to
 * light later, as its place does. */
static void places_came(struct claims *claims, const struct turn_result *result,
                        int64_t now_ms)
{
    int places = 0;
    for (size_t i = 0; i < result->adopted_len; i++) {
        const struct task_row *row = &result->adopted[i].row;
        places += allot_counts(row, now_ms) &&
                  jobs_find(claims->ties->jobs, row->id) != NULL;
    }
    if (claims->allot.most > 0 && claims->asked_adopts > 0) {
        allot_adopted(&claims->allot, places);
    }
}

static void measure_takeover(struct claims *claims, int64_t tasks)
{
    metric_add(claims->taken, (double)tasks);
    if (claims->gone_since_ms) {
        const int64_t now_ms = loop_boot_ms(claims->ties->clock->loop);
        metric_observe(claims->takeover_seconds,
                       (double)(now_ms - claims->gone_since_ms) / 1e3);
    }
}

static void taken_came(struct claims *claims, const struct turn_result *result)
{
    const struct ties *ties = claims->ties;
    assert((int)result->expired_len <= claims->asked_expires);
    CRASHPOINT_IF(result->adopted_len > 0, "adopt_after");
    CRASHPOINT_IF(result->expired_len > 0, "expired_after");
    int64_t orphans = 0;
    for (size_t i = 0; i < result->adopted_len; i++) {
        orphans += result->adopted[i].orphan;
        ties->hooks->on_taken(ties->context, &result->adopted[i]);
    }
    for (size_t i = 0; i < result->expired_len; i++) {
        ties->hooks->on_taken(ties->context, &result->expired[i]);
    }
    int64_t nobodys = (int64_t)result->adopted_len - orphans;
    if (orphans) {
        measure_takeover(claims, orphans);
        log_at(LOG_INFO, "took over tasks of a worker that is gone",
               LOG_I64("tasks", orphans));
    }
    if (nobodys) { /* an operator's order opened them again */
        log_at(LOG_INFO, "took up tasks that nobody worked on",
               LOG_I64("tasks", nobodys));
    }
    pass_came(&claims->pass, result, claims->asked_adopts);
    if (!claims->pass.under_way && !claims->pass.wanted) {
        claims->gone_since_ms = 0;
    }
    if (claims->asked_expires &&
        (int)result->expired_len == claims->asked_expires) {
        claims->expiry_wanted = true;
    }
}

/** What waited for another request waits for a claim, or to be settled. */
static void unblocked_came(struct claims *claims,
                           const struct unblocked *unblocked)
{
    CRASHPOINT_IF(unblocked->freed > 0, "freed_after");
    CRASHPOINT_IF(unblocked->marked > 0, "marked_after");
    chains_came(&claims->chains, unblocked);
    if (unblocked->freed > 0) {
        claims_want_all(claims);
        for (size_t i = 0; i < ACCOUNTS_MAX; i++) {
            queue_again(&claims->queues[i]);
        }
    }
    if (unblocked->marked > 0) {
        claims->expiry_wanted = true;
    }
}

void claims_came(struct claims *claims, const struct turn_result *result,
                 bool ours, int64_t now_ms)
{
    gate_unreserve(claims->ties->gate, lane_of(claims), claims->asked);
    if (ours) {
        claimed_came(claims, result, now_ms);
        taken_came(claims, result);
        places_came(claims, result, now_ms);
    }
    unblocked_came(claims, &result->unblocked);
    claims->asked = claims->asked_adopts = claims->asked_expires = 0;
}

void claims_lost(struct claims *claims, bool ours, int64_t now_ms)
{
    gate_unreserve(claims->ties->gate, lane_of(claims), claims->asked);
    if (claims->asked && ours) {
        claims->lost_ms = now_ms;
    }
    claims_want_all(claims);
    queue_lost(&claims->queues[claims->account]);
    shares_lost(&claims->shares);
    chains_lost(&claims->chains);
    if (ours && claims->allot.most > 0 && claims->asked_adopts > 0) {
        allot_adopted(&claims->allot, 0);
    }
    if (claims->asked_adopts > 0) {
        claims->pass = (struct pass){.wanted = true};
    }
    claims->expiry_wanted = claims->expiry_wanted || claims->asked_expires > 0;
    claims->asked = claims->asked_adopts = claims->asked_expires = 0;
}
