#ifndef FAKE_KAFKA_H
#define FAKE_KAFKA_H

#include "edge/consumer.h"
#include "edge/producer.h"
#include "fake/world.h"

#define PARTITIONS 4

/** A message of an outgoing topic, all of it as text. */
struct record {
    char *topic;
    char *key;
    char *value;
    char *headers; /* "name=value" and a newline each */
};

struct incoming {
    char *key;
    char *value;
    bool done; /* by its present reader */
};

/** Topics in memory; one group of readers. */
struct kafka {
    const struct message_header *headers; /* of every request */
    size_t headers_len;
    int64_t produced_ms; /* of every request */
    struct world *world;
    struct {
        struct incoming *messages;
        size_t len;
        size_t position; /* next to hand out */
        size_t committed;
        struct consumer *owner;
        int generation;
    } partitions[PARTITIONS];
    struct list consumers;
    struct record *records;
    size_t records_len;
    bool down; /* nothing is acknowledged */
    int chaos; /* deliveries in a thousand that end badly */
};

struct kafka *kafka_open(struct world *world);
void kafka_close(struct kafka *kafka);

/** Put a request on the topic. */
void kafka_request(struct world *world, const char *value);
/** The same to that partition: in order with what goes there. */
void kafka_request_to(struct world *world, int partition, const char *value);

/** Looks whether all that is committed is dealt with: stored or rejected. */
void kafka_look(struct world *world);

#define SESSION_MS 6000 /* Kafka takes a silent consumer for gone */

/** Its session has timed out: others get its partitions. */
void kafka_forget(struct world *world, struct consumer *consumer);

/** A loop_fn, context is a loop: the same, of a consumer that was left open. */
void kafka_forget_stopped(void *loop);

/** End at once, whatever is under way; for workers that were killed. */
void consumer_reap(struct consumer *consumer);
void producer_reap(struct producer *producer);

#endif
