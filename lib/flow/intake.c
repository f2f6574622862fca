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

/** For its turn, whole: what it extends may be finished by now. */
static void wait_for_turn(struct batch *batch)
{
    struct intake *intake = batch->owner;
    batch->stage = BATCH_WAITS;
    batch->judged = false;
    batch_begin(batch);
    turn_want_intake(&intake->engine->turns);
}

static void on_retry(void *context)
{
    wait_for_turn(context);
}

static struct batch *other_of(struct intake *intake, const struct batch *batch)
{
    return &intake->batches[batch == intake->batches];
}

/** false: no memory. */
static bool batches_init(struct intake *intake)
{
    bool fine = true;
    for (size_t i = 0; i < 2; i++) {
        struct batch *batch = &intake->batches[i];
        batch_init(batch, &intake->engine->clock,
                   &intake->engine->options.accounts, intake->options.book,
                   intake->engine->edges.metrics);
        batch->owner = intake;
        batch->retry =
            loop_timer_new(intake->engine->edges.loop, on_retry, batch);
        fine = fine && batch->retry;
    }
    intake->filling = &intake->batches[0];
    return fine;
}

static void batches_done(struct intake *intake)
{
    for (size_t i = 0; i < 2; i++) {
        loop_timer_free(intake->batches[i].retry);
        batch_done(&intake->batches[i]);
    }
}

/** Those whose sources were not finished, before what has come since. */
static void on_ask_again(void *context)
{
    struct intake *intake = context;
    assert(!aside_is_empty(&intake->aside));
    intake->waiting_len += aside_give_back(&intake->aside, &intake->waiting);
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
    aside_init(&intake->aside);
    intake->next_turn = loop_timer_new(engine->edges.loop, flush, intake);
    intake->ask_again =
        loop_timer_new(engine->edges.loop, on_ask_again, intake);
    if (!batches_init(intake) || !intake->next_turn || !intake->ask_again) {
        batches_done(intake);
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

static void drop_batch(struct intake *intake, struct batch *batch)
{
    struct item *item;
    while ((item = batch_pop(batch))) {
        drop(intake, item);
    }
    loop_timer_stop(batch->retry);
    batch->stage = BATCH_FILLS;
}

void intake_done(struct intake *intake)
{
    if (intake->engine) {
        loop_undefer(intake->engine->edges.loop, flush, intake);
    }
    loop_timer_free(intake->next_turn);
    loop_timer_free(intake->ask_again);
    batches_done(intake);
}

static bool is_storing(const struct intake *intake)
{
    return intake->batches[0].stage != BATCH_FILLS ||
           intake->batches[1].stage != BATCH_FILLS;
}

static void tell_idle(struct intake *intake)
{
    if (intake->stopped && intake->on_idle && !is_storing(intake) &&
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
    bool over =
        intake->backlog >= max || intake->blocked >= max * BLOCKED_FACTOR ||
        intake->waiting_len >= WAITING_MAX || intake->bytes >= bytes_max;
    bool under = intake->backlog <= max / 10 * 7 &&
                 intake->blocked <= max * BLOCKED_FACTOR / 10 * 7 &&
                 intake->waiting_len <= WAITING_MAX / 2 &&
                 intake->bytes <= bytes_max / 2;
    metric_set(intake->bytes_gauge, (double)intake->bytes);
    if (over && !intake->paused) {
        log_at(LOG_INFO, "consumption pauses: enough requests are waiting",
               LOG_I64("queued", intake->backlog),
               LOG_I64("blocked", intake->blocked),
               LOG_I64("read_ahead", intake->waiting_len),
               LOG_I64("bytes", intake->bytes));
        set_paused(intake, true);
    } else if (under && intake->paused && !intake->stopped) {
        log_at(LOG_INFO, "consumption goes on",
               LOG_I64("queued", intake->backlog));
        set_paused(intake, false);
    }
}

void intake_backlog(struct intake *intake, int64_t queued, int64_t blocked)
{
    intake->backlog = queued;
    intake->blocked = blocked;
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
    item->came = ++intake->came;
    list_add_tail(&intake->waiting, &item->link);
    intake->waiting_len++;
    if (!intake->paused && (intake->waiting_len >= WAITING_MAX ||
                            intake->bytes >= intake->options.bytes_max)) {
        judge_backlog(intake);
    }
    loop_defer(intake->engine->edges.loop, flush, intake);
}

/** Not before its batch is made: a message that waits is there once, as it
 * came. false: it waits on, for a batch that has its id to be over. */
static bool read_item(struct intake *intake, struct item *item)
{
    assert(intake->waiting_len > 0 && intake->filling);
    const struct batch *other = other_of(intake, intake->filling);
    bool fine = item->read || request_read(item->message->value, &item->arena,
                                           &item->request);
    item->read = fine;
    item_weigh(item);
    const enum request_reject reject_as = item->request.reject;
    if (fine && reject_as == REQUEST_NAMED &&
        batch_has(other, item->request.request_id)) {
        return false;
    }
    list_remove(&item->link);
    intake->waiting_len--;
    if (!fine) {
        log_at(LOG_ERROR, "no memory to read a message; it comes again");
        consumer_again(intake->consumer, item->message);
        item_free(item);
    } else if (reject_as != REQUEST_NAMED) {
        reject(&intake->rejects, item, reject_as);
    } else if (aside_is_before(&intake->aside, item)) {
        aside_add(&intake->aside, item);
    } else {
        batch_add(intake->filling, item);
    }
    return true;
}

/** The producer has a copy of each: half of what may wait at most. */
static bool are_rejections_many(const struct intake *intake)
{
    return intake->rejects.bytes >= intake->options.bytes_max / 2;
}

/** Into the batch, or out to the rejected topic. false: the turn's share is
 * used up, the rest waits for the next. */
static bool fill_batch(struct intake *intake)
{
    struct loop *loop = intake->engine->edges.loop;
    if (intake->turn_ms != loop_boot_ms(loop)) {
        intake->turn_ms = loop_boot_ms(loop);
        intake->turn_bytes = 0;
        intake->turn_us = 0;
    }
    while (!list_is_empty(&intake->waiting) &&
           !batch_is_full(intake->filling) && !are_rejections_many(intake)) {
        if (intake->turn_bytes >= TURN_BYTES_MAX ||
            intake->turn_us >= TURN_US) {
            /* No 0: libuv before 1.45 would have it at once, without end. */
            loop_timer_set(intake->next_turn, 1);
            return false;
        }
        struct item *item = LIST_OWNER(intake->waiting.next, struct item, link);
        int64_t began_us = loop_boot_us(loop);
        intake->turn_bytes += item->read ? 0 : item->message->value.len;
        const bool went = read_item(intake, item);
        intake->turn_us += loop_boot_us(loop) - began_us;
        if (!went) {
            return true;
        }
    }
    return true;
}

/* ---- storing ---- */

static void settle_item(struct intake *intake, struct item *item,
                        enum intake_verdict verdict)
{
    const struct request *request = &item->request;
    const enum request_reject refusal =
        batch_refusal(verdict, &item->request.why);
    if (verdict == INTAKE_POISON) {
        log_at(LOG_ERROR, "the store refuses the data of a message",
               LOG_STR("request_id", request->request_id));
    }
    if (refusal != REQUEST_NAMED) {
        reject(&intake->rejects, item, refusal);
        return;
    }
    if (request->cancel) {
        log_at(LOG_INFO, "a message orders to cancel",
               LOG_STR("request_id", request->request_id),
               LOG_TEXT("kept_until_it_comes",
                        verdict == INTAKE_CANCEL_KEPT ? "yes" : "no"));
    } else if (verdict == INTAKE_NEW) {
        log_at(LOG_INFO, "task", LOG_STR("request_id", request->request_id),
               LOG_TEXT("from", ""),
               LOG_TEXT("to", request->faults.len ? "failed" : "queued"),
               LOG_TEXT("outcome", "RECEIVED"),
               LOG_LAST("why", request_first_fault(request)));
    } else {
        metric_add(intake->repeated, 1);
    }
    CRASHPOINT("offset_before");
    consumer_done(intake->consumer, item->message);
    CRASHPOINT("offset_after");
    item_free(item);
}

static void again_soon(struct batch *batch, int64_t wait_ms)
{
    batch->stage = BATCH_LATER;
    loop_timer_set(batch->retry, wait_ms);
}

/** Whether the batch is over, because nothing more is taken in. */
static bool was_stopped(struct intake *intake, struct batch *batch)
{
    if (intake->stopped) {
        drop_batch(intake, batch);
        tell_idle(intake);
    }
    return intake->stopped;
}

static void not_stored(struct intake *intake, struct batch *batch,
                       const struct err *err)
{
    /* Unknown or not: the same batch again finds its own rows as repeats. */
    batch->retries++;
    log_at(err->kind == ERR_PERMANENT ? LOG_ERROR : LOG_WARN,
           "a batch of requests was not stored; again soon",
           LOG_I64("requests", batch->len), LOG_TEXT("why", err->text));
    if (!was_stopped(intake, batch)) {
        again_soon(batch,
                   retry_wait_ms(batch->retries, 200, 5000,
                                 loop_random(intake->engine->edges.loop)));
    }
}

/** It is empty, and takes what comes if no other does. */
static void is_over(struct intake *intake, struct batch *batch)
{
    assert(batch->len == 0 && batch->stage == BATCH_ASKED);
    batch->stage = BATCH_FILLS;
    intake->filling = intake->filling ? intake->filling : batch;
}

static void on_stored(void *context, const struct intake_result *result)
{
    struct batch *batch = context;
    struct intake *intake = batch->owner;
    assert(batch->stage == BATCH_ASKED);
    if (result->err.kind != ERR_NONE) {
        not_stored(intake, batch, &result->err);
        return;
    }
    CRASHPOINT("intake_committed");
    assert(result->len == batch->len);
    batch->retries = 0;
    bool faulty = false;
    bool good = false;
    bool chained = false;
    for (size_t i = 0; i < result->len; i++) {
        struct item *item = batch_pop(batch);
        if (result->verdicts[i] == INTAKE_NEW) {
            faulty = faulty || item->request.faults.len > 0;
            const bool fine = item->request.faults.len == 0;
            const bool waits = item->request.extend_from_request_id.at != NULL;
            good = good || fine;
            chained = chained || (fine && waits);
            intake->backlog += fine && !waits;
            intake->blocked += fine && waits;
        }
        settle_item(intake, item, result->verdicts[i]);
    }
    is_over(intake, batch);
    if (good) {
        engine_want_claims(intake->engine);
    }
    if (chained) {
        engine_want_expiry(intake->engine); /* its source may have failed */
    }
    if (faulty) {
        engine_want_nobodys(intake->engine); /* their events are to be told */
    }
    if (good && intake->on_new) {
        intake->on_new(intake->new_context);
    }
    judge_backlog(intake);
    flush(intake);
    tell_idle(intake);
}

static void on_sources(void *context, const struct source *sources, size_t len,
                       const struct err *err)
{
    struct batch *batch = context;
    struct intake *intake = batch->owner;
    assert(batch->stage == BATCH_ASKED && !batch->judged);
    if (was_stopped(intake, batch)) {
        return;
    }
    if (err && err->kind != ERR_NONE) {
        again_soon(batch, 500);
        return;
    }
    /* Not put off by each batch that puts more aside. */
    const bool was_empty = aside_is_empty(&intake->aside);
    batch_judge(batch, sources, len, &intake->aside);
    if (was_empty && !aside_is_empty(&intake->aside)) {
        loop_timer_set(intake->ask_again, ASK_AGAIN_MS);
    }
    if (!batch->len) {
        is_over(intake, batch);
        flush(intake);
        return;
    }
    batch->judged = true;
    batch->stage = BATCH_WAITS;
    turn_want_intake(&intake->engine->turns);
}

static size_t waiting(void *context)
{
    const struct intake *intake = context;
    size_t len = intake->waiting_len;
    for (size_t i = 0; i < 2; i++) {
        const struct batch *batch = &intake->batches[i];
        len += batch->stage == BATCH_ASKED ? 0 : batch->len;
    }
    return len;
}

/** The one that has waited longer: what has been in the store before. */
static struct batch *next_of(struct intake *intake)
{
    struct batch *next = NULL;
    for (size_t i = 0; i < 2; i++) {
        struct batch *batch = &intake->batches[i];
        if (batch->stage == BATCH_WAITS && (!next || next == intake->filling)) {
            next = batch;
        }
    }
    return next;
}

/** What a batch wants of this turn: what it extends first, then its rows. */
static void gather(void *context, struct turn_batch *wants)
{
    struct intake *intake = context;
    struct batch *batch = next_of(intake);
    if (!batch) {
        return; /* a drain came first */
    }
    if (batch == intake->filling) {
        (void)fill_batch(intake); /* what came while it waited */
    }
    bool fine = batch->judged ||
                batch_sources(batch, &wants->sources, &wants->sources_len);
    batch->judged = fine && !wants->sources_len;
    if (batch->judged) {
        wants->rows = batch_rows(batch);
        wants->rows_len = wants->rows ? batch->len : 0;
        wants->known_from_ms = history_known_from_ms(
            &intake->engine->options.days, engine_now_ms(intake->engine));
    }
    if (!wants->sources_len && !wants->rows_len) {
        log_at(LOG_ERROR, "no memory for a batch of requests; again soon");
        again_soon(batch, 1000);
    } else {
        wants->context = batch;
        batch->stage = BATCH_ASKED;
    }
    if (batch == intake->filling) {
        struct batch *other = other_of(intake, batch);
        intake->filling = other->stage == BATCH_FILLS ? other : NULL;
    }
    if (next_of(intake)) {
        turn_want_intake(&intake->engine->turns);
    } else {
        loop_defer(intake->engine->edges.loop, flush, intake);
    }
}

static const struct turn_intake part = {
    .waiting = waiting,
    .gather = gather,
    .on_sources = on_sources,
    .on_stored = on_stored,
};

/** One beside another that is not in the store yet, or has not enough in it,
 * would only cost a commit more. */
static bool may_go(struct intake *intake, const struct batch *batch)
{
    const enum batch_stage other = other_of(intake, batch)->stage;
    return other == BATCH_FILLS ||
           (other == BATCH_ASKED && batch_is_full(batch));
}

static void flush(void *context)
{
    struct intake *intake = context;
    struct batch *batch = intake->filling;
    if (next_of(intake)) {
        turn_soon(&intake->engine->turns); /* perhaps it is enough now */
    }
    if (!batch || batch->stage == BATCH_WAITS || !intake->engine->clock.known ||
        !store_is_up(intake->engine->edges.store)) {
        return;
    }
    if (!fill_batch(intake) || !batch->len || !may_go(intake, batch)) {
        return;
    }
    wait_for_turn(batch);
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
    rejects_stop(&intake->rejects);
    intake->on_idle = on_idle;
    intake->idle_context = context;
    set_paused(intake, true);
    (void)aside_give_back(&intake->aside, &intake->waiting);
    while (!list_is_empty(&intake->waiting)) {
        drop(intake, LIST_OWNER(list_pop(&intake->waiting), struct item, link));
    }
    intake->waiting_len = 0;
    loop_timer_stop(intake->ask_again);
    for (size_t i = 0; i < 2; i++) {
        if (intake->batches[i].stage != BATCH_ASKED) {
            drop_batch(intake, &intake->batches[i]);
        }
    }
    loop_timer_stop(intake->next_turn);
    tell_idle(intake);
}
