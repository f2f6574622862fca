#include "flow/intake.h"

#include "base/crashpoint.h"
#include "base/log.h"
#include "core/event.h"
#include "core/request.h"
#include "core/retry.h"
#include "core/trace.h"
#include "flow/engine_told.h"
#include "flow/item.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MAX 500
#define WAITING_MAX 4000 /* messages read ahead while the store is slow */
/** One batch: raw and read, as rows and as what goes to the store, each of its
 * bytes is there several times. */
#define BATCH_BYTES_MAX 4000000
/** What one turn of the loop reads; a message that has begun is finished. */
#define TURN_BYTES_MAX 1048576
#define TURN_US 20000
#define AHEAD_BYTES_MAX INT64_C(16777216)

static void flush(void *context);
static void go_on(void *context);

/* ---- life ---- */

static void on_retry(void *context)
{
    struct intake *intake = context;
    intake->storing = false;
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
    list_init(&intake->batch);
    arena_init(&intake->arena, 65536, 0);
    intake->retry = loop_timer_new(engine->edges.loop, on_retry, intake);
    intake->next_turn = loop_timer_new(engine->edges.loop, flush, intake);
    if (!intake->retry || !intake->next_turn) {
        loop_timer_free(intake->retry);
        loop_timer_free(intake->next_turn);
        return err_set(err, ERR_FATAL, "no memory for the intake");
    }
    intake->received =
        metric_get(m, METRIC_COUNTER, "pixverse_received_total", NULL,
                   "Messages read from the request topic.");
    rejects_init(&intake->rejects, &rejects, m);
    intake->repeated =
        metric_get(m, METRIC_COUNTER, "pixverse_repeated_total", NULL,
                   "Messages whose request was known already.");
    intake->invalid = metric_get(m, METRIC_COUNTER, "pixverse_invalid_total",
                                 NULL, "Requests that failed validation.");
    intake->paused_gauge =
        metric_get(m, METRIC_GAUGE, "pixverse_intake_paused", NULL,
                   "1 while consumption is paused for the backlog, or for "
                   "what waits to be stored.");
    intake->bytes_gauge =
        metric_get(m, METRIC_GAUGE, "pixverse_intake_bytes", NULL,
                   "Bytes of messages that wait to be stored or rejected.");
    return true;
}

static void drop_all(struct intake *intake, struct list *items)
{
    while (!list_is_empty(items)) {
        struct item *item = LIST_OWNER(items->next, struct item, link);
        consumer_drop(intake->consumer, item->message);
        item_free(item);
    }
}

void intake_done(struct intake *intake)
{
    loop_timer_free(intake->retry);
    loop_timer_free(intake->next_turn);
    arena_done(&intake->arena);
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
    list_add_tail(&intake->batch, &item->link);
    intake->batch_len++;
    intake->batch_bytes += item->bytes;
}

static bool is_batch_full(const struct intake *intake)
{
    return intake->batch_len >= BATCH_MAX ||
           intake->batch_bytes >= BATCH_BYTES_MAX;
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
    while (!list_is_empty(&intake->waiting) && !is_batch_full(intake) &&
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

/** The first of that name that is well formed: one that isn't is dropped, never
 * the request. */
static struct str header_of(const struct message *message, const char *name,
                            bool (*fits)(struct str value))
{
    for (size_t i = 0; i < message->headers_len; i++) {
        if (str_eq_nocase(message->headers[i].name, str_of(name)) &&
            fits(message->headers[i].value)) {
            return message->headers[i].value;
        }
    }
    return (struct str){0};
}

static struct str event_of_faulty(struct intake *intake, struct item *item,
                                  const struct intake_row *row)
{
    const struct task_row task = {
        .state = FAILED,
        .kind = FAILURE_INVALID_REQUEST,
        .received_ms = row->received_ms,
        .settled_ms = row->received_ms,
    };
    const struct facts facts = {
        .request_id = row->request_id,
        .tenant = row->tenant,
        .mode = row->mode,
        .metadata = row->metadata,
        .warnings = row->warnings,
        .traceparent = row->traceparent,
        .tracestate = row->tracestate,
        .received_ms = row->received_ms,
    };
    const struct failure failure = {
        .kind = FAILURE_INVALID_REQUEST,
        .message = item->request.faults.items[0].message,
    };
    metric_add(intake->invalid, 1);
    return str_of(event_render(&task, &facts, &failure, &item->request.faults,
                               NULL, 0, &intake->arena));
}

static struct str new_key(struct intake *intake)
{
    unsigned char random[16];
    char hex[33];
    loop_random_bytes(intake->engine->edges.loop, random, sizeof random);
    str_hex(random, sizeof random, hex);
    return str_of(arena_printf(&intake->arena, "pixverse-worker-%s", hex));
}

/** false: no memory. A faulty request without its event would be bought. */
static bool fill_row(struct intake *intake, struct item *item,
                     struct intake_row *row)
{
    const struct request *request = &item->request;
    *row = (struct intake_row){
        .request_id = request->request_id,
        .tenant = request->tenant,
        .mode = request->mode,
        .priority = request->priority,
        .deadline_seconds = request->deadline_seconds,
        .metadata = request->metadata,
        .warnings = details_to_json(&request->warnings, &intake->arena),
        .traceparent =
            header_of(item->message, "traceparent", trace_parent_fits),
        .body = request->body,
        .idempotency_key = new_key(intake),
        .received_ms = engine_now_ms(intake->engine),
    };
    if (row->traceparent.at) { /* without it the state says nothing */
        row->tracestate =
            header_of(item->message, "tracestate", trace_state_fits);
    }
    memcpy(row->content, request->content, sizeof row->content);
    if (request->faults.len) {
        row->body = (struct str){0};
        row->event = event_of_faulty(intake, item, row);
        return row->event.at != NULL;
    }
    return true;
}

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

static void on_stored(void *context, const struct intake_result *result)
{
    struct intake *intake = context;
    assert(intake->asked && intake->storing);
    intake->asked = false;
    if (result->err.kind != ERR_NONE) {
        /* Unknown or not: the same batch again finds its own rows as
         * repeats. */
        intake->retries++;
        int64_t wait_ms =
            retry_wait_ms(intake->retries, 200, 5000,
                          loop_random(intake->engine->edges.loop));
        log_at(result->err.kind == ERR_PERMANENT ? LOG_ERROR : LOG_WARN,
               "a batch of requests was not stored; again soon",
               LOG_I64("requests", intake->batch_len),
               LOG_TEXT("why", result->err.text));
        if (intake->stopped) {
            drop_all(intake, &intake->batch);
            intake->storing = false;
            tell_idle(intake);
            return;
        }
        loop_timer_set(intake->retry, wait_ms);
        return;
    }
    CRASHPOINT("intake_committed");
    assert(result->len == intake->batch_len);
    intake->retries = 0;
    intake->storing = false;
    bool faulty = false;
    bool good = false;
    for (size_t i = 0; i < result->len; i++) {
        struct item *item =
            LIST_OWNER(list_pop(&intake->batch), struct item, link);
        if (result->verdicts[i] == INTAKE_NEW) {
            faulty = faulty || item->request.faults.len > 0;
            good = good || item->request.faults.len == 0;
            intake->backlog += item->request.faults.len == 0;
        }
        settle_item(intake, item, result->verdicts[i]);
    }
    assert(list_is_empty(&intake->batch));
    intake->batch_len = 0;
    intake->batch_bytes = 0;
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

static void again_soon(struct intake *intake)
{
    log_at(LOG_ERROR, "no memory for a batch of requests; again soon");
    loop_timer_set(intake->retry, 1000);
}

static void store_batch(struct intake *intake)
{
    struct intake_row *rows =
        arena_alloc(&intake->arena, intake->batch_len * sizeof *rows);
    size_t len = 0;
    bool fine = rows != NULL;
    for (struct list *at = intake->batch.next; rows && at != &intake->batch;
         at = at->next) {
        fine =
            fill_row(intake, LIST_OWNER(at, struct item, link), &rows[len++]) &&
            fine;
    }
    if (!fine || intake->arena.failed) {
        again_soon(intake);
        return;
    }
    /* Owner 0: faulty rows are orphans at once, so that whoever has room tells
     * their end, even if this process dies now. */
    intake->asked = true;
    CRASHPOINT("intake_before");
    store_intake(intake->engine->edges.store, 0, rows, len, on_stored, intake);
    CRASHPOINT("intake_sent");
}

static void on_sources(void *context, const enum source_state *states,
                       size_t len, const struct err *err)
{
    struct intake *intake = context;
    assert(intake->asked && intake->storing);
    intake->asked = false;
    if (intake->stopped) {
        drop_all(intake, &intake->batch);
        intake->storing = false;
        tell_idle(intake);
        return;
    }
    if (err && err->kind != ERR_NONE) {
        loop_timer_set(intake->retry, 500);
        return;
    }
    size_t i = 0;
    for (struct list *at = intake->batch.next; at != &intake->batch;
         at = at->next) {
        struct item *item = LIST_OWNER(at, struct item, link);
        if (!item->request.extend_from_task_id.at) {
            continue;
        }
        assert(i < len);
        enum source_state state = states[i++];
        if (item->request.faults.len) {
            continue; /* judged in an earlier try, or faulty anyway */
        }
        if (state == SOURCE_FAILED || state == SOURCE_UNFINISHED) {
            request_add_fault(&item->request, &item->arena,
                              "extend_from_task_id", "not_allowed",
                              state == SOURCE_FAILED
                                  ? "extend_from_task_id names a task that "
                                    "failed, allowed: a completed one"
                                  : "extend_from_task_id names a task that is "
                                    "not finished, allowed: a completed one");
        }
    }
    store_batch(intake);
}

static void ask_sources(struct intake *intake)
{
    struct str *ids =
        arena_alloc(&intake->arena, intake->batch_len * sizeof *ids);
    size_t len = 0;
    for (struct list *at = intake->batch.next; ids && at != &intake->batch;
         at = at->next) {
        const struct item *item = LIST_OWNER(at, struct item, link);
        if (item->request.extend_from_task_id.at) {
            ids[len++] = item->request.extend_from_task_id;
        }
    }
    if (!ids) {
        again_soon(intake);
    } else if (len) {
        intake->asked = true;
        store_sources(intake->engine->edges.store, ids, len, on_sources,
                      intake);
    } else {
        store_batch(intake);
    }
}

static void flush(void *context)
{
    struct intake *intake = context;
    if (intake->storing || !intake->engine->clock.known ||
        !store_is_up(intake->engine->edges.store)) {
        return;
    }
    if (!fill_batch(intake) || !intake->batch_len) {
        return;
    }
    intake->storing = true;
    arena_reset(&intake->arena);
    ask_sources(intake);
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
    drop_all(intake, &intake->waiting);
    intake->waiting_len = 0;
    if (!intake->asked) {
        loop_timer_stop(intake->retry);
        drop_all(intake, &intake->batch);
        intake->batch_len = 0;
        intake->storing = false;
    }
    loop_timer_stop(intake->next_turn);
    tell_idle(intake);
}
