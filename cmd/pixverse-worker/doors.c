#include "doors.h"

#include "base/log.h"
#include "topics.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPEN_AGAIN_S 5
#define SPANS_EVERY_MS 5000

static const struct proxy *proxy_said(struct doors *d, const struct settings *s)
{
    return proxy_of(&d->proxy, s->proxy_url, s->proxy_except, s->proxy_ca_file);
}

static const char *file_said(const char *path)
{
    return path[0] ? path : NULL;
}

static bool open_bucket(struct doors *d, const struct settings *s)
{
    for (;;) {
        struct err err = {0};
        d->edges.bucket = bucket_open(d->edges.loop, str_of(s->storage_url),
                                      (int)s->transfers_max, s->video_max_bytes,
                                      proxy_said(d, s), &err);
        if (d->edges.bucket) {
            return true;
        }
        log_at(LOG_ERROR, "storage can't be opened", LOG_TEXT("why", err.text));
        if (err.kind != ERR_TRANSIENT) {
            return false;
        }
        sleep(OPEN_AGAIN_S); /* nothing is served yet: nothing waits for us */
    }
}

static bool open_producer(struct doors *d, const struct settings *s,
                          struct worker *worker, struct err *err)
{
    d->properties = properties_of(s);
    if (!d->properties) {
        return err_set(err, ERR_FATAL, "no memory");
    }
    d->edges.producer =
        producer_open(d->edges.loop, s->kafka_brokers, d->properties,
                      s->kafka_conf_len, worker_producer_state, worker, err);
    return d->edges.producer != NULL;
}

static bool open_consumer(struct doors *d, const struct settings *s,
                          struct worker *worker, struct err *err)
{
    const struct consumer_options options = {
        .brokers = s->kafka_brokers,
        .group = s->kafka_group,
        .topic = s->kafka_request_topic,
        .ahead_bytes = intake_ahead_bytes(s->intake_bytes_max),
        .properties = d->properties,
        .properties_len = s->kafka_conf_len,
    };
    d->consumer = consumer_open(d->edges.loop, &options, worker_message,
                                worker_consumer_state, worker, err);
    return d->consumer != NULL;
}

static bool open_http(struct doors *d, const struct settings *s,
                      struct err *err)
{
    const struct proxy *proxy = proxy_said(d, s);
    const struct http_options submissions = {
        .connections_max = (int)s->submits_max,
        .ca_file = file_said(s->apimart_ca_file),
        .proxy = proxy,
    };
    const struct poller_options polls = {
        .connections_max = (int)s->poll_connections_max,
        .ca_file = file_said(s->apimart_ca_file),
        .proxy = proxy,
    };
    const struct fetcher_options fetcher = {
        .allow_private = s->download_private,
        .bytes_max = s->video_max_bytes,
        .ca_file = file_said(s->asset_ca_file),
        .proxy = s->proxy_assets ? proxy : NULL,
    };
    d->edges.submit_http = http_open(d->edges.loop, &submissions, err);
    d->edges.poller =
        d->edges.submit_http ? poller_open(d->edges.loop, &polls, err) : NULL;
    d->edges.fetcher =
        d->edges.poller ? fetcher_open(d->edges.loop, &fetcher, err) : NULL;
    return d->edges.fetcher != NULL;
}

/** No endpoint: no traces, and nothing of them costs anything. */
static bool open_spans(struct doors *d, const struct settings *s,
                       struct worker *worker, struct err *err)
{
    char url[2100];
    const char *base = s->otel_endpoint;
    const size_t len = strlen(base);
    if (s->otel_traces_endpoint[0]) {
        snprintf(url, sizeof url, "%s", s->otel_traces_endpoint);
    } else {
        snprintf(url, sizeof url, "%s%sv1/traces", base,
                 len && base[len - 1] == '/' ? "" : "/");
    }
    if (s->otel_disabled || (!len && !s->otel_traces_endpoint[0])) {
        return true;
    }
    const struct spans_options options = {
        .url = url,
        .headers = s->otel_headers,
        .service = s->otel_service_name,
        .attributes = s->otel_attributes,
        .sampler = (enum span_sampler)s->otel_sampler,
        .ratio = s->otel_sampler_arg[0] ? strtod(s->otel_sampler_arg, NULL) : 1,
        .every_ms = SPANS_EVERY_MS,
    };
    d->edges.spans =
        spans_open(d->edges.loop, &options, worker_spans_told, worker, err);
    return d->edges.spans != NULL;
}

static bool open_store(struct doors *d, const struct settings *s,
                       struct worker *worker, struct err *err)
{
    const struct store_options options = {
        .url = s->database_url,
        .name = "pixverse-worker",
        .lease_ms = s->lease_ms,
        .accepted_events = s->accepted_events,
    };
    d->edges.store =
        store_open(d->edges.loop, &options, worker_store_state, worker, err);
    if (d->edges.store && s->history_days) {
        d->edges.archive = archive_open(d->edges.loop, &options, err);
        return d->edges.archive != NULL;
    }
    return d->edges.store != NULL;
}

bool doors_open(struct doors *doors, const struct settings *settings,
                struct worker *worker, struct err *err)
{
    *doors = (struct doors){0};
    doors->edges.loop = loop_open(err);
    doors->edges.metrics = metrics_new();
    if (!doors->edges.loop || !doors->edges.metrics ||
        !open_bucket(doors, settings)) {
        return false;
    }
    if (!open_producer(doors, settings, worker, err) ||
        !open_http(doors, settings, err) ||
        !open_spans(doors, settings, worker, err) ||
        !open_store(doors, settings, worker, err)) {
        return false;
    }
    doors->admin = admin_open(doors->edges.loop, settings->admin_listen,
                              worker_answer, worker, err);
    return doors->admin && open_consumer(doors, settings, worker, err);
}

void doors_close(struct doors *doors)
{
    admin_close(doors->admin);
    http_close(doors->edges.submit_http);
    poller_close(doors->edges.poller);
    fetcher_close(doors->edges.fetcher);
    spans_close(doors->edges.spans);
    archive_close(doors->edges.archive);
    store_close(doors->edges.store);
}

/** A drain has closed both by now: what they tell comes through the loop. */
void doors_done(struct doors *doors)
{
    bucket_close(doors->edges.bucket);
    loop_close(doors->edges.loop);
    metrics_free(doors->edges.metrics);
    free(doors->properties);
    explicit_bzero(&doors->proxy, sizeof doors->proxy);
}
