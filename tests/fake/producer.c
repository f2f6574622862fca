#include "edge/producer.h"

#include "fake/kafka.h"
#include "fake/store.h"
#include "fake/watch.h"
#include "fake/world_loop.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* lib/edge/producer.h over topics in memory. */

struct producer {
    consumer_state_fn *on_state;
    void *state_context;
    struct world *world;
    struct loop *loop;
    struct list ops;
    size_t under_way;
};

struct delivery {
    struct op op;
    struct producer *producer;
    struct record record; /* in the op's arena */
    producer_fn *on_end;
    void *context;
    bool failed;
};

static void on_connected(void *context)
{
    struct producer *producer = context;
    producer->on_state(producer->state_context, true, NULL);
}

struct producer *producer_open(struct loop *loop, const char *brokers,
                               const struct kafka_property *properties,
                               size_t properties_len,
                               consumer_state_fn *on_state, void *state_context,
                               struct err *err)
{
    (void)brokers;
    (void)properties;
    (void)properties_len;
    (void)err;
    struct producer *producer = calloc(1, sizeof *producer);
    assert(producer);
    producer->world = loop_world(loop);
    producer->loop = loop;
    list_init(&producer->ops);
    producer->on_state = on_state;
    producer->state_context = state_context;
    world_on_loop(producer->world, loop, 0, on_connected, NULL, producer);
    return producer;
}

static void end(struct delivery *delivery, bool failed)
{
    producer_fn *on_end = delivery->on_end;
    void *context = delivery->context;
    struct err err = {0};
    delivery->producer->under_way--;
    op_end(&delivery->op);
    if (failed) {
        err_set(&err, ERR_TRANSIENT, "the broker did not answer");
    }
    if (on_end) {
        on_end(context, failed ? &err : NULL);
    }
}

static void answer(struct op *op)
{
    struct delivery *delivery = (struct delivery *)op;
    end(delivery, delivery->failed);
}

/** Once more, or never before; and of what is stored. */
static void look_at_accepted(const struct kafka *kafka,
                             const struct record *record)
{
    if (!tables_find(kafka->world->tables, record->key)) {
        world_fault(kafka->world, "told accepted, and not stored", record->key);
    }
    for (size_t i = 0; i < kafka->records_len; i++) {
        const struct record *other = &kafka->records[i];
        if (strcmp(other->key, record->key) == 0 &&
            strstr(other->headers, "generation.accepted") &&
            (strcmp(other->value, record->value) != 0 ||
             strcmp(other->headers, record->headers) != 0)) {
            world_fault(kafka->world, "another accepted of the same id",
                        record->key);
        }
    }
}

static void append(struct kafka *kafka, const struct record *record)
{
    kafka->records = realloc(kafka->records,
                             (kafka->records_len + 1) * sizeof *kafka->records);
    assert(kafka->records);
    kafka->records[kafka->records_len++] = (struct record){
        .topic = strdup(record->topic),
        .key = strdup(record->key),
        .value = strdup(record->value),
        .headers = strdup(record->headers),
    };
    const char *type = strstr(record->headers, "ce_type=video.generation.");
    const char *error = strstr(record->headers, "error=");
    if (type && strstr(type, "generation.accepted")) {
        look_at_accepted(kafka, record);
    }
    if (type && strstr(type, "generation.progress")) {
        return;
    }
    const char *word = type ? type + 25 : error ? error + 6 : "";
    const char *late = strstr(record->value, "\"late\":true") ? " late" : "";
    const char *kind = strstr(record->value, "\"kind\":\"");
    world_tell(kafka->world, "%s %s %.*s%s%s%.*s",
               error && !type ? "rejected" : "event", record->key,
               (int)strcspn(word, "\n"), word, late, kind ? " " : "",
               kind ? (int)strcspn(kind + 8, "\"") : 0, kind ? kind + 8 : "");
}

static void arrive(struct op *op)
{
    struct delivery *delivery = (struct delivery *)op;
    struct kafka *kafka = op->world->kafka;
    if (kafka->down) {
        delivery->failed = true;
        op_on_loop(op, 1000, answer);
        return;
    }
    bool bad = world_chance(op->world, kafka->chaos);
    if (bad) {
        struck("event's acknowledgement lost");
    }
    if (!bad || world_pick(op->world, 2) == 0) {
        append(kafka, &delivery->record); /* perhaps without our knowing */
    }
    delivery->failed = bad;
    op_on_loop(op, 1 + world_pick(op->world, 4), answer);
}

static char *copy(struct arena *arena, struct str text)
{
    return arena_copy(arena, text.at ? text.at : "", text.len);
}

bool producer_send(struct producer *producer, const struct outgoing *outgoing,
                   producer_fn *on_end, void *context, struct err *err)
{
    (void)err;
    struct delivery *delivery =
        op_new(producer->loop, &producer->ops, sizeof *delivery);
    struct arena *arena = &delivery->op.arena;
    struct buf headers;
    buf_init(&headers, 0);
    for (size_t i = 0; i < outgoing->headers_len; i++) {
        buf_add_str(&headers, outgoing->headers[i].name);
        buf_add_char(&headers, '=');
        buf_add_str(&headers, outgoing->headers[i].value);
        buf_add_char(&headers, '\n');
    }
    delivery->producer = producer;
    delivery->record = (struct record){
        .topic = copy(arena, str_of(outgoing->topic)),
        .key = copy(arena, outgoing->key),
        .value = copy(arena, outgoing->value),
        .headers = copy(arena, buf_str(&headers)),
    };
    buf_done(&headers);
    delivery->on_end = on_end;
    delivery->context = context;
    producer->under_way++;
    op_in_world(&delivery->op, 1 + world_pick(producer->world, 5), arrive);
    return true;
}

size_t producer_under_way(const struct producer *producer)
{
    return producer->under_way;
}

void producer_reap(struct producer *producer)
{
    while (!list_is_empty(&producer->ops)) {
        end((struct delivery *)LIST_OWNER(producer->ops.next, struct op, link),
            true);
    }
    free(producer);
}

struct closing {
    struct producer *producer;
    loop_fn *on_closed;
    void *context;
};

static void on_closing(void *context)
{
    struct closing closing = *(struct closing *)context;
    free(context);
    producer_reap(closing.producer);
    closing.on_closed(closing.context);
}

void producer_close(struct producer *producer, int64_t timeout_ms,
                    loop_fn *on_closed, void *context)
{
    (void)timeout_ms;
    struct closing *closing = malloc(sizeof *closing);
    assert(closing);
    *closing = (struct closing){producer, on_closed, context};
    world_on_loop(producer->world, producer->loop, 0, on_closing, free,
                  closing);
}
