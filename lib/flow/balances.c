#include "flow/balances.h"

#include "base/log.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#define ASK_EVERY_MS INT64_C(60000)
#define TIMEOUT_MS 15000

void balances_init(struct balances *balances, struct engine *engine)
{
    assert(engine->accounts.len <= ACCOUNTS_MAX);
    *balances = (struct balances){.engine = engine};
    arena_init(&balances->scratch, 1024, 0);
    for (size_t i = 0; i < engine->accounts.len; i++) {
        char label[ACCOUNT_NAME_BYTES + 16];
        snprintf(label, sizeof label, "account=\"%s\"",
                 engine->accounts.settings->at[i].name);
        balances->used[i] = metric_get(
            engine->edges.metrics, METRIC_GAUGE, "pixverse_balance_used", label,
            "What the provider says that the account has used; told by the "
            "worker that asks, NaN elsewhere.");
        balances->remain[i] = metric_get(
            engine->edges.metrics, METRIC_GAUGE, "pixverse_balance_remaining",
            label, "What it says that is left; NaN: unknown, or no limit.");
        metric_set(balances->used[i], NAN);
        metric_set(balances->remain[i], NAN);
    }
}

void balances_done(struct balances *balances)
{
    arena_done(&balances->scratch);
}

static void on_reply(void *context, const struct reply *reply)
{
    struct balances *balances = context;
    double used;
    double remain;
    assert(balances->asked);
    balances->asked = false;
    if (!balances->mine) {
        return; /* another tells */
    }
    if (!apimart_read_balance(reply, &used, &remain)) {
        log_at(LOG_DEBUG, "the balance is not known",
               LOG_I64("status", reply->status));
        used = remain = NAN;
    }
    metric_set(balances->used[balances->account], used);
    metric_set(balances->remain[balances->account], remain);
}

static void ask(struct balances *balances, size_t account)
{
    struct engine *engine = balances->engine;
    struct err why = {0};
    arena_reset(&balances->scratch);
    const struct exchange exchange =
        apimart_ask_balance(&engine->accounts.settings->at[account].keys[0],
                            true, &balances->scratch);
    balances->account = account;
    balances->asked = !balances->scratch.failed &&
                      poller_send(engine->edges.poller, &exchange, TIMEOUT_MS,
                                  NULL, on_reply, balances, &why);
}

void balances_beaten(struct balances *balances, bool mine, int64_t boot_ms)
{
    const size_t len = balances->engine->accounts.len;
    for (size_t i = 0; balances->mine && !mine && i < len; i++) {
        metric_set(balances->used[i], NAN);
        metric_set(balances->remain[i], NAN);
    }
    balances->mine = mine;
    for (size_t i = 0; mine && !balances->asked && i < len; i++) {
        if (boot_ms >= balances->due_ms[i]) {
            balances->due_ms[i] = boot_ms + ASK_EVERY_MS;
            ask(balances, i);
        }
    }
}
