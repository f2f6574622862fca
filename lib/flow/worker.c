#include "flow/worker.h"

#include "base/log.h"
#include "edge/admin.h"
#include "edge/consumer.h"
#include "flow/engine.h"
#include "flow/fleet.h"
#include "flow/intake.h"
#include "flow/status.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define POLL_CONNECTIONS 32
#define POLLS_AT_ONCE 4096
#define HURRY_BEFORE_MS 10000 /* of the drain's end: transfers are cut short */
#define CLOSE_MS 5000
#define SWEEP_EVERY_MS INT64_C(30000)
/* A download that takes longer would lose its half-stored file, and begin anew. */
#define SWEEP_OLDER_MS INT64_C(21600000)
#define OPEN_AGAIN_S 5
#define FLUSH_MS 500 /* of the log, at the very end */
#define WAITS_FIRST_MS 1000 /* what answers within that isn't waited for */
#define WAITS_EVERY_MS 60000

struct worker {
    const struct settings *settings;
    char name[128];
    struct loop *loop;
    struct engine_edges edges;
    struct consumer *consumer;
    struct admin *admin;
    struct kafka_property *properties;
    struct engine engine;
    struct fleet fleet;
    struct intake intake;
    struct status status;
    struct loop_timer *hurry;
    struct loop_timer *give_up;
    struct loop_timer *sweep;
    bool storage_asked;
    struct loop_timer *waits; /* says what it waits for */
    bool told_waits;
    bool intake_idle;
    bool engine_idle;
    bool draining;
    enum worker_end end;
};

/* ---- draining ------------------------------------------------------------------- */

static void on_producer_closed(void *context)
{
    struct worker *w = context;
    w->edges.producer = NULL;
    loop_stop(w->loop);
}

static void on_consumer_closed(void *context)
{
    struct worker *w = context;
    w->consumer = NULL;
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

static void leave_when_idle(struct worker *w)
{
    if (w->intake_idle && w->engine_idle) {
        fleet_leave(&w->fleet, on_left, w);
    }
}

static void on_intake_idle(void *context)
{
    struct worker *w = context;
    w->intake_idle = true;
    leave_when_idle(w);
}

static void on_engine_idle(void *context)
{
    struct worker *w = context;
    w->engine_idle = true;
    leave_when_idle(w);
}

static void on_hurry(void *context)
{
    struct worker *w = context;
    engine_hurry(&w->engine);
}

static void exit_now(void *context)
{
    (void)context;
    (void)log_flush(FLUSH_MS);
    _exit(WORKER_FAILED); /* whatever is left is safe in the store */
}

static void on_give_up(void *context)
{
    struct worker *w = context;
    log_at(LOG_ERROR, "the drain ran out of time; what is left goes on elsewhere",
           LOG_I64("submissions", w->engine.gate.under_way[SLOT_SUBMIT]),
           LOG_I64("transfers", w->engine.gate.under_way[SLOT_TRANSFER]),
           LOG_I64("announcements", w->engine.gate.under_way[SLOT_ANNOUNCE]));
    loop_timer_free(w->hurry);
    w->hurry = loop_timer_new(w->loop, exit_now, w);
    loop_timer_set(w->hurry, 1000);
    fleet_leave(&w->fleet, exit_now, w);
}

static void drain(void *context)
{
    struct worker *w = context;
    if (w->draining) {
        return;
    }
    w->draining = true;
    w->status.draining = true;
    int64_t drain_ms = w->settings->drain_ms;
    log_at(LOG_INFO, "draining", LOG_I64("tasks", w->engine.jobs.used),
           LOG_I64("at_most_ms", drain_ms));
    int64_t hurry_ms = drain_ms - HURRY_BEFORE_MS;
    loop_timer_set(w->hurry, hurry_ms > drain_ms / 2 ? hurry_ms : drain_ms / 2);
    loop_timer_set(w->give_up, drain_ms);
    intake_stop(&w->intake, on_intake_idle, w);
    engine_drain(&w->engine, on_engine_idle, w);
}

/* ---- states of the doors ----------------------------------------------------------- */

/** Nothing is bought before what is bought could be stored. */
static void on_first_probe(void *context, const struct bucket_result *result)
{
    struct worker *w = context;
    if (result->end != BUCKET_DONE) {
        engine_hold(&w->engine, HOLD_STORAGE, str_of(result->why));
    } else if (result->why[0]) {
        log_at(LOG_WARN, "storage lacks something", LOG_TEXT("what", result->why));
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

static void on_store_state(void *context, bool up, const char *why,
                           bool schema_misfit)
{
    struct worker *w = context;
    bool was_up = w->status.store_up;
    w->status.store_up = up;
    snprintf(w->status.store_why, sizeof w->status.store_why, "%s",
             why ? why : "");
    if (schema_misfit && !was_up) {
        w->status.schema_misfit = true;
        log_at(LOG_ERROR, "the schema does not fit this program",
               LOG_TEXT("why", why));
        w->end = WORKER_MISFIT;
        loop_stop(w->loop);
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

static void on_consumer_state(void *context, bool connected, const char *why)
{
    struct worker *w = context;
    kafka_state(&w->status.consumer_up, w->status.consumer_why,
                sizeof w->status.consumer_why, connected, why, "requests");
    tell_ready(w);
}

static void on_producer_state(void *context, bool connected, const char *why)
{
    struct worker *w = context;
    kafka_state(&w->status.producer_up, w->status.producer_why,
                sizeof w->status.producer_why, connected, why, "events");
    tell_ready(w);
}

static void on_message(void *context, struct message *message)
{
    struct worker *w = context;
    intake_message(&w->intake, message);
}

static void on_backlog(void *context, int64_t queued)
{
    struct worker *w = context;
    intake_backlog(&w->intake, queued);
}

/* ---- opening --------------------------------------------------------------------------- */

static bool open_bucket(struct worker *w)
{
    const struct settings *s = w->settings;
    for (;;) {
        struct err err = {0};
        w->edges.bucket =
            bucket_open(w->loop, str_of(s->storage_url), (int)s->transfers_max,
                        s->video_max_bytes, &err);
        if (w->edges.bucket) {
            return true;
        }
        log_at(LOG_ERROR, "storage can't be opened", LOG_TEXT("why", err.text));
        if (err.kind != ERR_TRANSIENT) {
            return false;
        }
        sleep(OPEN_AGAIN_S); /* nothing is served yet: nothing waits for us */
    }
}

/** One worker does it for all: what crashes left half-stored. */
static void on_sweep(void *context)
{
    struct worker *w = context;
    if (w->fleet.counts && !w->draining) {
        bucket_sweep(w->edges.bucket, w->settings->key_template,
                     SWEEP_OLDER_MS);
    }
    loop_timer_set(w->sweep, SWEEP_EVERY_MS);
}

static bool open_kafka(struct worker *w, struct err *err)
{
    const struct settings *s = w->settings;
    w->properties = calloc(s->kafka_conf_len + 1, sizeof *w->properties);
    if (!w->properties) {
        return err_set(err, ERR_FATAL, "no memory");
    }
    for (size_t i = 0; i < s->kafka_conf_len; i++) {
        w->properties[i] = (struct kafka_property){s->kafka_conf[i].name,
                                                   s->kafka_conf[i].value};
    }
    w->edges.producer =
        producer_open(w->loop, s->kafka_brokers, w->properties,
                      s->kafka_conf_len, on_producer_state, w, err);
    return w->edges.producer != NULL;
}

static bool open_consumer(struct worker *w, struct err *err)
{
    const struct settings *s = w->settings;
    const struct consumer_options options = {
        .brokers = s->kafka_brokers,
        .group = s->kafka_group,
        .topic = s->kafka_request_topic,
        .ahead_bytes = intake_ahead_bytes(s->intake_bytes_max),
        .properties = w->properties,
        .properties_len = s->kafka_conf_len,
    };
    w->consumer = consumer_open(w->loop, &options, on_message,
                                on_consumer_state, w, err);
    w->intake.consumer = w->consumer;
    return w->consumer != NULL;
}

static bool open_http(struct worker *w, struct err *err)
{
    const struct settings *s = w->settings;
    const struct http_options once = {
        .connections_max = (int)s->submits_max,
        .at_once_max = (int)s->submits_max,
        .once = true,
    };
    const struct http_options kept = {
        .connections_max = POLL_CONNECTIONS,
        .at_once_max = POLLS_AT_ONCE,
    };
    const struct fetcher_options fetcher = {
        .allow_private = s->download_private,
        .bytes_max = s->video_max_bytes,
    };
    w->edges.submit_http = http_open(w->loop, &once, err);
    w->edges.poll_http =
        w->edges.submit_http ? http_open(w->loop, &kept, err) : NULL;
    w->edges.fetcher =
        w->edges.poll_http ? fetcher_open(w->loop, &fetcher, err) : NULL;
    return w->edges.fetcher != NULL;
}

static bool open_store(struct worker *w, struct err *err)
{
    const struct store_options options = {
        .url = w->settings->database_url,
        .name = "pixverse-worker",
        .lease_ms = w->settings->lease_ms,
    };
    w->edges.store =
        store_open(w->loop, &options, on_store_state, w, err);
    return w->edges.store != NULL;
}

static struct engine_options engine_options(const struct settings *s)
{
    struct engine_options o = {
        .event_topic = s->kafka_event_topic,
        .progress_topic =
            s->kafka_progress_topic[0] ? s->kafka_progress_topic : NULL,
        .key_template = s->key_template,
        .tasks_max = (int)s->tasks_max,
        .submits_max = (int)s->submits_max,
        .transfers_max = (int)s->transfers_max,
        .generations_max = (int)s->generations_max,
        .poll_interval_ms = s->poll_interval_ms,
        .submit_timeout_ms = s->submit_timeout_ms,
        .deadline_ms = s->deadline_ms,
        .late_ms = s->late_ms,
        .lease_ms = s->lease_ms,
        .submit_doubt = s->submit_doubt,
    };
    o.apimart.base_url = str_of(s->apimart_base_url);
    o.apimart.key = str_of(s->apimart_api_key);
    apimart_account(o.apimart.base_url, o.apimart.key, o.apimart.account);
    return o;
}

static bool open_parts(struct worker *w, struct err *err)
{
    const struct settings *s = w->settings;
    const struct engine_options engine = engine_options(s);
    const struct fleet_options fleet = {
        .name = w->name,
        .lease_ms = s->lease_ms,
        .backlog_max = s->backlog_max,
    };
    const struct intake_options intake = {
        .rejected_topic = s->kafka_rejected_topic,
        .backlog_max = s->backlog_max,
        .bytes_max =
            s->intake_bytes_max - intake_ahead_bytes(s->intake_bytes_max),
    };
    if (!engine_init(&w->engine, &engine, &w->edges, err) ||
        !fleet_init(&w->fleet, &w->engine, &fleet, err) ||
        !intake_init(&w->intake, &w->engine, &intake, err)) {
        return false;
    }
    w->engine.gate.storage_untried = true;
    w->fleet.on_backlog = on_backlog;
    w->fleet.backlog_context = w;
    w->hurry = loop_timer_new(w->loop, on_hurry, w);
    w->give_up = loop_timer_new(w->loop, on_give_up, w);
    w->sweep = loop_timer_new(w->loop, on_sweep, w);
    w->waits = loop_timer_new(w->loop, on_waits, w);
    if (!w->hurry || !w->give_up || !w->sweep || !w->waits) {
        return false;
    }
    loop_timer_set(w->sweep, SWEEP_EVERY_MS);
    loop_timer_set(w->waits, WAITS_FIRST_MS);
    w->told_waits = true;
    return true;
}

/** Where the lease says that this worker answers /task. */
static void advertise(struct worker *w)
{
    const struct settings *s = w->settings;
    char *admin = w->fleet.options.admin;
    const size_t bytes = sizeof w->fleet.options.admin;
    if (s->admin_advertise[0]) {
        snprintf(admin, bytes, "%s", s->admin_advertise);
    } else {
        admin_advertise(s->admin_listen, admin_port(w->admin), admin, bytes);
    }
}

static bool open_all(struct worker *w, struct err *err)
{
    if (!open_kafka(w, err) || !open_http(w, err) || !open_store(w, err)) {
        return false;
    }
    if (!open_parts(w, err)) {
        return false;
    }
    w->status.engine = &w->engine;
    w->status.fleet = &w->fleet;
    w->status.intake = &w->intake;
    w->status.name = w->name;
    w->admin = admin_open(w->loop, w->settings->admin_listen, status_answer,
                          &w->status, err);
    if (!w->admin) {
        return false;
    }
    advertise(w);
    return open_consumer(w, err);
}

static void name_worker(struct worker *w)
{
    char host[64] = "worker";
    gethostname(host, sizeof host - 1);
    snprintf(w->name, sizeof w->name, "%s/%ld/%08x", host, (long)getpid(),
             loop_random(w->loop));
}

static void close_all(struct worker *w)
{
    if (w->admin) {
        admin_close(w->admin);
    }
    if (w->edges.submit_http) {
        http_close(w->edges.submit_http);
    }
    if (w->edges.poll_http) {
        http_close(w->edges.poll_http);
    }
    if (w->edges.fetcher) {
        fetcher_close(w->edges.fetcher);
    }
    if (w->edges.store) {
        store_close(w->edges.store);
    }
}

enum worker_end worker_run(const struct settings *settings)
{
    struct worker *w = calloc(1, sizeof *w);
    struct err err = {0};
    if (!w) {
        return WORKER_FAILED;
    }
    w->settings = settings;
    w->loop = loop_open(&err);
    w->edges.loop = w->loop;
    w->edges.metrics = metrics_new();
    if (!w->loop || !w->edges.metrics || !open_bucket(w)) {
        log_at(LOG_ERROR, "can't start", LOG_TEXT("why", err.text));
        return WORKER_FAILED;
    }
    name_worker(w);
    if (!open_all(w, &err)) {
        log_at(LOG_ERROR, "can't start", LOG_TEXT("why", err.text));
        return WORKER_FAILED;
    }
    loop_on_signal(w->loop, SIGTERM, drain, w);
    loop_on_signal(w->loop, SIGINT, drain, w);
    log_at(LOG_INFO, "started", LOG_TEXT("name", w->name),
           LOG_TEXT("version", PROGRAM_VERSION),
           LOG_TEXT("storage", bucket_name(w->edges.bucket)),
           LOG_I64("admin_port", admin_port(w->admin)));
    loop_run(w->loop);

    enum worker_end end = w->end;
    close_all(w);
    if (end == WORKER_DONE) {
        log_at(LOG_INFO, "drained");
        engine_done(&w->engine);
        intake_done(&w->intake);
        fleet_done(&w->fleet);
        bucket_close(w->edges.bucket);
        loop_timer_free(w->hurry);
        loop_timer_free(w->give_up);
        loop_timer_free(w->sweep);
        loop_timer_free(w->waits);
        loop_close(w->loop);
        metrics_free(w->edges.metrics);
        free(w->properties);
        free(w);
    }
    return end;
}
