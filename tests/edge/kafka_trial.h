#ifndef TESTS_EDGE_KAFKA_TRIAL_H
#define TESTS_EDGE_KAFKA_TRIAL_H

/** What the tests of the Kafka edges share: topics, and waiting on the loop. */

#include "edge/consumer.h"
#include "edge/producer.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "lib/check.h"
#include <librdkafka/rdkafka.h>

struct trial {
    struct loop *loop;
    struct loop_timer *tick;
    bool (*holds)(void *context);
    void *context;
    int64_t until_ms;
    bool held;
    bool closed;
};

static inline const char *trial_brokers(void)
{
    const char *brokers = getenv("TEST_KAFKA_BROKERS");
    if (!brokers) {
        fail_msg("TEST_KAFKA_BROKERS is not set: it names a Kafka to test on");
    }
    return brokers;
}

static inline void trial_tick(void *context)
{
    struct trial *trial = context;
    trial->held = trial->holds(trial->context);
    if (trial->held || loop_boot_ms(trial->loop) >= trial->until_ms) {
        loop_stop(trial->loop);
        return;
    }
    loop_timer_set(trial->tick, 5);
}

/** Turns the loop until it holds; whether it did within the limit. */
static inline bool trial_wait(struct trial *trial, bool (*holds)(void *),
                              void *context, int64_t limit_ms)
{
    trial->holds = holds;
    trial->context = context;
    trial->held = false;
    trial->until_ms = loop_boot_ms(trial->loop) + limit_ms;
    loop_timer_set(trial->tick, 0);
    loop_run(trial->loop);
    return trial->held;
}

static inline bool trial_is_closed(void *context)
{
    struct trial *trial = context;
    return trial->closed;
}

static inline void trial_on_closed(void *context)
{
    struct trial *trial = context;
    trial->closed = true;
}

static inline bool trial_never(void *context)
{
    (void)context;
    return false;
}

static inline void trial_begin(struct trial *trial)
{
    struct err err = {0};
    *trial = (struct trial){.loop = loop_open(&err)};
    assert_non_null(trial->loop);
    trial->tick = loop_timer_new(trial->loop, trial_tick, trial);
}

static inline void trial_end(struct trial *trial)
{
    loop_timer_free(trial->tick);
    loop_close(trial->loop);
}

static inline void trial_close_consumer(struct trial *trial,
                                        struct consumer *consumer)
{
    trial->closed = false;
    consumer_close(consumer, 10000, trial_on_closed, trial);
    assert_true(trial_wait(trial, trial_is_closed, trial, 60000));
}

static inline void trial_close_producer(struct trial *trial,
                                        struct producer *producer)
{
    trial->closed = false;
    producer_close(producer, 10000, trial_on_closed, trial);
    assert_true(trial_wait(trial, trial_is_closed, trial, 60000));
}

/** A name that no earlier run has used. */
static inline void trial_name(char *out, size_t out_bytes, const char *what)
{
    static int count;
    snprintf(out, out_bytes, "%s-%d-%ld-%d", what, (int)getpid(),
             (long)time(NULL), ++count);
}

/** Makes a topic and waits until the broker has. */
static inline void trial_topic(char *name, size_t name_bytes, int partitions)
{
    trial_name(name, name_bytes, "trial");
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", trial_brokers(), NULL, 0);
    rd_kafka_t *client =
        rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    assert_non_null(client);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(name, partitions, 1, text, sizeof text);
    rd_kafka_CreateTopics(client, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 60000);
    assert_non_null(event);
    assert_int_equal(rd_kafka_event_error(event), 0);
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy(topic);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
}

/* Numbered messages: the value is the number. */

struct sent {
    int answered;
    int good;
    int want;
};

static inline void on_sent(void *context, const struct err *err)
{
    struct sent *sent = context;
    sent->answered++;
    sent->good += err == NULL;
}

static inline bool all_sent(void *context)
{
    struct sent *sent = context;
    return sent->answered >= sent->want;
}

static inline struct producer *producer_new(struct trial *trial)
{
    struct err err = {0};
    struct producer *producer =
        producer_open(trial->loop, trial_brokers(), NULL, 0, NULL, NULL, &err);
    assert_non_null(producer);
    return producer;
}

static inline void produce(struct producer *producer, const char *topic,
                           int number, struct sent *sent)
{
    char key[20];
    char value[20];
    snprintf(key, sizeof key, "key-%d", number);
    snprintf(value, sizeof value, "%d", number);
    struct outgoing outgoing = {
        .topic = topic, .key = str_of(key), .value = str_of(value)};
    struct err err;
    assert_true(producer_send(producer, &outgoing, on_sent, sent, &err));
    sent->want++;
}

static inline void produce_range(struct trial *trial, const char *topic,
                                 int from, int to)
{
    struct producer *producer = producer_new(trial);
    struct sent sent = {0};
    for (int i = from; i < to; i++) {
        produce(producer, topic, i, &sent);
    }
    assert_true(trial_wait(trial, all_sent, &sent, 60000));
    assert_int_equal(sent.good, to - from);
    trial_close_producer(trial, producer);
}

#endif
