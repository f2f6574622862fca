#include "fake/node.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_MS 55000 /* the setting's default */

static const char base_url[] = "https://provider.example";
static const char api_key[] = "sk-test";

struct stage_options node_options(void)
{
    struct stage_options o = {
        .submit_doubt = DOUBT_AUTO,
        .event_topic = "pixverse.events",
        .progress_topic = "pixverse.progress",
        .key_template = "{tenant}/{request_id}/{index}.mp4",
        .tasks_max = 1000,
        .submits_max = 8,
        .transfers_max = 4,
        .poll_interval_ms = 5000,
        .submit_timeout_ms = 45000,
        .deadline_ms = 10800000,
        .late_ms = 86400000,
        .chain_wait_ms = 86400000,
        .lease_ms = 5000,
    };
    accounts_one((struct str){base_url, sizeof base_url - 1},
                 (struct str){api_key, sizeof api_key - 1}, &o.accounts);
    return o;
}

static const char *no_file(const char *path, struct arena *arena,
                           const char **why)
{
    (void)path;
    (void)arena;
    *why = "no files here";
    return NULL;
}

void node_accounts(struct stage_options *options, const char *json)
{
    static struct arena texts; /* options have no end */
    struct buf faults;
    buf_init(&faults, 0);
    const struct accounts_reading reading = {
        .json = str_of(json),
        .base_url = (struct str){base_url, sizeof base_url - 1},
        .read_file = no_file,
        .arena = &texts,
        .faults = &faults,
        .warnings = &faults,
    };
    if (!texts.chunk_bytes) {
        arena_init(&texts, 1024, 0);
    }
    bool fine = accounts_parse(&reading, &options->accounts);
    assert(fine);
    (void)fine;
    buf_done(&faults);
}

/* ---- starting ---- */

static void open_edges(struct node *node, const struct history_days *days)
{
    struct err err;
    const struct http_options http = {.connections_max = 32};
    const struct poller_options polls = {.connections_max = 32};
    const struct fetcher_options fetcher = {.bytes_max = 1 << 20};
    const struct store_options store = {.lease_ms = 5000};
    struct stage_edges *edges = &node->edges;
    edges->loop = node->loop;
    edges->metrics = metrics_new();
    edges->submit_http = http_open(node->loop, &http, &err);
    if (node->world->traced) {
        const struct spans_options spans = {.every_ms = 1000};
        edges->spans = spans_open(node->loop, &spans, worker_spans_told,
                                  &node->worker, &err);
    }
    edges->poller = poller_open(node->loop, &polls, &err);
    edges->fetcher = fetcher_open(node->loop, &fetcher, &err);
    edges->bucket = bucket_open(node->loop, STR(""), 4, 1 << 20, NULL, &err);
    edges->producer = producer_open(node->loop, "", NULL, 0,
                                    worker_producer_state, &node->worker, &err);
    edges->store =
        store_open(node->loop, &store, worker_store_state, &node->worker, &err);
    if (days->history) {
        edges->archive = archive_open(node->loop, &store, &err);
    }
}

struct node *node_start(struct world *world, const char *name,
                        const struct stage_options *options)
{
    struct node *node = calloc(1, sizeof *node);
    struct err err;
    assert(node && world_current() == world);
    const struct stage_options usual = node_options();
    const struct stage_options *o = options ? options : &usual;
    const struct worker_options worker = {
        .engine = *o,
        .fleet = {.name = node->name, .lease_ms = o->lease_ms},
        .intake = {.rejected_topic = "pixverse.rejected",
                   .backlog_max = 1000,
                   .bytes_max = 50331648},
        .drain_ms = DRAIN_MS,
        .accepted_events = world->tables->accepted_events,
    };
    const struct consumer_options consumer = {.topic = "pixverse.requests"};
    snprintf(node->name, sizeof node->name, "%s", name);
    node->world = world;
    node->loop = loop_open(&err);
    loop_name(node->loop, name);
    open_edges(node, &o->days);
    struct consumer *requests =
        consumer_open(node->loop, &consumer, worker_message,
                      worker_consumer_state, &node->worker, &err);
    bool fine =
        worker_init(&node->worker, &worker, &node->edges, requests, &err);
    assert(fine);
    (void)fine;
    return node;
}

/* ---- ending ---- */

static void forget(void *context)
{
    struct node *node = context;
    if (node->worker.consumer) {
        kafka_forget(node->world, node->worker.consumer);
    }
}

void node_kill(struct node *node)
{
    node->killed = true;
    loop_kill(node->loop);
    world_tell(node->world, "%s is killed", node->name);
    world_at(node->world, SESSION_MS, forget, node);
}

void node_freeze(struct node *node, int64_t ms)
{
    world_tell(node->world, "%s freezes", node->name);
    loop_freeze(node->loop, ms);
}

void node_drain(struct node *node)
{
    world_tell(node->world, "%s drains", node->name);
    worker_drain(&node->worker);
}

bool node_is_drained(void *node)
{
    const struct worker *worker = &((struct node *)node)->worker;
    return worker->ended && worker->end == WORKER_DONE;
}

void node_free(struct node *node)
{
    loop_kill(node->loop);
    if (!node->worker.draining) {
        intake_stop(&node->worker.intake, NULL, NULL);
    }
    http_close(node->edges.submit_http);
    poller_close(node->edges.poller);
    fetcher_close(node->edges.fetcher);
    spans_close(node->edges.spans);
    bucket_close(node->edges.bucket);
    if (node->worker.edges.producer) {
        producer_reap(node->worker.edges.producer);
    }
    archive_close(node->edges.archive);
    store_close(node->edges.store);
    if (node->worker.consumer) {
        consumer_reap(node->worker.consumer);
    }
    worker_done(&node->worker);
    metrics_free(node->edges.metrics);
    loop_close(node->loop);
    free(node);
}

/* ---- requests ---- */

void world_ask_with(struct world *world, const char *request_id,
                    const char *more)
{
    char text[600];
    snprintf(text, sizeof text,
             "{\"request_id\":\"%s\",\"request\":{\"prompt\":\"%s\"}%s}",
             request_id, request_id, more);
    kafka_request(world, text);
}

void world_extend(struct world *world, const char *request_id,
                  const char *source, const char *more)
{
    char text[600];
    snprintf(text, sizeof text,
             "{\"request_id\":\"%s\",\"request\":{\"prompt\":\"%s\","
             "\"extend_from_request_id\":\"%s\"}%s}",
             request_id, request_id, source, more);
    kafka_request(world, text);
}

void world_ask(struct world *world, const char *request_id)
{
    world_ask_with(world, request_id, "");
}

void world_cancel(struct world *world, const char *request_id,
                  const char *tenant)
{
    char text[200];
    snprintf(text, sizeof text,
             "{\"request_id\":\"%s\",\"cancel\":true,\"tenant\":\"%s\"}",
             request_id, tenant);
    kafka_request(world, text);
}
