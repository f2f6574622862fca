#include "edge/consumer.h"

#include "fake/kafka.h"
#include "fake/store.h"
#include "fake/world_loop.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* lib/edge/consumer.h over topics in memory. */

#define HANDED_AT_ONCE 20

struct consumer {
    consumer_state_fn *on_state;
    void *state_context;
    struct list link; /* in kafka->consumers */
    struct list ops;
    struct world *world;
    struct loop *loop;
    consumer_message_fn *on_message;
    void *context;
    size_t out;
    bool paused;
    bool pumping;
    bool gone;         /* no member any more */
    struct list later; /* given back for lack of memory */
};

struct handed {
    struct list link;
    struct message message;
    struct consumer *consumer;
    int generation;
    char *key;
    char *value;
};

/* ---- topics ---- */

struct kafka *kafka_open(struct world *world)
{
    struct kafka *kafka = calloc(1, sizeof *kafka);
    assert(kafka);
    kafka->world = world;
    list_init(&kafka->consumers);
    return kafka;
}

void kafka_close(struct kafka *kafka)
{
    for (int p = 0; p < PARTITIONS; p++) {
        for (size_t i = 0; i < kafka->partitions[p].len; i++) {
            free(kafka->partitions[p].messages[i].key);
            free(kafka->partitions[p].messages[i].value);
        }
        free(kafka->partitions[p].messages);
    }
    for (size_t i = 0; i < kafka->records_len; i++) {
        free(kafka->records[i].topic);
        free(kafka->records[i].key);
        free(kafka->records[i].value);
        free(kafka->records[i].headers);
    }
    free(kafka->records);
    free(kafka);
}

struct pump {
    struct op op;
    struct consumer *consumer;
};

static void pump(struct consumer *consumer);

static void hand_out(struct consumer *consumer, int p)
{
    struct kafka *kafka = consumer->world->kafka;
    size_t offset = kafka->partitions[p].position++;
    const struct incoming *in = &kafka->partitions[p].messages[offset];
    struct handed *handed = calloc(1, sizeof *handed);
    assert(handed);
    list_init(&handed->link);
    handed->consumer = consumer;
    handed->generation = kafka->partitions[p].generation;
    handed->key = in->key ? strdup(in->key) : NULL;
    handed->value = in->value ? strdup(in->value) : NULL;
    handed->message = (struct message){
        .topic = STR("pixverse.requests"),
        .partition = p,
        .offset = (int64_t)offset,
        .produced_ms = kafka->produced_ms,
        .key = str_of(handed->key),
        .value = str_of(handed->value),
        .headers = kafka->headers,
        .headers_len = kafka->headers_len,
        .inside = handed,
    };
    consumer->out++;
    consumer->on_message(consumer->context, &handed->message);
}

static void on_pump(struct op *op)
{
    struct consumer *consumer = ((struct pump *)op)->consumer;
    struct kafka *kafka = consumer->world->kafka;
    consumer->pumping = false;
    op_end(op);
    int handed = 0;
    bool more = false;
    for (int p = 0; p < PARTITIONS; p++) {
        while (kafka->partitions[p].owner == consumer && !consumer->paused &&
               handed < HANDED_AT_ONCE &&
               kafka->partitions[p].position < kafka->partitions[p].len) {
            hand_out(consumer, p);
            handed++;
        }
        more = more || kafka->partitions[p].position < kafka->partitions[p].len;
    }
    if (handed && more) {
        pump(consumer);
    }
}

static void pump(struct consumer *consumer)
{
    if (consumer->pumping || consumer->gone) {
        return;
    }
    consumer->pumping = true;
    struct pump *op = op_new(consumer->loop, &consumer->ops, sizeof *op);
    op->consumer = consumer;
    op_on_loop(&op->op, 1 + world_pick(consumer->world, 5), on_pump);
}

static void rebalance(struct kafka *kafka)
{
    struct consumer *members[64];
    size_t len = 0;
    for (struct list *at = kafka->consumers.next; at != &kafka->consumers;
         at = at->next) {
        struct consumer *consumer = LIST_OWNER(at, struct consumer, link);
        if (!consumer->gone) {
            assert(len < 64);
            members[len++] = consumer;
        }
    }
    for (int p = 0; p < PARTITIONS; p++) {
        struct consumer *owner = len ? members[(size_t)p % len] : NULL;
        if (kafka->partitions[p].owner == owner) {
            continue;
        }
        kafka->partitions[p].owner = owner;
        kafka->partitions[p].generation++;
        kafka->partitions[p].position = kafka->partitions[p].committed;
        for (size_t i = kafka->partitions[p].committed;
             i < kafka->partitions[p].len; i++) {
            kafka->partitions[p].messages[i].done = false;
        }
        if (owner) {
            pump(owner);
        }
    }
}

void kafka_request(struct world *world, const char *value)
{
    kafka_request_to(world, (int)world_pick(world, PARTITIONS), value);
}

void kafka_request_to(struct world *world, int p, const char *value)
{
    struct kafka *kafka = world->kafka;
    assert(p >= 0 && p < PARTITIONS);
    size_t len = kafka->partitions[p].len;
    kafka->partitions[p].messages =
        realloc(kafka->partitions[p].messages,
                (len + 1) * sizeof(*kafka->partitions[p].messages));
    assert(kafka->partitions[p].messages);
    kafka->partitions[p].messages[len] =
        (struct incoming){.key = strdup("k"), .value = strdup(value)};
    kafka->partitions[p].len++;
    if (kafka->partitions[p].owner) {
        pump(kafka->partitions[p].owner);
    }
}

void kafka_forget(struct world *world, struct consumer *consumer)
{
    consumer->gone = true;
    rebalance(world->kafka);
}

static bool is_stored(const struct world *world, const char *value)
{
    static const char name[] = "\"request_id\":\"";
    char id[140];
    const char *at = strstr(value, name);
    at = at ? at + sizeof name - 1 : "";
    snprintf(id, sizeof id, "%.*s", (int)strcspn(at, "\""), at);
    const struct record_of *record = tables_find(world->tables, id);
    return strstr(value, "\"cancel\":true")
               ? (record && record->ordered) || tables_keeps(world->tables, id)
               : record != NULL;
}

static bool is_rejected(const struct kafka *kafka, const char *value)
{
    for (size_t i = 0; i < kafka->records_len; i++) {
        if (strcmp(kafka->records[i].topic, "pixverse.rejected") == 0 &&
            strcmp(kafka->records[i].value, value) == 0) {
            return true;
        }
    }
    return false;
}

void kafka_look(struct world *world)
{
    const struct kafka *kafka = world->kafka;
    for (int p = 0; p < PARTITIONS; p++) {
        for (size_t i = 0; i < kafka->partitions[p].committed; i++) {
            const char *value = kafka->partitions[p].messages[i].value;
            if (!is_stored(world, value) && !is_rejected(kafka, value)) {
                world_fault(world, "committed, and not stored", value);
            }
        }
    }
}

/* ---- the edge ---- */

static void on_connected(void *context)
{
    struct consumer *consumer = context;
    consumer->on_state(consumer->state_context, true, NULL);
}

struct consumer *consumer_open(struct loop *loop,
                               const struct consumer_options *options,
                               consumer_message_fn *on_message,
                               consumer_state_fn *on_state, void *context,
                               struct err *err)
{
    (void)options;
    (void)err;
    struct consumer *consumer = calloc(1, sizeof *consumer);
    assert(consumer);
    consumer->world = loop_world(loop);
    consumer->loop = loop;
    consumer->on_message = on_message;
    consumer->context = context;
    list_init(&consumer->ops);
    list_init(&consumer->later);
    list_init(&consumer->link);
    list_add_tail(&consumer->world->kafka->consumers, &consumer->link);
    rebalance(consumer->world->kafka);
    consumer->on_state = on_state;
    consumer->state_context = context;
    world_on_loop(consumer->world, loop, 0, on_connected, NULL, consumer);
    return consumer;
}

void consumer_pause(struct consumer *consumer)
{
    consumer->paused = true;
}

void consumer_resume(struct consumer *consumer)
{
    consumer->paused = false;
    pump(consumer);
}

static void free_handed(struct message *message)
{
    struct handed *handed = message->inside;
    handed->consumer->out--;
    free(handed->key);
    free(handed->value);
    free(handed);
}

static void commit(struct kafka *kafka, int p)
{
    size_t at = kafka->partitions[p].committed;
    while (at < kafka->partitions[p].position &&
           kafka->partitions[p].messages[at].done) {
        at++;
    }
    kafka->partitions[p].committed = at;
}

void consumer_done(struct consumer *consumer, struct message *message)
{
    struct handed *handed = message->inside;
    struct kafka *kafka = consumer->world->kafka;
    int p = message->partition;
    if (handed->generation == kafka->partitions[p].generation &&
        !consumer->gone) {
        kafka->partitions[p].messages[message->offset].done = true;
        if (world_chance(consumer->world, 700)) {
            commit(kafka, p); /* what is done and not committed comes again */
        }
    }
    free_handed(message);
}

void consumer_drop(struct consumer *consumer, struct message *message)
{
    (void)consumer;
    free_handed(message);
}

static void on_again(struct op *op)
{
    struct consumer *consumer = ((struct pump *)op)->consumer;
    struct list again;
    op_end(op);
    list_init(&again);
    while (!list_is_empty(&consumer->later)) {
        list_add_tail(&again, list_pop(&consumer->later));
    }
    while (!list_is_empty(&again)) {
        struct handed *handed =
            LIST_OWNER(list_pop(&again), struct handed, link);
        const int p = handed->message.partition;
        consumer->out++;
        if (handed->generation ==
            consumer->world->kafka->partitions[p].generation) {
            consumer->on_message(consumer->context, &handed->message);
        } else {
            free_handed(&handed->message);
        }
    }
}

void consumer_again(struct consumer *consumer, struct message *message)
{
    struct handed *handed = message->inside;
    consumer->out--;
    if (list_is_empty(&consumer->later)) {
        struct pump *op = op_new(consumer->loop, &consumer->ops, sizeof *op);
        op->consumer = consumer;
        op_on_loop(&op->op, 1000, on_again);
    }
    list_add_tail(&consumer->later, &handed->link);
}

size_t consumer_out(const struct consumer *consumer)
{
    return consumer->out;
}

int64_t consumer_lag(const struct consumer *consumer)
{
    (void)consumer;
    return -1;
}

void consumer_reap(struct consumer *consumer)
{
    assert(consumer->out == 0);
    while (!list_is_empty(&consumer->later)) {
        struct handed *handed =
            LIST_OWNER(list_pop(&consumer->later), struct handed, link);
        consumer->out++;
        free_handed(&handed->message);
    }
    consumer->gone = true;
    rebalance(consumer->world->kafka);
    while (!list_is_empty(&consumer->ops)) {
        op_end(LIST_OWNER(consumer->ops.next, struct op, link));
    }
    list_remove(&consumer->link);
    free(consumer);
}

void kafka_forget_stopped(void *loop)
{
    struct world *world = loop_world(loop);
    struct list *all = &world->kafka->consumers;
    for (struct list *at = all->next; at != all; at = at->next) {
        struct consumer *consumer = LIST_OWNER(at, struct consumer, link);
        if (consumer->loop == loop) {
            kafka_forget(world, consumer);
            return;
        }
    }
}

struct closing {
    struct consumer *consumer;
    loop_fn *on_closed;
    void *context;
};

static void on_closing(void *context)
{
    struct closing closing = *(struct closing *)context;
    free(context);
    consumer_reap(closing.consumer);
    closing.on_closed(closing.context);
}

void consumer_close(struct consumer *consumer, int64_t timeout_ms,
                    loop_fn *on_closed, void *context)
{
    (void)timeout_ms;
    struct kafka *kafka = consumer->world->kafka;
    for (int p = 0; p < PARTITIONS; p++) {
        if (kafka->partitions[p].owner == consumer) {
            commit(kafka, p);
        }
    }
    struct closing *closing = malloc(sizeof *closing);
    assert(closing);
    *closing = (struct closing){consumer, on_closed, context};
    world_on_loop(consumer->world, consumer->loop, 0, on_closing, free,
                  closing);
}
