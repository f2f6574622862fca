#include "flow/fleet.h"

#include "base/crashpoint.h"
#include "base/log.h"
#include "flow/engine_told.h"
#include "flow/order.h"

#include <assert.h>
#include <stdio.h>

#define SWEEP_EVERY_MS INT64_C(60000) /* of reasons nobody stands by */
#define TAG_EVERY_MS INT64_C(3000)
#define TAGGED_EVERY_MS INT64_C(60000) /* once none was left, twice */
#define COUNT_REST 20                  /* times as long as the count took */
#define XMIN_EVERY_MS INT64_C(15000)
#define UNCOUNTED_MS INT64_C(60000) /* in which no count came to its end, */
#define UNCOUNTED_MIN 3             /* though so many were begun: it is said */
#define CHAINS_EVERY_MS INT64_C(10000) /* what two transactions overlooked */
#define URL_BYTES 2048                 /* of a base URL */

static void beat(void *context);

static void on_hold(void *context, enum hold_reason reason, struct str scope,
                    struct str message);
static void on_lease_dead(void *context);

/* ---- life ---- */

static void metrics_init(struct fleet *fleet, struct metrics *m)
{
    fleet->alive = metric_get(m, METRIC_GAUGE, "pixverse_fleet_workers", NULL,
                              "Workers whose lease is alive.");
    fleet->queued_gauge = metric_get(m, METRIC_GAUGE, "pixverse_fleet_queued",
                                     NULL, "Waiting rows of the fleet.");
    fleet->in_flight_gauge =
        metric_get(m, METRIC_GAUGE, "pixverse_fleet_in_flight", NULL,
                   "Rows of the fleet that somebody works on.");
    fleet->blocked_gauge =
        metric_get(m, METRIC_GAUGE, "pixverse_fleet_blocked", NULL,
                   "Rows of the fleet that wait for the request that they "
                   "extend, for a budget or for an account that is held.");
    fleet->oldest_gauge = metric_get(
        m, METRIC_GAUGE, "pixverse_fleet_oldest_queued_seconds", NULL,
        "Since the oldest request that waits in the queue was received; told "
        "by one worker, 0 by the others.");
    fleet->xmin_gauge = metric_get(
        m, METRIC_GAUGE, "pixverse_postgres_oldest_xmin_age_transactions", NULL,
        "Transactions since the oldest snapshot that keeps dead rows from being "
        "removed; told by one worker, 0 by the others.");
}

bool fleet_init(struct fleet *fleet, struct engine *engine,
                const struct fleet_options *options, struct err *err)
{
    assert(options->name && options->lease_ms > 0);
    *fleet = (struct fleet){.engine = engine, .options = *options};
    lease_watch_init(&fleet->watch, options->lease_ms);
    fleet->timer = loop_timer_new(engine->edges.loop, beat, fleet);
    if (!fleet->timer) {
        return err_set(err, ERR_FATAL, "no memory for the fleet");
    }
    metrics_init(fleet, engine->edges.metrics);
    holds_init(&fleet->holds, engine);
    unreadable_init(&fleet->unreadable, engine);
    budgets_init(&fleet->budgets, engine->edges.store, engine->edges.metrics);
    balances_init(&fleet->balances, engine);
    fleet->bury = (struct bury){.engine = engine, .watch = &fleet->watch};
    engine->on_hold = on_hold;
    engine->on_lease_dead = on_lease_dead;
    engine->fleet_context = fleet;
    return true;
}

void fleet_done(struct fleet *fleet)
{
    loop_timer_free(fleet->timer);
    holds_done(&fleet->holds);
    budgets_done(&fleet->budgets);
    balances_done(&fleet->balances);
    lease_watch_done(&fleet->watch);
}

size_t fleet_alive(const struct fleet *fleet)
{
    return lease_watch_alive(&fleet->watch);
}

/* ---- joining ---- */

static void next_beat(struct fleet *fleet, int64_t wait_ms)
{
    loop_timer_set(fleet->timer, wait_ms);
}

static void on_joined(void *context, int64_t id, const struct err *err)
{
    struct fleet *fleet = context;
    assert(fleet->joining);
    fleet->joining = false;
    if (err && err->kind != ERR_NONE) {
        log_at(LOG_WARN, "no lease yet", LOG_TEXT("why", err->text));
        next_beat(fleet, fleet->options.lease_ms / 5);
        return;
    }
    CRASHPOINT("join_after");
    log_at(LOG_INFO, "joined the fleet", LOG_I64("lease", id),
           LOG_TEXT("name", fleet->options.name));
    engine_joined(fleet->engine, id);
    beat(fleet);
}

/** Every key of every account. */
static size_t list_accounts(const struct fleet *fleet, struct join_account *out,
                            char urls[][URL_BYTES])
{
    const struct accounts *accounts = fleet->engine->accounts.settings;
    size_t len = 0;
    for (size_t i = 0; i < accounts->len; i++) {
        const struct account_settings *one = &accounts->at[i];
        apimart_url(one->keys[0].base_url, urls[i], URL_BYTES);
        for (size_t k = 0; k < one->keys_len; k++) {
            out[len++] = (struct join_account){.account = one->keys[k].account,
                                               .name = str_of(one->name),
                                               .url = str_of(urls[i]),
                                               .slots = one->slots};
        }
    }
    return len;
}

static void join(struct fleet *fleet)
{
    if (fleet->joining || fleet->leaving) {
        return;
    }
    CRASHPOINT("join_before");
    fleet->joining = true;
    struct join_account accounts[ACCOUNTS_MAX * ACCOUNT_KEYS_MAX];
    static char urls[ACCOUNTS_MAX][URL_BYTES];
    const struct join ask = {
        .name = fleet->options.name,
        .tasks_max = fleet->engine->options.tasks_max,
        .admin = fleet->options.admin,
        .shares = fleet->options.shares,
        .accounts = accounts,
        .accounts_len = list_accounts(fleet, accounts, urls),
    };
    store_join(fleet->engine->edges.store, &ask, on_joined, fleet);
}

static void on_lease_dead(void *context)
{
    struct fleet *fleet = context;
    if (!fleet->engine->turns.owner) {
        return;
    }
    log_at(LOG_ERROR,
           "this worker was taken for dead; it drops its tasks and "
           "begins again under a new lease",
           LOG_I64("lease", fleet->engine->turns.owner),
           LOG_I64("tasks", fleet->engine->jobs.used));
    engine_lost(fleet->engine);
    fleet->counts = false;
    join(fleet);
}

static void on_hold(void *context, enum hold_reason reason, struct str scope,
                    struct str message)
{
    struct fleet *fleet = context;
    holds_set(&fleet->holds, reason, scope, message);
}

static void ignore_done(void *context, bool done, const struct err *err)
{
    (void)context;
    (void)done;
    (void)err;
}

/* ---- the count ---- */

static void take_counts(struct fleet *fleet, int64_t queued, int64_t in_flight,
                        int64_t blocked, struct str most)
{
    snprintf(fleet->blocked_most, sizeof fleet->blocked_most, "%.*s",
             (int)most.len, most.at ? most.at : "");
    fleet->queued = queued;
    fleet->in_flight = in_flight;
    fleet->blocked = blocked;
    metric_set(fleet->blocked_gauge, (double)blocked);
    metric_set(fleet->queued_gauge, (double)queued);
    metric_set(fleet->in_flight_gauge, (double)in_flight);
    if (queued > 0) {
        engine_want_claims(fleet->engine);
    } else {
        engine_generations(fleet->engine, NULL, false);
    }
    if (queued > 0 || blocked > 0) {
        engine_want_expiry(fleet->engine);
    }
    if (fleet->on_backlog) {
        fleet->on_backlog(fleet->backlog_context, queued, blocked);
    }
}

static void tell_oldest(struct fleet *fleet, int64_t oldest_ms)
{
    const int64_t now_ms = engine_now_ms(fleet->engine);
    const bool waits = fleet->counts && oldest_ms && now_ms > oldest_ms;
    metric_set(fleet->oldest_gauge,
               waits ? (double)(now_ms - oldest_ms) / 1e3 : 0);
}

/** One worker does it for all: what dead ones said of tasks. */
static void sweep_reasons(struct fleet *fleet, int64_t boot_ms)
{
    if (fleet->counts && boot_ms - fleet->swept_ms >= SWEEP_EVERY_MS) {
        fleet->swept_ms = boot_ms;
        store_reasons_sweep(fleet->engine->edges.store, ignore_done, fleet);
    }
}

static void on_tagged(void *context, bool some, const struct err *err)
{
    struct fleet *fleet = context;
    if (err->kind == ERR_NONE) {
        fleet->untagged_none = some ? 0 : fleet->untagged_none + 1;
    }
}

/** And this: what came while tenants did not share. It reads all that waits, so
 * it is done rarely once nothing is left: what comes from then on says whose it
 * is. */
static void tag_tenants(struct fleet *fleet, int64_t boot_ms)
{
    if (!fleet->counts || !fleet->engine->turns.claims.shares.on) {
        fleet->untagged_none = 0;
        return;
    }
    const int64_t every_ms =
        fleet->untagged_none < 2 ? TAG_EVERY_MS : TAGGED_EVERY_MS;
    if (boot_ms - fleet->tagged_ms >= every_ms) {
        fleet->tagged_ms = boot_ms;
        store_share_tag(fleet->engine->edges.store, on_tagged, fleet);
    }
}

/** One worker does this, too. */
static void look_at_chains(struct fleet *fleet, int64_t boot_ms)
{
    if (fleet->counts && fleet->blocked > 0 &&
        boot_ms - fleet->chains_ms >= CHAINS_EVERY_MS) {
        fleet->chains_ms = boot_ms;
        engine_want_chains(fleet->engine);
    }
}

/** A count that takes too long is cut off: who looks at the numbers does not
 * see that they stand still. */
static void note_uncounted(struct fleet *fleet, const char *why)
{
    const int64_t boot_ms = loop_boot_ms(fleet->engine->edges.loop);
    if (fleet->uncounted++ == 0) {
        fleet->uncounted_ms = fleet->count_started_ms;
    }
    if (!fleet->warned_uncounted && fleet->uncounted >= UNCOUNTED_MIN &&
        boot_ms - fleet->uncounted_ms >= UNCOUNTED_MS) {
        fleet->warned_uncounted = true;
        log_at(LOG_WARN,
               "the fleet can't be counted: the numbers of what waits, is in "
               "flight and is blocked stand still; pixverse-ctl doctor says "
               "what makes PostgreSQL slow",
               LOG_I64("for_s", (boot_ms - fleet->uncounted_ms) / 1000),
               LOG_TEXT("why", why));
    }
}

static void note_counted(struct fleet *fleet)
{
    if (fleet->warned_uncounted) {
        log_at(LOG_INFO, "the fleet is counted again");
    }
    fleet->uncounted = 0;
    fleet->warned_uncounted = false;
}

static void on_count(void *context, const struct count_result *result)
{
    struct fleet *fleet = context;
    assert(fleet->counting);
    int64_t boot_ms = loop_boot_ms(fleet->engine->edges.loop);
    fleet->counting = false;
    fleet->count_due_ms =
        boot_ms + (boot_ms - fleet->count_started_ms) * COUNT_REST;
    if (fleet->leaving) {
        return;
    }
    if (result->err.kind != ERR_NONE) {
        note_uncounted(fleet, result->err.text);
        return; /* the next count will do */
    }
    note_counted(fleet);
    if (result->counted) {
        take_counts(fleet, result->queued, result->in_flight, result->blocked,
                    result->blocked_most);
        tell_oldest(fleet, result->oldest_ms);
    }
    if (result->oldest_xmin >= 0 && fleet->counts) {
        metric_set(fleet->xmin_gauge, (double)result->oldest_xmin);
    }
}

/** Right behind a beat, which it must not hold up: the longer it takes, the
 * rarer it is. */
static void count(struct fleet *fleet)
{
    int64_t boot_ms = loop_boot_ms(fleet->engine->edges.loop);
    if (!fleet->counts) {
        fleet->uncounted = 0;
        fleet->warned_uncounted = false;
        metric_set(fleet->xmin_gauge, 0);
        metric_set(fleet->oldest_gauge, 0);
        return;
    }
    if (fleet->counting || boot_ms < fleet->count_due_ms) {
        return;
    }
    bool xmin = boot_ms >= fleet->xmin_due_ms;
    if (xmin) {
        fleet->xmin_due_ms = boot_ms + XMIN_EVERY_MS;
    }
    fleet->counting = true;
    fleet->count_started_ms = boot_ms;
    store_count(fleet->engine->edges.store, xmin, on_count, fleet);
}

/* ---- the beat ---- */

/** Of each of ours the word on keys, and where it is. */
static void take_accounts(struct fleet *fleet, const struct beat_result *result)
{
    struct account_list *accounts = &fleet->engine->accounts;
    for (size_t i = 0; i < result->accounts_len; i++) {
        const struct account_row *row = &result->accounts[i];
        char name[ACCOUNT_BYTES];
        size_t at = 0;
        snprintf(name, sizeof name, "%.*s", (int)row->account.len,
                 row->account.at);
        if (account_is_used(accounts, name, &at)) {
            keys_told(&accounts->at[at].keys, row->keys_answer,
                      row->key_retention_ms);
            holds_read_url(&fleet->holds, at, row->url);
            if (slots_told(&accounts->at[at].slots, &row->limit,
                           engine_now_ms(fleet->engine))) {
                engine_want_claims(fleet->engine);
            }
        }
    }
}

/** After a reading: a death waits for no whole beat. */
static void beat_for_death(struct fleet *fleet, int64_t boot_ms,
                           int64_t wait_ms)
{
    const int64_t due_ms =
        lease_watch_due_ms(&fleet->watch, fleet->engine->turns.owner);
    assert(due_ms > boot_ms);
    if (due_ms - boot_ms < wait_ms) {
        next_beat(fleet, due_ms - boot_ms);
    }
}

static void on_beat(void *context, const struct beat_result *result)
{
    struct fleet *fleet = context;
    struct engine *engine = fleet->engine;
    assert(fleet->beating);
    fleet->beating = false;
    if (fleet->leaving) {
        return;
    }
    int64_t boot_ms = loop_boot_ms(engine->edges.loop);
    int64_t wait_ms =
        fleet->beat_started_ms + fleet->options.lease_ms / 5 - boot_ms;
    next_beat(fleet, wait_ms > 0 ? wait_ms : 0);
    if (result->err.kind != ERR_NONE) {
        log_at(LOG_WARN, "the lease was not renewed",
               LOG_TEXT("why", result->err.text));
        return;
    }
    if (result->lease_dead) {
        on_lease_dead(fleet);
        return;
    }
    if (!result->synchronous && !fleet->warned_async) {
        fleet->warned_async = true;
        log_at(LOG_WARN, "synchronous_commit is off: a crash of PostgreSQL may "
                         "forget an intent, and its video be paid twice");
    }
    CRASHPOINT("beat_after");
    turn_bumped(&engine->turns, result->places, result->shares);
    turn_budgets(&engine->turns, result->budgets);
    engine_bumped(engine, fleet->beat_started_ms, result->now_ms);
    take_accounts(fleet, result);
    if (lease_watch_read(&fleet->watch, result->leases, result->leases_len,
                         fleet->beat_of_all, boot_ms)) {
        beat_for_death(fleet, boot_ms, wait_ms);
        bury_look(&fleet->bury);
    }
    metric_set(fleet->alive, (double)fleet_alive(fleet));
    fleet->counts = lease_watch_lowest(&fleet->watch) == engine->turns.owner;
    holds_read(&fleet->holds, result->holds, result->holds_len);
    take_counts(fleet, result->queued, result->in_flight, result->blocked,
                result->blocked_most);
    count(fleet);
    budgets_beaten(&fleet->budgets, fleet->counts, result->budgets, boot_ms);
    balances_beaten(&fleet->balances, fleet->counts, boot_ms);
    order_cancel(engine, result->cancels, result->cancels_len);
    unreadable_look(&fleet->unreadable, fleet->counts);
    holds_probe(&fleet->holds);
    sweep_reasons(fleet, boot_ms);
    tag_tenants(fleet, boot_ms);
    look_at_chains(fleet, boot_ms);
    if (fleet->on_beaten) {
        fleet->on_beaten(fleet->beaten_context);
    }
}

static void beat(void *context)
{
    struct fleet *fleet = context;
    if (!fleet->store_up || fleet->beating || fleet->leaving) {
        return;
    }
    if (!fleet->engine->turns.owner) {
        join(fleet);
        return;
    }
    CRASHPOINT("beat_before");
    fleet->beating = true;
    fleet->beat_started_ms = loop_boot_ms(fleet->engine->edges.loop);
    int64_t picks[LEASE_PICKS_MAX];
    const struct beat ask = {
        .owner = fleet->engine->turns.owner,
        .tasks = fleet->engine->jobs.used,
        .places_back = turn_bumps(&fleet->engine->turns),
        .resend_after_ms = account_resend_after_ms(
            &fleet->engine->accounts, engine_now_ms(fleet->engine)),
        .leases = picks,
        .leases_len =
            lease_watch_pick(&fleet->watch, fleet->beat_started_ms, picks),
    };
    fleet->beat_of_all = ask.leases_len == 0;
    store_beat(fleet->engine->edges.store, &ask, on_beat, fleet);
}

void fleet_store_state(struct fleet *fleet, bool up)
{
    fleet->store_up = up;
    if (up) {
        beat(fleet);
        account_ask_all(&fleet->engine->accounts);
    }
}

/* ---- leaving ---- */

static void on_left(void *context, bool done, const struct err *err)
{
    struct fleet *fleet = context;
    CRASHPOINT("leave_after");
    if (!done || (err && err->kind != ERR_NONE)) {
        log_at(LOG_WARN, "the lease could not be given up; others take the "
                         "tasks over when it has stood still long enough");
    }
    assert(fleet->leaving && fleet->on_left);
    fleet->on_left(fleet->left_context);
}

void fleet_leave(struct fleet *fleet, loop_fn *callback, void *context)
{
    assert(callback);
    fleet->leaving = true;
    fleet->on_left = callback;
    fleet->left_context = context;
    loop_timer_stop(fleet->timer);
    account_stop_all(&fleet->engine->accounts);
    if (!fleet->store_up || !fleet->engine->turns.owner) {
        callback(context);
        return;
    }
    CRASHPOINT("leave_before");
    store_leave(fleet->engine->edges.store, fleet->engine->turns.owner, on_left,
                fleet);
}
