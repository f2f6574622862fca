#ifndef EDGE_KAFKA_CONSUMER_OWN_H
#define EDGE_KAFKA_CONSUMER_OWN_H

#include "base/list.h"
#include "core/retry.h"
#include "edge/consumer.h"
#include "edge/kafka/client.h"
#include "edge/kafka/conf.h"
#include "edge/kafka/partitions.h"

/** What the consumer's own files share; nobody else includes this. */

struct consumer {
    struct loop *loop;
    struct consumer_setup setup;
    consumer_message_fn *on_message;
    struct kafka_health health;
    void *context;

    rd_kafka_t *client;        /* null: between two */
    struct kafka_grave *grave; /* of the client: there before it */
    struct kafka_feed *feed;
    struct loop_timer *watch;
    struct loop_timer *unread; /* a pause that lasts */
    struct kafka_partitions partitions;
    struct loop_timer *again; /* hands out `later` */
    struct list waiting;      /* read, but paused before they were handed out */
    struct list later;        /* given back for lack of memory */
    size_t out;
    size_t dying; /* clients being destroyed on other threads */
    bool paused;
    bool paused_inside; /* librdkafka was told */
    bool store_due;     /* deferred to the end of the turn */
    bool hand_out_due;  /* the same */
    bool forgot; /* what we read was lost for lack of memory: begin afresh */
    int64_t member_ms; /* when we last were a member, or began to wait */
    bool member;
    bool was_member;        /* this client: the group has answered it once */
    struct backoff backoff; /* of clients */

    bool closing;
    int64_t close_by_ms;
    loop_fn *on_closed;
    void *close_context;
};

/* ---- messages, and how far we are (handed.c) ---- */

/** A loop_fn: tells librdkafka how far it may commit. */
void consumer_store(void *consumer);

/** One came from librdkafka: it is handed out, now or when a pause is over. */
void consumer_fetched(struct consumer *consumer,
                      const rd_kafka_message_t *from);

/** What was read and is in nobody's hands is forgotten: it comes again. */
void consumer_forget_waiting(struct consumer *consumer);

/** The same at the consumer's end, and what was deferred is not called. */
void consumer_handed_done(struct consumer *consumer);

/** Of the timers `again` and `unread`. */
void consumer_on_again(void *consumer);
void consumer_on_unread(void *consumer);

/** Tells librdkafka, as far as partitions are ours. */
void consumer_apply_pause(struct consumer *consumer, bool pause);

#endif
