#include "flow/accepted.h"

#include "base/crashpoint.h"
#include "base/log.h"
#include "core/event.h"

#include <assert.h>

#define LOOK_MS INT64_C(10000) /* for what others left, or an answer lost */
/* Where it is off: others may have had it on. */
#define LOOK_OFF_MS INT64_C(60000)

static bool ask(struct accepted *accepted);

static struct loop *loop_of(const struct accepted *accepted)
{
    return accepted->fleet->engine->edges.loop;
}

void accepted_init(struct accepted *accepted, struct fleet *fleet,
                   const struct accepted_options *options)
{
    assert(fleet && options->topic);
    *accepted = (struct accepted){.fleet = fleet, .options = *options};
    accepted->events =
        metric_get(fleet->engine->edges.metrics, METRIC_COUNTER,
                   "pixverse_accepted_events_total", NULL,
                   "Accepted events that the broker has acknowledged.");
}

static void tell_idle(void *context)
{
    struct accepted *accepted = context;
    loop_fn *on_idle = accepted->on_idle;
    accepted->on_idle = NULL;
    if (on_idle) {
        on_idle(accepted->idle_context);
    }
}

void accepted_done(struct accepted *accepted)
{
    if (accepted->fleet) {
        loop_undefer(loop_of(accepted), tell_idle, accepted);
    }
}

/** All that was sent is answered, or nothing was. */
static void end_round(struct accepted *accepted)
{
    assert(!accepted->asking && accepted->sending == 0);
    const bool again = accepted->told_len || accepted->wanted;
    /* What is refused waits for the next beat; but no drain leaves behind what
     * was told. */
    const bool may =
        !accepted->failed || (accepted->stopped && accepted->told_len > 0);
    if (again && may && ask(accepted)) {
        return;
    }
    if (accepted->stopped) {
        loop_defer(loop_of(accepted), tell_idle, accepted);
    }
}

/* ---- a round ---- */

static void on_delivered(void *context, const struct err *err)
{
    const struct accepted_sent *sent = context;
    struct accepted *accepted = sent->accepted;
    assert(accepted->sending > 0 && accepted->told_len < ACCEPTED_MAX);
    accepted->sending--;
    if (err) {
        accepted->failed = true;
        log_at(
            err->kind == ERR_PERMANENT ? LOG_ERROR : LOG_WARN,
            "an accepted event was not taken by the broker and is sent again",
            LOG_I64("task", sent->id), LOG_TEXT("why", err->text));
    } else {
        CRASHPOINT("accepted_acknowledged");
        metric_add(accepted->events, 1);
        accepted->told[accepted->told_len++] = sent->id;
    }
    if (accepted->sending == 0) {
        end_round(accepted);
    }
}

/** What can't be told any more counts as told. */
static void send(struct accepted *accepted, struct accepted_sent *sent,
                 const struct facts *facts, struct arena *arena)
{
    const struct engine *engine = accepted->fleet->engine;
    struct event event;
    struct err err = {0};
    if (!facts->tenant.len) {
        accepted->told[accepted->told_len++] = sent->id;
        return;
    }
    if (!event_accepted(facts, arena, &event)) {
        accepted->failed = true;
        return;
    }
    const struct outgoing outgoing = {
        .topic = accepted->options.topic,
        .key = event.key,
        .value = event.value,
        .headers = event.headers,
        .headers_len = event.headers_len,
        .at_ms = engine_now_ms(engine),
    };
    CRASHPOINT("accepted_before");
    if (producer_send(engine->edges.producer, &outgoing, on_delivered, sent,
                      &err)) {
        accepted->sending++;
        CRASHPOINT("accepted_sent");
    } else {
        accepted->failed = true;
        log_at(LOG_WARN, "an accepted event waits",
               LOG_STR("request_id", facts->request_id),
               LOG_TEXT("why", err.text));
    }
}

static void on_owed(void *context, const struct accepted_result *result)
{
    struct accepted *accepted = context;
    struct arena arena;
    assert(accepted->asking && accepted->sending == 0);
    assert(result->len <= ACCEPTED_MAX);
    accepted->asking = false;
    accepted->failed = result->err.kind != ERR_NONE;
    if (accepted->failed) {
        accepted->wanted = true;
        end_round(accepted);
        return;
    }
    accepted->told_len = 0;
    arena_init(&arena, 4096, 0);
    for (size_t i = 0; i < result->len; i++) {
        accepted->sent[i] =
            (struct accepted_sent){accepted, result->rows[i].id};
        send(accepted, &accepted->sent[i], &result->rows[i].facts, &arena);
        arena_reset(&arena);
    }
    arena_done(&arena);
    accepted->wanted |= accepted->failed;
    if (accepted->sending == 0) {
        end_round(accepted);
    }
}

/** false: not now. */
static bool ask(struct accepted *accepted)
{
    struct fleet *fleet = accepted->fleet;
    const struct engine *engine = fleet->engine;
    if (accepted->asking || accepted->sending || !fleet->store_up ||
        !engine->turns.owner || !engine->clock.known) {
        return false;
    }
    const struct accepted_ask owed = {
        .owner = engine->turns.owner,
        .orphans = fleet->counts,
        .told = accepted->told,
        .told_len = accepted->told_len,
    };
    accepted->asking = true;
    accepted->wanted = false;
    accepted->looked_ms = loop_boot_ms(loop_of(accepted));
    store_accepted(engine->edges.store, &owed, on_owed, accepted);
    return true;
}

void accepted_want(void *context)
{
    struct accepted *accepted = context;
    accepted->wanted = true;
    (void)ask(accepted);
}

void accepted_look(struct accepted *accepted)
{
    const bool on = accepted->options.on;
    const int64_t since_ms =
        loop_boot_ms(loop_of(accepted)) - accepted->looked_ms;
    const bool due = since_ms >= (on ? LOOK_MS : LOOK_OFF_MS) &&
                     (on || accepted->fleet->counts);
    if (due || accepted->wanted || accepted->told_len) {
        (void)ask(accepted);
    }
}

void accepted_stop(struct accepted *accepted, loop_fn *on_idle, void *context)
{
    assert(!accepted->stopped && on_idle);
    accepted->stopped = true;
    accepted->on_idle = on_idle;
    accepted->idle_context = context;
    accepted->wanted |= accepted->options.on;
    if (!accepted->asking && !accepted->sending) {
        end_round(accepted);
    }
}
