#include "flow/fleet.h"

#include "base/crashpoint.h"
#include "base/log.h"
#include "flow/order.h"
#include "flow/why.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBE_EVERY_MS 30000 /* promised: at least every 60 s */
#define PROBE_TIMEOUT_MS 15000
#define SWEEP_EVERY_MS INT64_C(60000) /* of reasons nobody stands by */
#define ASK_EVERY_MS INT64_C(3600000)
#define ASK_AGAIN_MS INT64_C(60000) /* no answer yet */
#define COUNT_REST 20               /* times as long as the count took */
#define XMIN_EVERY_MS INT64_C(15000)

static void beat(void *context);
static void ask_keys(void *context);

static void on_hold(void *context, enum hold_reason reason, struct str scope,
                    struct str message);
static void on_doubt(void *context);
static void on_lease_dead(void *context);

/* ---- life ---------------------------------------------------------------------- */

static void metrics_init(struct fleet *fleet, struct metrics *m)
{
    fleet->alive = metric_get(m, METRIC_GAUGE, "pixverse_fleet_workers", NULL,
                              "Workers whose lease is alive.");
    fleet->queued_gauge = metric_get(m, METRIC_GAUGE, "pixverse_fleet_queued",
                                     NULL, "Waiting rows of the fleet.");
    fleet->in_flight_gauge =
        metric_get(m, METRIC_GAUGE, "pixverse_fleet_in_flight", NULL,
                   "Rows of the fleet that somebody works on.");
    fleet->xmin_gauge = metric_get(
        m, METRIC_GAUGE, "pixverse_postgres_oldest_xmin_age_transactions", NULL,
        "Transactions since the oldest snapshot that keeps dead rows from being "
        "removed; told by one worker, 0 by the others.");
    for (int i = 1; i < HOLD_REASONS_LEN; i++) {
        char labels[48];
        snprintf(labels, sizeof labels, "reason=\"%s\"",
                 hold_reason_name((enum hold_reason)i));
        fleet->hold_gauges[i] =
            metric_get(m, METRIC_GAUGE, "pixverse_hold", labels,
                       "1 while submissions stop for this reason.");
    }
}

bool fleet_init(struct fleet *fleet, struct engine *engine,
                const struct fleet_options *options, struct err *err)
{
    *fleet = (struct fleet){.engine = engine, .options = *options};
    lease_watch_init(&fleet->watch, options->lease_ms);
    arena_init(&fleet->scratch, 4096, 0);
    fleet->timer = loop_timer_new(engine->edges.loop, beat, fleet);
    fleet->ask_timer = loop_timer_new(engine->edges.loop, ask_keys, fleet);
    if (!fleet->timer || !fleet->ask_timer) {
        return err_set(err, ERR_FATAL, "no memory for the fleet");
    }
    metrics_init(fleet, engine->edges.metrics);
    unreadable_init(&fleet->unreadable, engine);
    fleet->bury = (struct bury){.engine = engine, .watch = &fleet->watch};
    engine->on_hold = on_hold;
    engine->on_doubt = on_doubt;
    engine->on_lease_dead = on_lease_dead;
    engine->fleet_context = fleet;
    return true;
}

void fleet_done(struct fleet *fleet)
{
    loop_timer_free(fleet->timer);
    loop_timer_free(fleet->ask_timer);
    lease_watch_done(&fleet->watch);
    arena_done(&fleet->scratch);
}

size_t fleet_alive(const struct fleet *fleet)
{
    return lease_watch_alive(&fleet->watch);
}

/* ---- joining ---------------------------------------------------------------------- */

static void next_beat(struct fleet *fleet, int64_t wait_ms)
{
    loop_timer_set(fleet->timer, wait_ms);
}

static void on_joined(void *context, int64_t id, const struct err *err)
{
    struct fleet *fleet = context;
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

static void join(struct fleet *fleet)
{
    if (fleet->joining || fleet->leaving) {
        return;
    }
    CRASHPOINT("join_before");
    fleet->joining = true;
    store_join(fleet->engine->edges.store, fleet->options.name,
               fleet->engine->options.tasks_max,
               fleet->engine->options.apimart.account, fleet->options.admin,
               on_joined, fleet);
}

static void on_lease_dead(void *context)
{
    struct fleet *fleet = context;
    if (!fleet->engine->owner) {
        return;
    }
    log_at(LOG_ERROR, "this worker was taken for dead; it drops its tasks and "
                      "begins again under a new lease",
           LOG_I64("lease", fleet->engine->owner),
           LOG_I64("tasks", fleet->engine->jobs.used));
    engine_lost(fleet->engine);
    fleet->counts = false;
    join(fleet);
}

/* ---- holds ------------------------------------------------------------------------------ */

struct probe {
    struct fleet *fleet;
    enum hold_reason reason;
    char scope[160];
};

static void ignore_done(void *context, bool done, const struct err *err)
{
    (void)context;
    (void)done;
    (void)err;
}

static void on_hold(void *context, enum hold_reason reason, struct str scope,
                    struct str message)
{
    struct fleet *fleet = context;
    for (size_t i = 0; i < fleet->holds_len; i++) {
        if (fleet->holds[i].reason == reason && fleet->holds[i].ours) {
            return; /* it stands already */
        }
    }
    log_at(LOG_ERROR, "submissions stop",
           LOG_TEXT("hold", hold_reason_name(reason)), LOG_STR("why", message));
    if (fleet->holds_len < FLEET_HOLDS_MAX) {
        struct fleet_hold *hold = &fleet->holds[fleet->holds_len++];
        *hold = (struct fleet_hold){.reason = reason, .ours = true};
        snprintf(hold->scope, sizeof hold->scope, "%.*s", (int)scope.len,
                 scope.at);
        snprintf(hold->message, sizeof hold->message, "%.*s", (int)message.len,
                 message.at ? message.at : "");
        hold->since_ms = engine_now_ms(fleet->engine);
    }
    store_hold_set(fleet->engine->edges.store, reason, scope, message,
                   engine_now_ms(fleet->engine) + PROBE_EVERY_MS, ignore_done,
                   fleet);
}

static void forget_hold(struct fleet *fleet, const struct probe *probe)
{
    for (size_t i = 0; i < fleet->holds_len; i++) {
        if (fleet->holds[i].reason == probe->reason &&
            strcmp(fleet->holds[i].scope, probe->scope) == 0) {
            fleet->holds[i] = fleet->holds[--fleet->holds_len];
            return;
        }
    }
}

static enum hold_reason worst_of(const struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->holds_len; i++) {
        if (fleet->holds[i].ours) {
            return fleet->holds[i].reason;
        }
    }
    return HOLD_NONE;
}

static void lift(struct fleet *fleet, struct probe *probe)
{
    log_at(LOG_INFO, "submissions may go on",
           LOG_TEXT("hold", hold_reason_name(probe->reason)));
    store_hold_lift(fleet->engine->edges.store, probe->reason,
                    str_of(probe->scope), ignore_done, fleet);
    forget_hold(fleet, probe);
    engine_set_hold(fleet->engine, worst_of(fleet));
}

static void probe_end(struct probe *probe)
{
    probe->fleet->probing = false;
    free(probe);
}

static void on_probe_reply(void *context, const struct reply *reply)
{
    struct probe *probe = context;
    struct fleet *fleet = probe->fleet;
    struct str message = {0};
    arena_reset(&fleet->scratch);
    if (apimart_read_probe(probe->reason, reply, &fleet->scratch, &message)) {
        lift(fleet, probe);
    } else {
        log_at(LOG_WARN, "the hold stays",
               LOG_TEXT("hold", hold_reason_name(probe->reason)),
               LOG_STR("why", message));
    }
    probe_end(probe);
}

static void on_probe_bucket(void *context, const struct bucket_result *result)
{
    struct probe *probe = context;
    if (result->end == BUCKET_DONE) {
        lift(probe->fleet, probe);
    } else {
        log_at(LOG_WARN, "the hold stays", LOG_TEXT("hold", "storage"),
               LOG_TEXT("why", result->why));
    }
    probe_end(probe);
}

static void on_probe_ours(void *context, bool done, const struct err *err)
{
    struct probe *probe = context;
    struct fleet *fleet = probe->fleet;
    struct engine *engine = fleet->engine;
    if (!done || (err && err->kind != ERR_NONE)) {
        probe_end(probe);
        return;
    }
    if (probe->reason == HOLD_STORAGE) {
        bucket_probe(engine->edges.bucket, on_probe_bucket, probe);
        return;
    }
    arena_reset(&fleet->scratch);
    struct exchange exchange =
        apimart_ask_balance(&engine->options.apimart, true, &fleet->scratch);
    struct err why = {0};
    if (fleet->scratch.failed ||
        !http_send(engine->edges.poll_http, &exchange, PROBE_TIMEOUT_MS, NULL,
                   on_probe_reply, probe, &why)) {
        probe_end(probe);
    }
}

static void probe_holds(struct fleet *fleet)
{
    int64_t now_ms = engine_now_ms(fleet->engine);
    for (size_t i = 0; i < fleet->holds_len && !fleet->probing; i++) {
        const struct fleet_hold *hold = &fleet->holds[i];
        bool due = hold->ours && hold->reason != HOLD_OPERATOR &&
                   now_ms >= hold->next_try_ms;
        struct probe *probe = due ? malloc(sizeof *probe) : NULL;
        if (!probe) {
            continue;
        }
        *probe = (struct probe){.fleet = fleet, .reason = hold->reason};
        memcpy(probe->scope, hold->scope, sizeof probe->scope);
        fleet->probing = true;
        store_hold_probe(fleet->engine->edges.store, hold->reason,
                         str_of(probe->scope), now_ms, PROBE_EVERY_MS,
                         on_probe_ours, probe);
    }
}

static bool is_ours(const struct fleet *fleet, const struct hold_row *row)
{
    switch (row->reason) {
    case HOLD_AUTH:
    case HOLD_BALANCE:
    case HOLD_CHANNEL:
        return str_eq(row->scope,
                      str_of(fleet->engine->options.apimart.account));
    case HOLD_STORAGE:
        return str_eq(row->scope,
                      str_of(bucket_name(fleet->engine->edges.bucket)));
    case HOLD_OPERATOR:
        return true;
    case HOLD_NONE:
    case HOLD_ACCOUNT:
    case HOLD_THROTTLE:
    case HOLD_REASONS_LEN:
        break;
    }
    return false;
}

static void take_holds(struct fleet *fleet, const struct beat_result *result)
{
    fleet->holds_len = 0;
    for (int i = 1; i < HOLD_REASONS_LEN; i++) {
        metric_set(fleet->hold_gauges[i], 0);
    }
    for (size_t i = 0; i < result->holds_len &&
                       fleet->holds_len < FLEET_HOLDS_MAX;
         i++) {
        const struct hold_row *row = &result->holds[i];
        struct fleet_hold *hold = &fleet->holds[fleet->holds_len++];
        *hold = (struct fleet_hold){
            .reason = row->reason,
            .ours = is_ours(fleet, row),
            .since_ms = row->since_ms,
            .next_try_ms = row->next_try_ms,
        };
        snprintf(hold->scope, sizeof hold->scope, "%.*s", (int)row->scope.len,
                 row->scope.at);
        snprintf(hold->message, sizeof hold->message, "%.*s",
                 (int)row->message.len,
                 row->message.at ? row->message.at : "");
        if (hold->ours) {
            metric_set(fleet->hold_gauges[row->reason], 1);
        }
    }
    metric_set(
        fleet->hold_gauges[HOLD_THROTTLE],
        fleet->engine->reasons.shared[SHARED_THROTTLE].since_ms != 0);
    engine_set_hold(fleet->engine, worst_of(fleet));
}

/* ---- does the provider honour keys? ---------------------------------------------------- */

static void on_schema(void *context, const struct reply *reply)
{
    struct fleet *fleet = context;
    struct engine *engine = fleet->engine;
    int64_t retention_ms = engine->key_lifetime_ms;
    enum keys_answer answer = apimart_read_schema(reply, &retention_ms);
    fleet->asking_keys = false;
    if (answer == KEYS_NO_ANSWER) {
        loop_timer_set(fleet->ask_timer, ASK_AGAIN_MS);
        return;
    }
    if (engine->keys == KEYS_BROKEN) {
        loop_timer_set(fleet->ask_timer, ASK_EVERY_MS);
        return; /* it was caught: its word counts for nothing */
    }
    if (answer != engine->keys &&
        engine->options.submit_doubt == DOUBT_AUTO) {
        log_at(LOG_INFO, answer == KEYS_HONOURED
                             ? "the provider says that it honours keys: doubts "
                               "are replayed"
                             : "the provider does not say that it honours keys: "
                               "doubts are settled");
    }
    engine->keys = answer;
    engine->key_lifetime_ms = retention_ms;
    store_keys_answer(engine->edges.store, engine->options.apimart.account,
                      answer, retention_ms, ignore_done, fleet);
    loop_timer_set(fleet->ask_timer, ASK_EVERY_MS);
}

static void ask_keys(void *context)
{
    struct fleet *fleet = context;
    struct engine *engine = fleet->engine;
    /* Where all is replayed, only the keys' lifetime is asked for. */
    if (fleet->asking_keys || engine->gate.draining ||
        engine->options.submit_doubt == DOUBT_SETTLE) {
        return;
    }
    arena_reset(&fleet->scratch);
    struct exchange exchange =
        apimart_ask_schema(&engine->options.apimart, &fleet->scratch);
    struct err err = {0};
    fleet->asking_keys = true;
    if (fleet->scratch.failed ||
        !http_send(engine->edges.poll_http, &exchange, PROBE_TIMEOUT_MS, NULL,
                   on_schema, fleet, &err)) {
        fleet->asking_keys = false;
        loop_timer_set(fleet->ask_timer, ASK_AGAIN_MS);
    }
}

static void on_doubt(void *context)
{
    ask_keys(context);
}

/* ---- the count ----------------------------------------------------------------------------- */

static void take_counts(struct fleet *fleet, int64_t queued, int64_t in_flight)
{
    fleet->queued = queued;
    fleet->in_flight = in_flight;
    metric_set(fleet->queued_gauge, (double)queued);
    metric_set(fleet->in_flight_gauge, (double)in_flight);
    if (queued > 0) {
        engine_want_claims(fleet->engine);
        engine_want_expiry(fleet->engine);
    } else {
        why_generations(fleet->engine, false);
    }
    if (fleet->on_backlog) {
        fleet->on_backlog(fleet->backlog_context, queued);
    }
}

/** One worker does it for all: what dead ones said of tasks. */
static void sweep_reasons(struct fleet *fleet, int64_t boot_ms)
{
    if (fleet->counts && boot_ms - fleet->swept_ms >= SWEEP_EVERY_MS) {
        fleet->swept_ms = boot_ms;
        store_reasons_sweep(fleet->engine->edges.store, ignore_done, fleet);
    }
}

static void on_count(void *context, const struct count_result *result)
{
    struct fleet *fleet = context;
    int64_t boot_ms = loop_boot_ms(fleet->engine->edges.loop);
    fleet->counting = false;
    fleet->count_due_ms =
        boot_ms + (boot_ms - fleet->count_started_ms) * COUNT_REST;
    if (fleet->leaving || result->err.kind != ERR_NONE) {
        return; /* the next count will do */
    }
    if (result->counted) {
        take_counts(fleet, result->queued, result->in_flight);
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
        metric_set(fleet->xmin_gauge, 0);
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

/* ---- the beat ------------------------------------------------------------------------------ */

static void on_beat(void *context, const struct beat_result *result)
{
    struct fleet *fleet = context;
    struct engine *engine = fleet->engine;
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
    engine_bumped(engine, fleet->beat_started_ms, result->now_ms);
    if (result->keys_answer != KEYS_NO_ANSWER && engine->keys != KEYS_BROKEN) {
        engine->keys = result->keys_answer;
        if (result->key_retention_ms > 0) {
            engine->key_lifetime_ms = result->key_retention_ms;
        }
    }
    if (lease_watch_read(&fleet->watch, result->leases, result->leases_len,
                         fleet->beat_of_all, boot_ms)) {
        bury_look(&fleet->bury);
    }
    metric_set(fleet->alive, (double)fleet_alive(fleet));
    fleet->counts = lease_watch_lowest(&fleet->watch) == engine->owner;
    take_holds(fleet, result);
    take_counts(fleet, result->queued, result->in_flight);
    count(fleet);
    order_cancel(engine, result->cancels, result->cancels_len);
    unreadable_look(&fleet->unreadable, fleet->counts);
    probe_holds(fleet);
    sweep_reasons(fleet, boot_ms);
}

static void beat(void *context)
{
    struct fleet *fleet = context;
    if (!fleet->store_up || fleet->beating || fleet->leaving) {
        return;
    }
    if (!fleet->engine->owner) {
        join(fleet);
        return;
    }
    CRASHPOINT("beat_before");
    fleet->beating = true;
    fleet->beat_started_ms = loop_boot_ms(fleet->engine->edges.loop);
    int64_t picks[LEASE_PICKS_MAX];
    const struct beat ask = {
        .owner = fleet->engine->owner,
        .tasks = fleet->engine->jobs.used,
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
        ask_keys(fleet);
    }
}

/* ---- leaving -------------------------------------------------------------------------------- */

static void on_left(void *context, bool done, const struct err *err)
{
    struct fleet *fleet = context;
    CRASHPOINT("leave_after");
    if (!done || (err && err->kind != ERR_NONE)) {
        log_at(LOG_WARN, "the lease could not be given up; others take the "
                         "tasks over when it has stood still long enough");
    }
    fleet->on_left(fleet->left_context);
}

void fleet_leave(struct fleet *fleet, loop_fn *callback, void *context)
{
    fleet->leaving = true;
    fleet->on_left = callback;
    fleet->left_context = context;
    loop_timer_stop(fleet->timer);
    loop_timer_stop(fleet->ask_timer);
    if (!fleet->store_up || !fleet->engine->owner) {
        callback(context);
        return;
    }
    CRASHPOINT("leave_before");
    store_leave(fleet->engine->edges.store, fleet->engine->owner, on_left,
                fleet);
}
