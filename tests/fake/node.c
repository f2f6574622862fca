#include "fake/node.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SESSION_MS 6000 /* Kafka takes a silent consumer for gone */

static const char base_url[] = "https://provider.example";
static const char api_key[] = "sk-test";

struct engine_options node_options(void)
{
    struct engine_options o = {
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
        .lease_ms = 5000,
    };
    o.apimart.base_url = (struct str){base_url, sizeof base_url - 1};
    o.apimart.key = (struct str){api_key, sizeof api_key - 1};
    apimart_account(o.apimart.base_url, o.apimart.key, o.apimart.account);
    return o;
}

/* ---- what the doors say ---- */

static void on_store_state(void *context, bool up, const char *why,
                           bool schema_misfit)
{
    struct node *node = context;
    (void)why;
    (void)schema_misfit;
    fleet_store_state(&node->fleet, up);
    if (up) {
        engine_store_is_back(&node->engine);
        intake_store_is_back(&node->intake);
    }
}

static void on_kafka_state(void *context, bool connected, const char *why)
{
    (void)context;
    (void)connected;
    (void)why;
}

static void on_message(void *context, struct message *message)
{
    struct node *node = context;
    intake_message(&node->intake, message);
}

static void on_backlog(void *context, int64_t queued)
{
    struct node *node = context;
    intake_backlog(&node->intake, queued);
}

/* ---- starting ---- */

static void open_edges(struct node *node)
{
    struct err err;
    const struct http_options http = {.connections_max = 32, .at_once_max = 99};
    const struct fetcher_options fetcher = {.bytes_max = 1 << 20};
    const struct store_options store = {.lease_ms = 5000};
    struct engine_edges *edges = &node->edges;
    edges->loop = node->loop;
    edges->metrics = metrics_new();
    edges->submit_http = http_open(node->loop, &http, &err);
    edges->poll_http = http_open(node->loop, &http, &err);
    edges->fetcher = fetcher_open(node->loop, &fetcher, &err);
    edges->bucket = bucket_open(node->loop, STR(""), 4, 1 << 20, &err);
    edges->producer =
        producer_open(node->loop, "", NULL, 0, on_kafka_state, node, &err);
    edges->store = store_open(node->loop, &store, on_store_state, node, &err);
}

struct node *node_start(struct world *world, const char *name,
                        const struct engine_options *options)
{
    struct node *node = calloc(1, sizeof *node);
    struct err err;
    assert(node && world_current() == world);
    const struct engine_options usual = node_options();
    const struct engine_options *o = options ? options : &usual;
    const struct fleet_options fleet = {
        .name = node->name, .lease_ms = o->lease_ms, .backlog_max = 1000};
    const struct intake_options intake = {.rejected_topic = "pixverse.rejected",
                                          .backlog_max = 1000,
                                          .bytes_max = 50331648};
    const struct consumer_options consumer = {.topic = "pixverse.requests"};
    snprintf(node->name, sizeof node->name, "%s", name);
    node->world = world;
    node->loop = loop_open(&err);
    loop_name(node->loop, name);
    open_edges(node);
    bool fine = engine_init(&node->engine, o, &node->edges, &err) &&
                fleet_init(&node->fleet, &node->engine, &fleet, &err) &&
                intake_init(&node->intake, &node->engine, &intake, &err);
    assert(fine);
    (void)fine;
    node->fleet.on_backlog = on_backlog;
    node->fleet.backlog_context = node;
    node->consumer = consumer_open(node->loop, &consumer, on_message,
                                   on_kafka_state, node, &err);
    node->intake.consumer = node->consumer;
    return node;
}

/* ---- ending ---- */

static void forget(void *context)
{
    struct node *node = context;
    if (node->consumer) {
        kafka_forget(node->world, node->consumer);
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

static void on_left(void *context)
{
    struct node *node = context;
    node->drained = true;
    if (node->consumer) {
        consumer_reap(node->consumer);
        node->consumer = NULL;
    }
}

static void leave_when_idle(struct node *node)
{
    if (node->intake_idle && node->engine_idle) {
        fleet_leave(&node->fleet, on_left, node);
    }
}

static void on_intake_idle(void *context)
{
    struct node *node = context;
    node->intake_idle = true;
    leave_when_idle(node);
}

static void on_engine_idle(void *context)
{
    struct node *node = context;
    node->engine_idle = true;
    leave_when_idle(node);
}

void node_drain(struct node *node)
{
    node->draining = true;
    world_tell(node->world, "%s drains", node->name);
    intake_stop(&node->intake, on_intake_idle, node);
    engine_drain(&node->engine, on_engine_idle, node);
}

bool node_is_drained(void *node)
{
    return ((struct node *)node)->drained;
}

void node_free(struct node *node)
{
    loop_kill(node->loop);
    if (!node->draining && node->consumer) {
        intake_stop(&node->intake, NULL, NULL);
    }
    http_close(node->edges.submit_http);
    http_close(node->edges.poll_http);
    fetcher_close(node->edges.fetcher);
    bucket_close(node->edges.bucket);
    producer_reap(node->edges.producer);
    store_close(node->edges.store);
    if (node->consumer) {
        consumer_reap(node->consumer);
    }
    engine_done(&node->engine);
    intake_done(&node->intake);
    fleet_done(&node->fleet);
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

void world_ask(struct world *world, const char *request_id)
{
    world_ask_with(world, request_id, "");
}
