#include "flow/hold.h"

#include "base/log.h"
#include "flow/engine_told.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBE_EVERY_MS 30000 /* promised: at least every 60 s */
#define PROBE_TIMEOUT_MS 15000

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
    char scope[160];
};

void holds_set(struct holds *holds, enum hold_reason reason, struct str scope,
               struct str message)
{
    assert(reason > HOLD_NONE && reason < HOLD_REASONS_LEN);
    assert(reason != HOLD_OPERATOR && scope.at);
    for (size_t i = 0; i < holds->len; i++) {
        if (holds->at[i].reason == reason && holds->at[i].ours) {
            return; /* it stands already */
        }
    }
    log_at(LOG_ERROR, "submissions stop",
           LOG_TEXT("hold", hold_reason_name(reason)), LOG_STR("why", message));
    if (holds->len < HOLDS_READ_MAX) {
        struct hold *hold = &holds->at[holds->len++];
        *hold = (struct hold){.reason = reason, .ours = true};
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

static enum hold_reason worst_of(const struct holds *holds)
{
    for (size_t i = 0; i < holds->len; i++) {
        if (holds->at[i].ours) {
            return holds->at[i].reason;
        }
    }
    return HOLD_NONE;
}

static void lift(struct holds *holds, struct probe *probe)
{
    log_at(LOG_INFO, "submissions may go on",
           LOG_TEXT("hold", hold_reason_name(probe->reason)));
    store_hold_lift(holds->engine->edges.store, probe->reason,
                    str_of(probe->scope), ignore_done, holds);
    forget_hold(holds, probe);
    engine_set_hold(holds->engine, worst_of(holds));
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
    struct exchange exchange =
        apimart_ask_balance(&engine->options.apimart, true, &holds->scratch);
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
        *probe = (struct probe){.holds = holds, .reason = hold->reason};
        memcpy(probe->scope, hold->scope, sizeof probe->scope);
        holds->probing = true;
        store_hold_probe(holds->engine->edges.store, hold->reason,
                         str_of(probe->scope), now_ms, PROBE_EVERY_MS,
                         on_probe_ours, probe);
    }
}

static bool is_ours(const struct holds *holds, const struct hold_row *row)
{
    switch (row->reason) {
    case HOLD_AUTH:
    case HOLD_BALANCE:
    case HOLD_CHANNEL:
        return str_eq(row->scope,
                      str_of(holds->engine->options.apimart.account));
    case HOLD_STORAGE:
        return str_eq(row->scope,
                      str_of(bucket_name(holds->engine->edges.bucket)));
    case HOLD_OPERATOR: /* or of some requests only */
        return str_eq(row->scope, STR("*"));
    case HOLD_NONE:
    case HOLD_ACCOUNT:
    case HOLD_THROTTLE:
    case HOLD_REASONS_LEN:
        break;
    }
    return false;
}

void holds_read(struct holds *holds, const struct hold_row *rows, size_t len)
{
    holds->len = 0;
    for (int i = 1; i < HOLD_REASONS_LEN; i++) {
        metric_set(holds->gauges[i], 0);
    }
    for (size_t i = 0; i < len && holds->len < HOLDS_READ_MAX; i++) {
        const struct hold_row *row = &rows[i];
        struct hold *hold = &holds->at[holds->len++];
        *hold = (struct hold){
            .reason = row->reason,
            .ours = is_ours(holds, row),
            .since_ms = row->since_ms,
            .next_try_ms = row->next_try_ms,
        };
        snprintf(hold->scope, sizeof hold->scope, "%.*s", (int)row->scope.len,
                 row->scope.at);
        snprintf(hold->message, sizeof hold->message, "%.*s",
                 (int)row->message.len, row->message.at ? row->message.at : "");
        if (hold->ours) {
            metric_set(holds->gauges[row->reason], 1);
        }
    }
    metric_set(holds->gauges[HOLD_THROTTLE],
               holds->engine->reasons.shared[SHARED_THROTTLE].since_ms != 0);
    engine_set_hold(holds->engine, worst_of(holds));
}
