#include "flow/hold.h"

#include "base/log.h"
#include "flow/engine_told.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBE_EVERY_MS 30000 /* promised: at least every 60 s */
#define PROBE_TIMEOUT_MS 15000

/** Those that stop one account, not all. */
static bool is_of_account(enum hold_reason reason)
{
    return reason == HOLD_AUTH || reason == HOLD_BALANCE ||
           reason == HOLD_CHANNEL;
}

static void gauges_init(struct holds *holds, struct metrics *m, size_t account)
{
    const struct accounts *accounts = holds->engine->accounts.settings;
    for (int i = 1; i < HOLD_REASONS_LEN; i++) {
        char labels[ACCOUNT_NAME_BYTES + 48];
        if (!is_of_account((enum hold_reason)i)) {
            continue;
        }
        snprintf(labels, sizeof labels, "account=\"%s\",reason=\"%s\"",
                 accounts->at[account].name,
                 hold_reason_name((enum hold_reason)i));
        holds->of_account[account][i] = metric_get(
            m, METRIC_GAUGE, "pixverse_account_hold", labels,
            "1 while nothing is submitted to an account, for this reason.");
    }
}

void holds_init(struct holds *holds, struct engine *engine)
{
    struct metrics *m = engine->edges.metrics;
    *holds = (struct holds){.engine = engine};
    arena_init(&holds->scratch, 4096, 0);
    for (int i = 1; i < HOLD_REASONS_LEN; i++) {
        char labels[48];
        snprintf(labels, sizeof labels, "reason=\"%s\"",
                 hold_reason_name((enum hold_reason)i));
        holds->gauges[i] =
            metric_get(m, METRIC_GAUGE, "pixverse_hold", labels,
                       "1 while submissions stop for this reason.");
    }
    for (size_t i = 0; i < engine->accounts.len; i++) {
        gauges_init(holds, m, i);
    }
}

void holds_done(struct holds *holds)
{
    arena_done(&holds->scratch);
}

static void ignore_done(void *context, bool done, const struct err *err)
{
    (void)context;
    (void)done;
    (void)err;
}

struct probe {
    struct holds *holds;
    enum hold_reason reason;
    size_t account; /* ACCOUNTS_MAX: none's */
    char scope[160];
};

/** Whose scope it is: ACCOUNTS_MAX: every account's; none's: *ours is false.
 */
static size_t place_of(const struct holds *holds, enum hold_reason reason,
                       struct str scope, bool *ours)
{
    const struct engine *engine = holds->engine;
    char account[ACCOUNT_BYTES];
    size_t at = ACCOUNTS_MAX;
    *ours = false;
    if (is_of_account(reason) && scope.len < sizeof account) {
        snprintf(account, sizeof account, "%.*s", (int)scope.len, scope.at);
        *ours = account_is_used(&engine->accounts, account, &at);
    } else if (reason == HOLD_STORAGE) {
        *ours = str_eq(scope, str_of(bucket_name(engine->edges.bucket)));
    } else if (reason == HOLD_OPERATOR) { /* or of some requests only */
        *ours = str_eq(scope, STR("*"));
    }
    return is_of_account(reason) && *ours ? at : ACCOUNTS_MAX;
}

/** For people: with several accounts, whose it is. */
static struct str name_of(const struct holds *holds, size_t account)
{
    const struct accounts *accounts = holds->engine->accounts.settings;
    return account < accounts->len ? str_of(accounts->at[account].name)
                                   : (struct str){0};
}

void holds_set(struct holds *holds, enum hold_reason reason, struct str scope,
               struct str message)
{
    assert(reason > HOLD_NONE && reason < HOLD_REASONS_LEN);
    assert(reason != HOLD_OPERATOR && scope.at);
    for (size_t i = 0; i < holds->len; i++) {
        if (holds->at[i].reason == reason && holds->at[i].ours &&
            str_eq(str_of(holds->at[i].scope), scope)) {
            return; /* it stands already */
        }
    }
    bool ours = false;
    const size_t account = place_of(holds, reason, scope, &ours);
    log_at(LOG_ERROR, "submissions stop",
           LOG_TEXT("hold", hold_reason_name(reason)),
           LOG_STR("account", name_of(holds, account)),
           LOG_STR("why", message));
    if (holds->len < HOLDS_READ_MAX) {
        struct hold *hold = &holds->at[holds->len++];
        *hold =
            (struct hold){.reason = reason, .ours = true, .account = account};
        snprintf(hold->scope, sizeof hold->scope, "%.*s", (int)scope.len,
                 scope.at);
        snprintf(hold->message, sizeof hold->message, "%.*s", (int)message.len,
                 message.at ? message.at : "");
        hold->since_ms = engine_now_ms(holds->engine);
    }
    store_hold_set(holds->engine->edges.store, reason, scope, message,
                   engine_now_ms(holds->engine) + PROBE_EVERY_MS, ignore_done,
                   holds);
}

static void forget_hold(struct holds *holds, const struct probe *probe)
{
    for (size_t i = 0; i < holds->len; i++) {
        if (holds->at[i].reason == probe->reason &&
            strcmp(holds->at[i].scope, probe->scope) == 0) {
            holds->at[i] = holds->at[--holds->len];
            return;
        }
    }
}

/** Those in our scope: the first of all accounts, and of each. */
static void tell_engine(const struct holds *holds)
{
    enum hold_reason all = HOLD_NONE;
    enum hold_reason each[ACCOUNTS_MAX] = {HOLD_NONE};
    for (size_t i = holds->len; i-- > 0;) {
        const struct hold *hold = &holds->at[i];
        if (hold->ours && hold->account == ACCOUNTS_MAX) {
            all = hold->reason;
        } else if (hold->ours) {
            each[hold->account] = hold->reason;
        }
    }
    engine_set_holds(holds->engine, all, each);
}

static void lift(struct holds *holds, struct probe *probe)
{
    log_at(LOG_INFO, "submissions may go on",
           LOG_TEXT("hold", hold_reason_name(probe->reason)),
           LOG_STR("account", name_of(holds, probe->account)));
    store_hold_lift(holds->engine->edges.store, probe->reason,
                    str_of(probe->scope), ignore_done, holds);
    forget_hold(holds, probe);
    tell_engine(holds);
}

static void probe_end(struct probe *probe)
{
    assert(probe->holds->probing);
    probe->holds->probing = false;
    free(probe);
}

static void on_probe_reply(void *context, const struct reply *reply)
{
    struct probe *probe = context;
    struct holds *holds = probe->holds;
    struct str message = {0};
    assert(holds->probing && probe->reason != HOLD_STORAGE);
    arena_reset(&holds->scratch);
    if (apimart_read_probe(probe->reason, reply, &holds->scratch, &message)) {
        lift(holds, probe);
    } else {
        log_at(LOG_WARN, "the hold stays",
               LOG_TEXT("hold", hold_reason_name(probe->reason)),
               LOG_STR("account", name_of(holds, probe->account)),
               LOG_STR("why", message));
    }
    probe_end(probe);
}

static void on_probe_bucket(void *context, const struct bucket_result *result)
{
    struct probe *probe = context;
    assert(probe->holds->probing && probe->reason == HOLD_STORAGE);
    if (result->end == BUCKET_DONE) {
        lift(probe->holds, probe);
    } else {
        log_at(LOG_WARN, "the hold stays", LOG_TEXT("hold", "storage"),
               LOG_TEXT("why", result->why));
    }
    probe_end(probe);
}

static void on_probe_ours(void *context, bool done, const struct err *err)
{
    struct probe *probe = context;
    struct holds *holds = probe->holds;
    struct engine *engine = holds->engine;
    if (!done || (err && err->kind != ERR_NONE)) {
        probe_end(probe);
        return;
    }
    if (probe->reason == HOLD_STORAGE) {
        bucket_probe(engine->edges.bucket, on_probe_bucket, probe);
        return;
    }
    arena_reset(&holds->scratch);
    assert(probe->account < engine->accounts.len);
    struct exchange exchange = apimart_ask_balance(
        &engine->options.accounts.at[probe->account].keys[0], true,
        &holds->scratch);
    struct err why = {0};
    if (holds->scratch.failed ||
        !poller_send(engine->edges.poller, &exchange, PROBE_TIMEOUT_MS, NULL,
                     on_probe_reply, probe, &why)) {
        probe_end(probe);
    }
}

void holds_probe(struct holds *holds)
{
    int64_t now_ms = engine_now_ms(holds->engine);
    for (size_t i = 0; i < holds->len && !holds->probing; i++) {
        const struct hold *hold = &holds->at[i];
        bool due = hold->ours && hold->reason != HOLD_OPERATOR &&
                   now_ms >= hold->next_try_ms;
        struct probe *probe = due ? malloc(sizeof *probe) : NULL;
        if (!probe) {
            continue;
        }
        *probe = (struct probe){
            .holds = holds, .reason = hold->reason, .account = hold->account};
        memcpy(probe->scope, hold->scope, sizeof probe->scope);
        holds->probing = true;
        store_hold_probe(holds->engine->edges.store, hold->reason,
                         str_of(probe->scope), now_ms, PROBE_EVERY_MS,
                         on_probe_ours, probe);
    }
}

static void clear_gauges(struct holds *holds)
{
    for (int i = 1; i < HOLD_REASONS_LEN; i++) {
        metric_set(holds->gauges[i], 0);
        for (size_t k = 0; k < holds->engine->accounts.len; k++) {
            if (holds->of_account[k][i]) {
                metric_set(holds->of_account[k][i], 0);
            }
        }
    }
}

static void set_gauges(struct holds *holds, const struct hold *hold)
{
    metric_set(holds->gauges[hold->reason], 1);
    if (hold->account < ACCOUNTS_MAX) {
        metric_set(holds->of_account[hold->account][hold->reason], 1);
    }
}

void holds_read(struct holds *holds, const struct hold_row *rows, size_t len)
{
    holds->len = 0;
    clear_gauges(holds);
    for (size_t i = 0; i < len && holds->len < HOLDS_READ_MAX; i++) {
        const struct hold_row *row = &rows[i];
        struct hold *hold = &holds->at[holds->len++];
        *hold = (struct hold){
            .reason = row->reason,
            .since_ms = row->since_ms,
            .next_try_ms = row->next_try_ms,
        };
        hold->account = place_of(holds, row->reason, row->scope, &hold->ours);
        snprintf(hold->scope, sizeof hold->scope, "%.*s", (int)row->scope.len,
                 row->scope.at);
        snprintf(hold->message, sizeof hold->message, "%.*s",
                 (int)row->message.len, row->message.at ? row->message.at : "");
        if (hold->ours) {
            set_gauges(holds, hold);
        }
    }
    metric_set(holds->gauges[HOLD_THROTTLE],
               holds->engine->reasons.shared[SHARED_THROTTLE].since_ms != 0);
    tell_engine(holds);
}

void holds_read_url(struct holds *holds, size_t account, struct str url)
{
    struct engine *engine = holds->engine;
    assert(account < engine->accounts.len);
    const struct account_settings *ours = &engine->options.accounts.at[account];
    struct misfit *misfit = &holds->misfits[account];
    char own[2048];
    apimart_url(ours->keys[0].base_url, own, sizeof own);
    const bool other = url.len > 0 && !str_eq(url, str_of(own));
    if (other != misfit->there) {
        misfit->there = other;
        snprintf(misfit->url, sizeof misfit->url, "%.*s", (int)url.len, url.at);
        log_at(other ? LOG_ERROR : LOG_INFO,
               other ? "an account has another URL than the one that is "
                       "stored: nothing is submitted there until "
                       "pixverse-ctl account move, or the setting, mends it"
                     : "an account has the URL that is stored, again",
               LOG_TEXT("account", ours->name), LOG_TEXT("url", own),
               LOG_STR("stored", url));
        engine_set_misfit(engine, account, other);
    }
}
