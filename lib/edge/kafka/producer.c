#include "edge/producer.h"

#include "base/list.h"
#include "core/retry.h"
#include "edge/kafka/grave.h"
#include "edge/kafka/client.h"
#include "edge/kafka/stats.h"
#include "edge/kafka/producer_test.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_MAX 5000
/** Purging brings all callbacks at once; a client that doesn't is given up. */
#define PURGE_MS 2000
/** The longest wait for the next client where each ends as fatal: one without
 * a right it needs does, until somebody grants it. */
#define AFRESH_MAX_MS 10000
/** An id that has lasted so long shows that all was well. */
#define LASTED_MS 30000
/** How long the client for messages alone stays without one. */
#define ALONE_MS 30000

/** One life of librdkafka's producer. */
struct client {
    struct producer *producer;
    rd_kafka_t *rk;
    struct kafka_grave *grave; /* there before it */
    struct kafka_feed *feed;
    int64_t began_ms;
    struct loop_timer *timer; /* of its end */
    struct list sends;        /* not yet answered */
    bool alone;               /* a batch of it holds one message */
    bool has_id;              /* the brokers gave it one */
    bool retiring;            /* takes nothing new */
    bool purged;
    bool dying; /* being destroyed on another thread */
};

struct send {
    struct list link;
    producer_fn *on_end;
    void *context;
};

struct producer {
    struct loop *loop;
    char *brokers;
    struct kafka_property *properties;
    size_t properties_len;
    struct kafka_health health;
    struct client *current; /* null: between two */
    struct client *alone;   /* null: nothing had to be tried alone lately */
    struct loop_timer *afresh;
    struct backoff backoff;
    struct err ended; /* why there is none, while there is none */
    size_t under_way;
    size_t retiring; /* clients that have not ended yet */
    int clients;     /* that there have been */
    bool closing;
    loop_fn *on_closed;
    void *close_context;
};

static void on_event(void *context, rd_kafka_event_t *event);

/* The end of a client */

static void producer_free(struct producer *producer)
{
    kafka_properties_free(producer->properties, producer->properties_len);
    loop_timer_free(producer->afresh);
    free(producer->brokers);
    free(producer);
}

static void end_if_over(struct producer *producer)
{
    if (!producer->closing || producer->current || producer->alone ||
        producer->retiring > 0) {
        return;
    }
    loop_fn *on_closed = producer->on_closed;
    void *context = producer->close_context;
    producer_free(producer);
    on_closed(context);
}

static void on_over(void *context)
{
    end_if_over(context);
}

static void on_dead(void *context)
{
    struct client *client = context;
    struct producer *producer = client->producer;
    assert(client->dying && producer->retiring > 0);
    loop_timer_free(client->timer);
    free(client);
    producer->retiring--;
    end_if_over(producer);
}

static void client_end_if_idle(struct client *client)
{
    if (!client->retiring || client->dying || !list_is_empty(&client->sends)) {
        return;
    }
    client->dying = true;
    loop_timer_stop(client->timer);
    kafka_feed_close(client->feed);
    kafka_grave_fill(client->grave, client->rk);
}

static void send_end(struct producer *producer, struct send *send,
                     const struct err *err)
{
    assert(producer->under_way > 0 && send->on_end);
    list_remove(&send->link);
    producer->under_way--;
    producer_fn *on_end = send->on_end;
    void *context = send->context;
    free(send);
    on_end(context, err);
}

static void on_retire_time(struct client *client)
{
    assert(client->retiring && !client->dying);
    if (!client->purged) {
        client->purged = true;
        rd_kafka_purge(client->rk, RD_KAFKA_PURGE_F_QUEUE |
                                       RD_KAFKA_PURGE_F_INFLIGHT |
                                       RD_KAFKA_PURGE_F_NON_BLOCKING);
        loop_timer_set(client->timer, PURGE_MS);
        return;
    }
    struct err err;
    err_set(&err, ERR_TRANSIENT, "the Kafka producer ended before an answer");
    /* Before the callbacks: what they send goes elsewhere, and no event
     * may name a send that is gone. */
    kafka_feed_close(client->feed);
    while (!list_is_empty(&client->sends)) {
        send_end(client->producer,
                 LIST_OWNER(client->sends.next, struct send, link), &err);
    }
    client_end_if_idle(client);
}

/** It takes nothing new; what is not answered after patience_ms is purged. */
static void client_retire(struct client *client, int64_t patience_ms)
{
    struct producer *producer = client->producer;
    assert(!client->retiring && patience_ms >= 0);
    assert(producer->current == client || producer->alone == client);
    if (producer->current == client) {
        producer->current = NULL;
    } else {
        producer->alone = NULL;
    }
    producer->retiring++;
    client->retiring = true;
    loop_timer_set(client->timer, patience_ms);
    client_end_if_idle(client);
}

static void on_time(void *context)
{
    struct client *client = context;
    if (client->retiring) {
        on_retire_time(client);
    } else if (list_is_empty(&client->sends)) {
        client_retire(client, 0); /* nothing to be tried alone any more */
    } else {
        loop_timer_set(client->timer, ALONE_MS);
    }
}

/* The beginning of a client */

static rd_kafka_conf_t *conf_new(const struct producer *producer,
                                 struct err *err)
{
    const struct kafka_rule rules[] = {
        {"bootstrap.servers", producer->brokers, true},
        {"client.id", "pixverse-worker", false},
        {"enable.idempotence", "true", true},
        {"acks", "all", true},
        {"enable.gapless.guarantee", "false", true},
        {"transactional.id", NULL, true},
        {"partitioner", "murmur2_random", true},
        {"statistics.interval.ms", KAFKA_STATS_MS, true},
        {"message.max.bytes", "2162688", false}, /* 2 MiB and its headers */
        {"queue.buffering.max.kbytes", "65536", false},
        /* What has ended in one turn is sent in one turn: who waits longer
         * only tells it later. */
        {"linger.ms", "0", false},
        {"reconnect.backoff.max.ms", "2000", false},
        {"socket.nagle.disable", "true", false},
        {"socket.keepalive.enable", "true", false},
    };
    rd_kafka_conf_t *conf =
        kafka_conf_new(rules, sizeof rules / sizeof rules[0],
                       producer->properties, producer->properties_len, err);
    if (conf) {
        rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR |
                                           RD_KAFKA_EVENT_ERROR |
                                           RD_KAFKA_EVENT_STATS);
    }
    return conf;
}

static struct client *client_new(struct producer *producer, bool alone,
                                 struct err *err)
{
    assert(alone ? !producer->alone : !producer->current);
    struct client *client = calloc(1, sizeof *client);
    if (!client) {
        err_set(err, ERR_TRANSIENT, "no memory for a Kafka producer");
        return NULL;
    }
    client->producer = producer;
    client->alone = alone;
    list_init(&client->sends);
    client->began_ms = loop_boot_ms(producer->loop);
    client->timer = loop_timer_new(producer->loop, on_time, client);
    client->grave = kafka_grave_new(producer->loop, on_dead, client);
    rd_kafka_conf_t *conf = conf_new(producer, err);
    if (!client->timer || !client->grave || !conf) {
        goto failed;
    }
    if (alone) {
        /* Over what the user has set: it is the point of this client. */
        (void)rd_kafka_conf_set(conf, "batch.num.messages", "1", NULL, 0);
    }
    client->rk = kafka_client_new(RD_KAFKA_PRODUCER, conf, err);
    conf = NULL; /* the client's now, or gone */
    if (!client->rk) {
        goto failed;
    }
    client->feed =
        kafka_feed_open(producer->loop, rd_kafka_queue_get_main(client->rk),
                        on_event, client, err);
    if (client->feed) {
        producer->clients++;
        return client;
    }
failed:
    if (client->rk) {
        rd_kafka_destroy(client->rk); /* it has sent nothing */
    }
    if (conf) {
        rd_kafka_conf_destroy(conf);
    }
    loop_timer_free(client->timer);
    kafka_grave_free(client->grave);
    free(client);
    return NULL;
}

static void begin_afresh_soon(struct producer *producer)
{
    assert(!producer->current || !producer->closing);
    loop_timer_set(producer->afresh,
                   backoff_fail(&producer->backoff, AFRESH_MAX_MS,
                                loop_random(producer->loop)));
}

static void on_afresh(void *context)
{
    struct producer *producer = context;
    if (producer->closing || producer->current) {
        return;
    }
    struct err err;
    producer->current = client_new(producer, false, &err);
    if (!producer->current) {
        kafka_health_down(&producer->health, err.text);
        begin_afresh_soon(producer);
    }
}

/** It is good for nothing any more; the broker's words say why. */
static void client_replace(struct client *client, rd_kafka_event_t *event)
{
    struct producer *producer = client->producer;
    if (client->retiring) {
        return;
    }
    if (!client->alone) {
        err_set(&producer->ended, ERR_TRANSIENT, "%s",
                kafka_health_fatal(&producer->health, client->rk, event,
                                   producer->backoff.fails > 0));
        begin_afresh_soon(producer);
    }
    client_retire(client, 0);
}

/* Events */

static bool is_about_size(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
           code == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE ||
           code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE;
}

/** A verdict on a whole batch, which may be that of one message in it. */
static bool may_be_for_another(rd_kafka_resp_err_t code)
{
    return is_about_size(code) || code == RD_KAFKA_RESP_ERR_INVALID_RECORD;
}

static bool err_of(struct err *err, const struct producer *producer,
                   rd_kafka_resp_err_t code, const char *topic)
{
    assert(code != RD_KAFKA_RESP_ERR_NO_ERROR);
    bool purged = code == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
                  code == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT ||
                  code == RD_KAFKA_RESP_ERR__FATAL;
    if (purged && producer->ended.text[0]) {
        /* We have purged it ourselves: the reason for that is the reason. */
        return err_set(err, ERR_TRANSIENT, "Kafka topic %s: %s", topic,
                       producer->ended.text);
    }
    return err_set(err, is_about_size(code) ? ERR_PERMANENT : ERR_TRANSIENT,
                   "Kafka topic %s: %s", topic, rd_kafka_err2str(code));
}

/** The same message once more, in a batch of its own. */
static bool try_alone(struct producer *producer,
                      const rd_kafka_message_t *message, struct err *err)
{
    assert(message->err && message->_private);
    if (!producer->alone) {
        producer->alone = client_new(producer, true, err);
    }
    if (!producer->alone) {
        err->kind = ERR_TRANSIENT;
        return false;
    }
    struct client *client = producer->alone;
    struct send *send = message->_private;
    const char *topic = rd_kafka_topic_name(message->rkt);
    rd_kafka_headers_t *headers = NULL;
    if (rd_kafka_message_headers(message, &headers) == 0) {
        headers = rd_kafka_headers_copy(headers);
    } else {
        headers = rd_kafka_headers_new(0);
    }
    rd_kafka_resp_err_t code = rd_kafka_producev(
        client->rk, RD_KAFKA_V_TOPIC(topic),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(message->key, message->key_len),
        RD_KAFKA_V_VALUE(message->payload, message->len),
        RD_KAFKA_V_TIMESTAMP(rd_kafka_message_timestamp(message, NULL)),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(send), RD_KAFKA_V_END);
    loop_timer_set(client->timer, ALONE_MS);
    if (code) {
        rd_kafka_headers_destroy(headers);
        return err_of(err, producer, code, topic);
    }
    list_remove(&send->link);
    list_add_tail(&client->sends, &send->link);
    return true;
}

static void on_refused(struct client *client, const rd_kafka_message_t *message)
{
    struct producer *producer = client->producer;
    struct err err;
    err_of(&err, producer, message->err, rd_kafka_topic_name(message->rkt));
    if (may_be_for_another(message->err) && !client->alone) {
        if (client->retiring) {
            err.kind = ERR_TRANSIENT; /* too late to find out whose it is */
        } else if (try_alone(producer, message, &err)) {
            return;
        }
    }
    send_end(producer, message->_private, &err);
}

static void on_reports(struct client *client, rd_kafka_event_t *event)
{
    struct producer *producer = client->producer;
    const rd_kafka_message_t *message;
    while ((message = rd_kafka_event_message_next(event))) {
        if (message->err) {
            on_refused(client, message);
        } else {
            kafka_health_good(&producer->health);
            backoff_good(&producer->backoff);
            producer->ended = (struct err){0};
            send_end(producer, message->_private, NULL);
        }
    }
}

/**
 * Without its id it can send nothing: that a broker is up says little. The
 * complaint of the client before is over when this one has its own.
 */
static void on_stats(struct client *client, rd_kafka_event_t *event)
{
    struct producer *producer = client->producer;
    const struct kafka_stats stats =
        kafka_stats_read(rd_kafka_event_stats(event), NULL, NULL, NULL);
    if (client != producer->current) {
        return;
    }
    if (stats.up && stats.has_id && !client->has_id) {
        client->has_id = true;
        producer->ended = (struct err){0};
        kafka_health_good(&producer->health);
    }
    if (client->has_id &&
        loop_boot_ms(producer->loop) - client->began_ms > LASTED_MS) {
        backoff_good(&producer->backoff);
    }
    kafka_health_lacks(&producer->health,
                       stats.has_id ? NULL
                                    : "no broker has given the producer an id");
    kafka_health_stats(&producer->health, stats.up);
}

static void on_event(void *context, rd_kafka_event_t *event)
{
    struct client *client = context;
    struct producer *producer = client->producer;
    switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_DR:
        on_reports(client, event);
        break;
    case RD_KAFKA_EVENT_STATS:
        on_stats(client, event);
        break;
    case RD_KAFKA_EVENT_ERROR:
        if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__FATAL ||
            rd_kafka_event_error_is_fatal(event)) {
            client_replace(client, event);
        } else if (client == producer->current) {
            kafka_health_error(&producer->health, event);
        }
        break;
    default:
        break;
    }
    client_end_if_idle(client);
}

/* For all */

struct producer *producer_open(struct loop *loop, const char *brokers,
                               const struct kafka_property *properties,
                               size_t properties_len,
                               consumer_state_fn *on_state, void *state_context,
                               struct err *err)
{
    assert(brokers);
    struct producer *producer = calloc(1, sizeof *producer);
    if (!producer) {
        err_set(err, ERR_TRANSIENT, "no memory for a producer");
        return NULL;
    }
    producer->loop = loop;
    producer->brokers = strdup(brokers);
    producer->properties = kafka_properties_copy(properties, properties_len);
    producer->properties_len = properties_len;
    producer->afresh = loop_timer_new(loop, on_afresh, producer);
    if (!producer->brokers || !producer->properties || !producer->afresh) {
        err_set(err, ERR_TRANSIENT, "no memory for a producer");
        producer_free(producer);
        return NULL;
    }
    kafka_health_init(&producer->health, loop, NULL, on_state, state_context);
    producer->current = client_new(producer, false, err);
    if (!producer->current) {
        producer_free(producer);
        return NULL;
    }
    return producer;
}

static rd_kafka_headers_t *headers_of(const struct outgoing *outgoing)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(outgoing->headers_len);
    for (size_t i = 0; i < outgoing->headers_len; i++) {
        const struct event_header *header = &outgoing->headers[i];
        (void)rd_kafka_header_add(headers, header->name.at,
                                  (ssize_t)header->name.len, header->value.at,
                                  (ssize_t)header->value.len);
    }
    return headers;
}

static rd_kafka_resp_err_t produce(struct client *client,
                                   const struct outgoing *outgoing,
                                   struct send *send)
{
    rd_kafka_headers_t *headers = headers_of(outgoing);
    rd_kafka_resp_err_t code = rd_kafka_producev(
        client->rk, RD_KAFKA_V_TOPIC(outgoing->topic),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(outgoing->key.at, outgoing->key.len),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)outgoing->value.at,
                         outgoing->value.len),
        RD_KAFKA_V_TIMESTAMP(outgoing->at_ms), RD_KAFKA_V_HEADERS(headers),
        RD_KAFKA_V_OPAQUE(send), RD_KAFKA_V_END);
    if (code) {
        rd_kafka_headers_destroy(headers);
    }
    return code;
}

bool producer_send(struct producer *producer, const struct outgoing *outgoing,
                   producer_fn *on_end, void *context, struct err *err)
{
    assert(on_end);
    struct client *client = producer->current;
    if (!client || producer->closing) {
        const char *why = producer->ended.text;
        return err_set(err, ERR_TRANSIENT, "%s",
                       why[0] ? why : "the Kafka producer begins afresh");
    }
    if (producer->under_way >= WINDOW_MAX) {
        return err_set(err, ERR_TRANSIENT, "%d messages wait for Kafka already",
                       WINDOW_MAX);
    }
    struct send *send = malloc(sizeof *send);
    if (!send) {
        return err_set(err, ERR_TRANSIENT, "no memory for a message");
    }
    *send = (struct send){.on_end = on_end, .context = context};
    rd_kafka_resp_err_t code = produce(client, outgoing, send);
    if (code) {
        free(send);
        return err_of(err, producer, code, outgoing->topic);
    }
    list_add_tail(&client->sends, &send->link);
    producer->under_way++;
    return true;
}

size_t producer_under_way(const struct producer *producer)
{
    return producer->under_way;
}

void producer_close(struct producer *producer, int64_t timeout_ms,
                    loop_fn *on_closed, void *context)
{
    assert(on_closed && timeout_ms >= 0);
    assert(!producer->closing);
    producer->closing = true;
    producer->on_closed = on_closed;
    producer->close_context = context;
    loop_timer_stop(producer->afresh);
    if (producer->alone) {
        client_retire(producer->alone, timeout_ms);
    }
    if (producer->current) {
        client_retire(producer->current, timeout_ms);
        return;
    }
    if (producer->retiring == 0) {
        loop_defer(producer->loop, on_over, producer);
    }
}

void producer_make_fatal(struct producer *producer)
{
    assert(producer->current);
    rd_kafka_test_fatal_error(producer->current->rk,
                              RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                              "a test");
}

int producer_clients(const struct producer *producer)
{
    return producer->clients;
}
