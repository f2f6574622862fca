#include "flow/worker.h"

#include "base/log.h"
#include "flow/engine_told.h"

#include <assert.h>
#include <stdio.h>

/* of the drain's end: transfers are cut short */
#define HURRY_BEFORE_MS 10000
#define GIVE_UP_MS 1000 /* at the very end: for the lease to be given up */
#define CLOSE_MS 5000
#define SPANS_MS 2000
#define SWEEP_EVERY_MS INT64_C(30000)
/* A download that takes longer would lose its half-stored file, and begin
 * anew. */
#define SWEEP_OLDER_MS INT64_C(21600000)
#define WAITS_FIRST_MS 1000 /* what answers within that isn't waited for */
#define WAITS_EVERY_MS 60000

/* ---- draining ---- */

/** The first end counts: what comes in the same turn changes nothing. */
static void end(struct worker *w, enum worker_end how)
{
    assert(how != WORKER_DONE || (!w->consumer && !w->edges.producer));
    if (!w->ended) {
        w->ended = true;
        w->end = how;
        loop_stop(w->edges.loop);
    }
}

static void on_spans_flushed(void *context)
{
    log_at(LOG_INFO, "drained");
    end(context, WORKER_DONE);
}

static void on_producer_closed(void *context)
{
    struct worker *w = context;
    w->edges.producer = NULL;
    if (w->edges.spans) { /* what the last ends were, the collector hears */
        spans_flush(w->edges.spans, SPANS_MS, on_spans_flushed, w);
    } else {
        on_spans_flushed(w);
    }
}

static void on_consumer_closed(void *context)
{
    struct worker *w = context;
    w->consumer = NULL;
    w->intake.consumer = NULL; /* probes may still be answered */
    producer_close(w->edges.producer, CLOSE_MS, on_producer_closed, w);
}

static void on_left(void *context)
{
    struct worker *w = context;
    if (w->consumer) {
        consumer_close(w->consumer, CLOSE_MS, on_consumer_closed, w);
    } else {
        on_consumer_closed(w);
    }
}

static void on_accepted_idle(void *context)
{
    struct worker *w = context;
    if (!w->gave_up) {
        fleet_leave(&w->fleet, on_left, w);
    }
}

static void leave_when_idle(struct worker *w)
{
    if (w->intake_idle && w->engine_idle) {
        accepted_stop(&w->accepted, on_accepted_idle, w);
    }
}

static void on_intake_idle(void *context)
{
    struct worker *w = context;
    assert(w->draining && !w->intake_idle);
    w->intake_idle = true;
    leave_when_idle(w);
}

static void on_engine_idle(void *context)
{
    struct worker *w = context;
    assert(w->draining && !w->engine_idle);
    w->engine_idle = true;
    leave_when_idle(w);
}

static void on_hurry(void *context)
{
    struct worker *w = context;
    engine_hurry(&w->engine);
}

/** Whatever is left is safe in the store. */
static void end_anyway(void *context)
{
    end(context, WORKER_FAILED);
}

static void on_give_up(void *context)
{
    struct worker *w = context;
    assert(w->draining);
    if (w->gave_up) {
        end(w, WORKER_FAILED);
        return;
    }
    log_at(LOG_ERROR,
           "the drain ran out of time; what is left goes on elsewhere",
           LOG_I64("submissions", w->engine.gate.under_way[SLOT_SUBMIT]),
           LOG_I64("transfers", w->engine.gate.under_way[SLOT_TRANSFER]),
           LOG_I64("announcements", w->engine.gate.under_way[SLOT_ANNOUNCE]));
    w->gave_up = true;
    loop_timer_set(w->give_up, GIVE_UP_MS);
    fleet_leave(&w->fleet, end_anyway, w);
}

void worker_drain(void *worker)
{
    struct worker *w = worker;
    if (w->draining) {
        return;
    }
    w->draining = true;
    w->status.draining = true;
    const int64_t drain_ms = w->drain_ms;
    log_at(LOG_INFO, "draining", LOG_I64("tasks", w->engine.jobs.used),
           LOG_I64("at_most_ms", drain_ms));
    int64_t hurry_ms = drain_ms - HURRY_BEFORE_MS;
    loop_timer_set(w->hurry, hurry_ms > drain_ms / 2 ? hurry_ms : drain_ms / 2);
    loop_timer_set(w->give_up, drain_ms);
    history_stop(&w->history);
    intake_stop(&w->intake, on_intake_idle, w);
    engine_drain(&w->engine, on_engine_idle, w);
}

/* ---- states of the doors ---- */

/** Nothing is bought before what is bought could be stored. */
static void on_first_probe(void *context, const struct bucket_result *result)
{
    struct worker *w = context;
    if (result->end != BUCKET_DONE) {
        engine_hold(&w->engine, "", HOLD_STORAGE, str_of(result->why));
    } else if (result->why[0]) {
        log_at(LOG_WARN, "storage lacks something",
               LOG_TEXT("what", result->why));
    } else {
        log_at(LOG_INFO, "storage is there");
    }
    engine_storage_tried(&w->engine);
}

/** Nothing is waited for any more. */
static void tell_ready(struct worker *w)
{
    const struct status *s = &w->status;
    if (w->told_waits && s->store_up && s->consumer_up && s->producer_up) {
        w->told_waits = false;
        log_at(LOG_INFO, "ready: all that was waited for is there");
    }
}

void worker_store_state(void *worker, bool up, const char *why,
                        bool schema_misfit)
{
    struct worker *w = worker;
    bool was_up = w->status.store_up;
    w->status.store_up = up;
    snprintf(w->status.store_why, sizeof w->status.store_why, "%s",
             why ? why : "");
    if (schema_misfit && !was_up) {
        w->status.schema_misfit = true;
        log_at(LOG_ERROR, "the schema does not fit this program",
               LOG_TEXT("why", why));
        end(w, WORKER_MISFIT);
        return;
    }
    if (up != was_up) {
        log_at(up ? LOG_INFO : LOG_WARN,
               up ? "PostgreSQL is there" : "waiting for PostgreSQL",
               LOG_TEXT("why", why ? why : ""));
    }
    tell_ready(w);
    fleet_store_state(&w->fleet, up);
    if (up && !w->storage_asked) { /* a hold needs a place to stand in */
        w->storage_asked = true;
        bucket_probe(w->edges.bucket, on_first_probe, w);
    }
    if (up) {
        engine_store_is_back(&w->engine);
        intake_store_is_back(&w->intake);
        price_book_look(&w->book);
    }
}

/** One line for each change; and for the first reason, which is no change. */
static void kafka_state(bool *is_up, char *text, size_t text_bytes,
                        bool connected, const char *why, const char *who)
{
    bool changed = *is_up != connected || (!connected && !text[0]);
    *is_up = connected;
    snprintf(text, text_bytes, "%s", why ? why : "");
    if (changed) {
        log_at(connected ? LOG_INFO : LOG_WARN,
               connected ? "Kafka is there" : "waiting for Kafka",
               LOG_TEXT("for", who), LOG_TEXT("why", why ? why : ""));
    }
}

static void tell_wait(bool up, const char *whom, const char *use,
                      const char *why)
{
    if (!up) {
        log_at(LOG_WARN, whom, LOG_TEXT("for", use),
               LOG_TEXT("why", why[0] ? why : "no answer yet"));
    }
}

/** From the start, and then once a minute. */
static void on_waits(void *context)
{
    struct worker *w = context;
    const struct status *s = &w->status;
    bool ready = s->store_up && s->consumer_up && s->producer_up;
    loop_timer_set(w->waits, WAITS_EVERY_MS);
    if (w->draining) {
        return;
    }
    tell_wait(s->store_up, "still waiting for PostgreSQL", "rows",
              s->store_why);
    tell_wait(s->consumer_up, "still waiting for Kafka", "requests",
              s->consumer_why);
    tell_wait(s->producer_up, "still waiting for Kafka", "events",
              s->producer_why);
    w->told_waits = !ready;
}

void worker_consumer_state(void *worker, bool connected, const char *why)
{
    struct worker *w = worker;
    kafka_state(&w->status.consumer_up, w->status.consumer_why,
                sizeof w->status.consumer_why, connected, why, "requests");
    tell_ready(w);
}

void worker_producer_state(void *worker, bool connected, const char *why)
{
    struct worker *w = worker;
    kafka_state(&w->status.producer_up, w->status.producer_why,
                sizeof w->status.producer_why, connected, why, "events");
    tell_ready(w);
}

void worker_spans_told(void *worker, int64_t spans, const char *why)
{
    struct worker *w = worker;
    traces_told(&w->traces, spans, why);
}

void worker_message(void *worker, struct message *message)
{
    struct worker *w = worker;
    intake_message(&w->intake, message);
}

static void on_backlog(void *context, int64_t queued, int64_t blocked)
{
    struct worker *w = context;
    intake_backlog(&w->intake, queued, blocked);
}

static void on_beaten(void *context)
{
    struct worker *w = context;
    vitals_look(&w->vitals);
    accepted_look(&w->accepted);
}

void worker_answer(void *worker, struct str path, struct admin_answer *answer)
{
    struct worker *w = worker;
    status_answer(&w->status, path, answer);
}

/* ---- life ---- */

/** One worker does it for all: what crashes left half-stored. */
static void on_sweep(void *context)
{
    struct worker *w = context;
    if (w->fleet.counts && !w->draining) {
        bucket_sweep(w->edges.bucket, w->engine.options.key_template,
                     SWEEP_OLDER_MS);
    }
    loop_timer_set(w->sweep, SWEEP_EVERY_MS);
}

static bool timers_init(struct worker *w, struct err *err)
{
    struct loop *loop = w->edges.loop;
    w->hurry = loop_timer_new(loop, on_hurry, w);
    w->give_up = loop_timer_new(loop, on_give_up, w);
    w->sweep = loop_timer_new(loop, on_sweep, w);
    w->waits = loop_timer_new(loop, on_waits, w);
    if (!w->hurry || !w->give_up || !w->sweep || !w->waits) {
        return err_set(err, ERR_FATAL, "no memory for the worker");
    }
    loop_timer_set(w->sweep, SWEEP_EVERY_MS);
    loop_timer_set(w->waits, WAITS_FIRST_MS);
    w->told_waits = true;
    return true;
}

static void assert_doors(const struct stage_edges *edges)
{
    assert(edges->loop && edges->store && edges->submit_http);
    assert(edges->poller && edges->fetcher && edges->bucket);
    assert(edges->producer && edges->metrics);
}

bool worker_init(struct worker *w, const struct worker_options *options,
                 const struct stage_edges *edges, struct consumer *consumer,
                 struct err *err)
{
    assert(options->drain_ms >= 0 && consumer);
    assert(options->fleet.lease_ms == options->engine.lease_ms);
    assert_doors(edges);
    const struct accepted_options accepted = {
        .on = options->accepted_events,
        .topic = options->engine.event_topic,
    };
    *w = (struct worker){
        .drain_ms = options->drain_ms,
        .edges = *edges,
        .consumer = consumer,
        .status = {.name = options->fleet.name,
                   .engine = &w->engine,
                   .fleet = &w->fleet,
                   .intake = &w->intake},
    };
    struct intake_options intake = options->intake;
    intake.book = &w->book;
    if (!price_book_init(&w->book, edges->loop, edges->store,
                         &options->prices)) {
        return err_set(err, ERR_FATAL, "no memory for the prices");
    }
    if (!engine_init(&w->engine, &options->engine, edges, err) ||
        !fleet_init(&w->fleet, &w->engine, &options->fleet, err) ||
        !intake_init(&w->intake, &w->engine, consumer, &intake, err) ||
        !history_init(&w->history, &w->fleet, edges->archive, err) ||
        !timers_init(w, err)) {
        return false;
    }
    w->engine.gate.storage_untried = true;
    w->fleet.on_backlog = on_backlog;
    w->fleet.backlog_context = w;
    vitals_init(&w->vitals, &w->engine, &w->intake);
    accepted_init(&w->accepted, &w->fleet, &accepted);
    w->intake.on_new = accepted.on ? accepted_want : NULL;
    w->intake.new_context = &w->accepted;
    if (edges->spans) {
        traces_init(&w->traces, edges->metrics);
    }
    w->fleet.on_beaten = on_beaten;
    w->fleet.beaten_context = w;
    return true;
}

void worker_done(struct worker *w)
{
    engine_done(&w->engine);
    intake_done(&w->intake);
    accepted_done(&w->accepted);
    price_book_done(&w->book);
    history_done(&w->history);
    fleet_done(&w->fleet);
    loop_timer_free(w->hurry);
    loop_timer_free(w->give_up);
    loop_timer_free(w->sweep);
    loop_timer_free(w->waits);
}
