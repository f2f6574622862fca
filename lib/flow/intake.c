#include "flow/intake.h"

#include "base/crashpoint.h"
#include "base/log.h"
#include "core/request.h"
#include "core/retry.h"
#include "flow/engine_told.h"
#include "flow/item.h"

#include <assert.h>

#define WAITING_MAX 4000 /* messages read ahead while the store is slow */
/** What one turn of the loop reads; a message that has begun is finished. */
#define TURN_BYTES_MAX 1048576
#define TURN_US 20000
#define AHEAD_BYTES_MAX INT64_C(16777216)
#define ASK_AGAIN_MS 500

static void flush(void *context);
static void go_on(void *context);
static const struct turn_intake part;

/* ---- life ---- */

static void on_retry(void *context)
{
    struct intake *intake = context;
    intake->storing = false;
    flush(intake);
}

/** Those whose sources were not finished, behind what has come since. */
static void on_ask_again(void *context)
{
    struct intake *intake = context;
    while (!list_is_empty(&intake->aside)) {
        list_add_tail(&intake->waiting, list_pop(&intake->aside));
        intake->waiting_len++;
    }
    flush(intake);
}

bool intake_init(struct intake *intake, struct engine *engine,
                 struct consumer *consumer,
                 const struct intake_options *options, struct err *err)
{
    const struct rejects_options rejects = {
        .loop = engine->edges.loop,
        .producer = engine->edges.producer,
        .consumer = consumer,
        .clock = &engine->clock,
        .topic = options->rejected_topic,
        .on_end = go_on,
        .context = intake,
    };
    assert(consumer && options->bytes_max > 0);
    *intake = (struct intake){
        .engine = engine, .consumer = consumer, .options = *options};
    struct metrics *m = engine->edges.metrics;
    list_init(&intake->waiting);
    list_init(&intake->aside);
    batch_init(&intake->batch, &engine->clock, m);
    intake->retry = loop_timer_new(engine->edges.loop, on_retry, intake);
    intake->next_turn = loop_timer_new(engine->edges.loop, flush, intake);
    intake->ask_again =
        loop_timer_new(engine->edges.loop, on_ask_again, intake);
    if (!intake->retry || !intake->next_turn || !intake->ask_again) {
        loop_timer_free(intake->retry);
        loop_timer_free(intake->next_turn);
        loop_timer_free(intake->ask_again);
        return err_set(err, ERR_FATAL, "no memory for the intake");
    }
    intake->received =
        metric_get(m, METRIC_COUNTER, "pixverse_received_total", NULL,
                   "Messages read from the request topic.");
    rejects_init(&intake->rejects, &rejects, m);
    intake->repeated =
        metric_get(m, METRIC_COUNTER, "pixverse_repeated_total", NULL,
                   "Messages whose request was known already.");
    intake->paused_gauge =
        metric_get(m, METRIC_GAUGE, "pixverse_intake_paused", NULL,
                   "1 while consumption is paused for the backlog, or for "
                   "what waits to be stored.");
    intake->bytes_gauge =
        metric_get(m, METRIC_GAUGE, "pixverse_intake_bytes", NULL,
                   "Bytes of messages that wait to be stored or rejected.");
    turn_take_in(&engine->turns, &part, intake);
    return true;
}

static void drop(struct intake *intake, struct item *item)
{
    consumer_drop(intake->consumer, item->message);
    item_free(item);
}

static void drop_batch(struct intake *intake)
{
    struct item *item;
    while ((item = batch_pop(&intake->batch))) {
        drop(intake, item);
    }
    intake->storing = false;
}

void intake_done(struct intake *intake)
{
    if (intake->engine) {
        loop_undefer(intake->engine->edges.loop, flush, intake);
    }
    loop_timer_free(intake->retry);
    loop_timer_free(intake->next_turn);
    loop_timer_free(intake->ask_again);
    batch_done(&intake->batch);
}

static void tell_idle(struct intake *intake)
{
    if (intake->stopped && intake->on_idle && !intake->storing &&
        intake->rejects.under_way == 0) {
        loop_fn *on_idle = intake->on_idle;
        intake->on_idle = NULL;
        on_idle(intake->idle_context);
    }
}

/* ---- back-pressure ---- */

static void set_paused(struct intake *intake, bool paused)
{
    if (intake->paused == paused || !intake->consumer) {
        return;
    }
    intake->paused = paused;
    metric_set(intake->paused_gauge, paused ? 1 : 0);
    if (paused) {
        consumer_pause(intake->consumer);
    } else {
        consumer_resume(intake->consumer);
    }
}

static void judge_backlog(struct intake *intake)
{
    int64_t max = intake->options.backlog_max;
    int64_t bytes_max = intake->options.bytes_max;
    bool over = intake->backlog >= max || intake->waiting_len >= WAITING_MAX ||
                intake->bytes >= bytes_max;
    bool under = intake->backlog <= max / 10 * 7 &&
                 intake->waiting_len <= WAITING_MAX / 2 &&
                 intake->bytes <= bytes_max / 2;
    metric_set(intake->bytes_gauge, (double)intake->bytes);
    if (over && !intake->paused) {
        log_at(LOG_INFO, "consumption pauses: enough requests are waiting",
               LOG_I64("queued", intake->backlog),
               LOG_I64("read_ahead", intake->waiting_len),
               LOG_I64("bytes", intake->bytes));
        set_paused(intake, true);
    } else if (under && intake->paused && !intake->stopped) {
        log_at(LOG_INFO, "consumption goes on",
               LOG_I64("queued", intake->backlog));
        set_paused(intake, false);
    }
}

void intake_backlog(struct intake *intake, int64_t queued)
{
    intake->backlog = queued;
    judge_backlog(intake);
    flush(intake); /* what came before the clock was known has waited for it */
}

/* ---- reading ---- */

void intake_message(void *context, struct message *message)
{
    struct intake *intake = context;
    metric_add(intake->received, 1);
    struct item *item =
        intake->stopped ? NULL : item_new(&intake->bytes, message);
    if (!item && !intake->stopped) {
        consumer_again(intake->consumer, message);
        return;
    }
    if (!item) {
        consumer_drop(intake->consumer, message);
        return;
    }
    list_add_tail(&intake->waiting, &item->link);
    intake->waiting_len++;
    if (!intake->paused && (intake->waiting_len >= WAITING_MAX ||
                            intake->bytes >= intake->options.bytes_max)) {
        judge_backlog(intake);
    }
    loop_defer(intake->engine->edges.loop, flush, intake);
}

/** Into the batch, or out to the rejected topic. Not before: a message that
 * waits is there once, as it came. */
static void read_item(struct intake *intake, struct item *item)
{
    assert(intake->waiting_len > 0);
    list_remove(&item->link);
    intake->waiting_len--;
    if (item->source_until_ms) { /* it was put aside, and is read */
        batch_add(&intake->batch, item);
        return;
    }
    if (!request_read(item->message->value, &item->arena, &item->request)) {
        log_at(LOG_ERROR, "no memory to read a message; it comes again");
        consumer_again(intake->consumer, item->message);
        item_free(item);
        return;
    }
    item_weigh(item);
    if (item->request.reject != REQUEST_NAMED) {
        reject(&intake->rejects, item, item->request.reject);
        return;
    }
    batch_add(&intake->batch, item);
}

/** The producer has a copy of each: half of what may wait at most. */
static bool are_rejections_many(const struct intake *intake)
{
    return intake->rejects.bytes >= intake->options.bytes_max / 2;
}

/** false: the turn's share is used up, the rest waits for the next. */
static bool fill_batch(struct intake *intake)
{
    struct loop *loop = intake->engine->edges.loop;
    if (intake->turn_ms != loop_boot_ms(loop)) {
        intake->turn_ms = loop_boot_ms(loop);
        intake->turn_bytes = 0;
        intake->turn_us = 0;
    }
    while (!list_is_empty(&intake->waiting) && !batch_is_full(&intake->batch) &&
           !are_rejections_many(intake)) {
        if (intake->turn_bytes >= TURN_BYTES_MAX ||
            intake->turn_us >= TURN_US) {
            /* No 0: libuv before 1.45 would have it at once, without end. */
            loop_timer_set(intake->next_turn, 1);
            return false;
        }
        struct item *item = LIST_OWNER(intake->waiting.next, struct item, link);
        int64_t began_us = loop_boot_us(loop);
        intake->turn_bytes += item->message->value.len;
        read_item(intake, item);
        intake->turn_us += loop_boot_us(loop) - began_us;
    }
    return true;
}

/* ---- storing ---- */

static void settle_item(struct intake *intake, struct item *item,
                        enum intake_verdict verdict)
{
    switch (verdict) {
    case INTAKE_NEW:
        log_at(LOG_INFO, "task",
               LOG_STR("request_id", item->request.request_id),
               LOG_TEXT("from", ""),
               LOG_TEXT("to", item->request.faults.len ? "failed" : "queued"),
               LOG_TEXT("outcome", "RECEIVED"),
               LOG_LAST("why", request_first_fault(&item->request)));
        break;
    case INTAKE_REPEAT:
        metric_add(intake->repeated, 1);
        break;
    case INTAKE_REUSED:
        reject(&intake->rejects, item, REQUEST_ID_REUSED);
        return;
    case INTAKE_TOO_OLD:
        item->request.why = STR("no such id is known, and what was produced "
                                "then may have been bought and forgotten "
                                "(IDS_DAYS)");
        reject(&intake->rejects, item, REQUEST_TOO_OLD);
        return;
    case INTAKE_POISON:
        log_at(LOG_ERROR, "the store refuses the data of a message",
               LOG_STR("request_id", item->request.request_id));
        item->request.why = STR("PostgreSQL refuses its data");
        reject(&intake->rejects, item, REQUEST_NOT_JSON);
        return;
    }
    CRASHPOINT("offset_before");
    consumer_done(intake->consumer, item->message);
    CRASHPOINT("offset_after");
    item_free(item);
}

static void again_soon(struct intake *intake, int64_t wait_ms)
{
    assert(intake->storing && !intake->asked);
    loop_timer_set(intake->retry, wait_ms);
}

/** Whether the batch is over, because nothing more is taken in. */
static bool was_stopped(struct intake *intake)
{
    if (intake->stopped) {
        drop_batch(intake);
        tell_idle(intake);
    }
    return intake->stopped;
}

static void not_stored(struct intake *intake, const struct err *err)
{
    /* Unknown or not: the same batch again finds its own rows as repeats. */
    intake->retries++;
    log_at(err->kind == ERR_PERMANENT ? LOG_ERROR : LOG_WARN,
           "a batch of requests was not stored; again soon",
           LOG_I64("requests", intake->batch.len), LOG_TEXT("why", err->text));
    if (!was_stopped(intake)) {
        again_soon(intake,
                   retry_wait_ms(intake->retries, 200, 5000,
                                 loop_random(intake->engine->edges.loop)));
    }
}

static void on_stored(void *context, const struct intake_result *result)
{
    struct intake *intake = context;
    assert(intake->asked && intake->storing);
    intake->asked = false;
    if (result->err.kind != ERR_NONE) {
        not_stored(intake, &result->err);
        return;
    }
    CRASHPOINT("intake_committed");
    assert(result->len == intake->batch.len);
    intake->retries = 0;
    intake->storing = false;
    bool faulty = false;
    bool good = false;
    for (size_t i = 0; i < result->len; i++) {
        struct item *item = batch_pop(&intake->batch);
        if (result->verdicts[i] == INTAKE_NEW) {
            faulty = faulty || item->request.faults.len > 0;
            good = good || item->request.faults.len == 0;
            intake->backlog += item->request.faults.len == 0;
        }
        settle_item(intake, item, result->verdicts[i]);
    }
    if (good) {
        engine_want_claims(intake->engine);
    }
    if (faulty) {
        engine_want_adopts(intake->engine); /* their events are to be told */
    }
    judge_backlog(intake);
    flush(intake);
    tell_idle(intake);
}

static void on_sources(void *context, const enum source_state *states,
                       size_t len, const struct err *err)
{
    struct intake *intake = context;
    assert(intake->asked && intake->storing);
    intake->asked = false;
    if (was_stopped(intake)) {
        return;
    }
    if (err && err->kind != ERR_NONE) {
        again_soon(intake, 500);
        return;
    }
    batch_judge(&intake->batch, states, len, &intake->aside);
    if (!list_is_empty(&intake->aside)) {
        loop_timer_set(intake->ask_again, ASK_AGAIN_MS);
    }
    if (!intake->batch.len) {
        intake->storing = false;
        flush(intake);
        return;
    }
    intake->judged = true;
    turn_want_intake(&intake->engine->turns);
}

static size_t waiting(void *context)
{
    const struct intake *intake = context;
    return intake->batch.len + intake->waiting_len;
}

/** What the batch wants of this turn: what it extends first, then its rows. */
static void gather(void *context, struct turn_batch *wants)
{
    struct intake *intake = context;
    struct batch *batch = &intake->batch;
    if (!intake->storing) {
        return; /* a drain came first */
    }
    assert(!intake->asked);
    if (!intake->judged) {
        (void)fill_batch(intake); /* what came while it waited */
    }
    bool fine = intake->judged ||
                batch_sources(batch, &wants->sources, &wants->sources_len);
    intake->judged = fine && !wants->sources_len;
    if (intake->judged) {
        wants->rows = batch_rows(batch);
        wants->rows_len = wants->rows ? batch->len : 0;
        wants->known_from_ms = history_known_from_ms(
            &intake->engine->options.days, engine_now_ms(intake->engine));
    }
    intake->asked = wants->sources_len || wants->rows_len;
    if (!intake->asked) {
        log_at(LOG_ERROR, "no memory for a batch of requests; again soon");
        again_soon(intake, 1000);
    }
}

static const struct turn_intake part = {
    .waiting = waiting,
    .gather = gather,
    .on_sources = on_sources,
    .on_stored = on_stored,
};

static void flush(void *context)
{
    struct intake *intake = context;
    if (intake->storing && !intake->asked) {
        turn_soon(&intake->engine->turns); /* perhaps it is enough now */
    }
    if (intake->storing || !intake->engine->clock.known ||
        !store_is_up(intake->engine->edges.store)) {
        return;
    }
    if (!fill_batch(intake) || !intake->batch.len) {
        return;
    }
    intake->storing = true;
    intake->judged = false;
    batch_begin(&intake->batch);
    turn_want_intake(&intake->engine->turns);
}

int64_t intake_ahead_bytes(int64_t bytes_max)
{
    int64_t quarter = bytes_max / 4;
    return quarter < AHEAD_BYTES_MAX ? quarter : AHEAD_BYTES_MAX;
}

/** There is room again. */
static void go_on(void *context)
{
    struct intake *intake = context;
    judge_backlog(intake);
    flush(intake);
    tell_idle(intake);
}

void intake_store_is_back(struct intake *intake)
{
    flush(intake);
}

void intake_stop(struct intake *intake, loop_fn *on_idle, void *context)
{
    assert(!intake->stopped);
    intake->stopped = true;
    intake->rejects.stopped = true;
    intake->on_idle = on_idle;
    intake->idle_context = context;
    set_paused(intake, true);
    while (!list_is_empty(&intake->waiting)) {
        drop(intake, LIST_OWNER(list_pop(&intake->waiting), struct item, link));
    }
    intake->waiting_len = 0;
    while (!list_is_empty(&intake->aside)) {
        drop(intake, LIST_OWNER(list_pop(&intake->aside), struct item, link));
    }
    loop_timer_stop(intake->ask_again);
    if (!intake->asked) {
        loop_timer_stop(intake->retry);
        drop_batch(intake);
    }
    loop_timer_stop(intake->next_turn);
    tell_idle(intake);
}
