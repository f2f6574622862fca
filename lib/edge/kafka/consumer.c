#include "edge/consumer.h"

#include "base/crashpoint.h"
#include "core/retry.h"
#include "edge/kafka/conf.h"
#include "edge/kafka/grave.h"
#include "edge/kafka/message.h"
#include "edge/kafka/partitions.h"
#include "edge/kafka/client.h"
#include "edge/kafka/stats.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WATCH_MS 5000
/** Three times what heals by itself; librdkafka below 2.10 may never find the
 * coordinator again after one broker went (its issue 4970), so begin afresh. */
#define MEMBER_WAIT_MS 60000
#define REBALANCE_MS 30000
#define AFRESH_MAX_MS 10000 /* the longest wait for the next client */
#define CLOSE_POLL_MS 20
#define AGAIN_MS 1000
/** How long a pause only leaves librdkafka's queue unread. A pause at
 * librdkafka itself throws the queue away, and costs a second to lift: it is
 * for those that last. */
#define UNREAD_MS 2000

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
    struct list held;         /* read, but paused before they were handed out */
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

static void on_event(void *context, rd_kafka_event_t *event);
static void on_watch(void *context);
static void on_dead(void *context);

/** Tell librdkafka how far it may commit. */
static void store(void *context)
{
    struct consumer *consumer = context;
    consumer->store_due = false;
    if (!consumer->client) {
        return;
    }
    rd_kafka_topic_partition_list_t *list =
        kafka_partitions_unstored(&consumer->partitions, consumer->setup.topic);
    if (list) {
        /* Refused only for a partition that was taken from us meanwhile. */
        CRASHPOINT("offsets_before");
        (void)rd_kafka_offsets_store(consumer->client, list);
        CRASHPOINT("offsets_stored");
        rd_kafka_topic_partition_list_destroy(list);
    }
}

/* Messages */

static void free_all(struct list *messages)
{
    while (!list_is_empty(messages)) {
        kafka_message_free(
            LIST_OWNER(messages->next, struct kafka_message, link));
    }
}

static void held_free_all(struct consumer *consumer)
{
    free_all(&consumer->held);
    free_all(&consumer->later);
}

static void hand_out(struct consumer *consumer, struct kafka_message *held)
{
    list_remove(&held->link);
    const struct kafka_partition *partition =
        kafka_partition_get(&consumer->partitions, held->message.partition);
    if (!partition || !offsets_waits_for(&partition->offsets,
                                         held->message.offset, held->epoch)) {
        kafka_message_free(held); /* it is read again, perhaps by another */
        return;
    }
    consumer->out++;
    consumer->on_message(consumer->context, &held->message);
}

static void hand_out_all(void *context)
{
    struct consumer *consumer = context;
    consumer->hand_out_due = false;
    while (!consumer->paused && !consumer->closing &&
           !list_is_empty(&consumer->held)) {
        hand_out(consumer,
                 LIST_OWNER(consumer->held.next, struct kafka_message, link));
    }
}

static void on_fetched(struct consumer *consumer,
                       const rd_kafka_message_t *from)
{
    struct kafka_partition *partition =
        kafka_partition_get(&consumer->partitions, from->partition);
    if (from->err || !partition || consumer->closing) {
        return;
    }
    kafka_health_good(&consumer->health);
    if (consumer->forgot) {
        return; /* what is behind a gap would only be read twice */
    }
    bool kept =
        kafka_partition_read(&consumer->partitions, partition, from->offset);
    struct kafka_message *held = kafka_message_new(
        from, str_of(consumer->setup.topic), partition->epoch);
    if (!held || !kept) {
        /* Never finished, so never passed: the next client reads it again. */
        consumer->forgot = true;
        if (held) {
            kafka_message_free(held);
        }
        return;
    }
    list_add_tail(&consumer->held, &held->link);
    hand_out_all(consumer);
}

void consumer_done(struct consumer *consumer, struct message *message)
{
    assert(consumer->out > 0 && message->inside);
    struct kafka_message *held = message->inside;
    struct kafka_partition *partition =
        kafka_partition_get(&consumer->partitions, message->partition);
    if (partition &&
        offsets_finish(&partition->offsets, message->offset, held->epoch) &&
        !consumer->store_due) {
        consumer->store_due = true;
        loop_defer(consumer->loop, store, consumer);
    }
    consumer->out--;
    kafka_message_free(held);
}

void consumer_drop(struct consumer *consumer, struct message *message)
{
    assert(consumer->out > 0 && message->inside);
    consumer->out--;
    kafka_message_free(message->inside);
}

void consumer_again(struct consumer *consumer, struct message *message)
{
    assert(consumer->out > 0 && message->inside);
    struct kafka_message *held = message->inside;
    consumer->out--;
    list_add_tail(&consumer->later, &held->link);
    loop_timer_set(consumer->again, AGAIN_MS);
}

static void on_again(void *context)
{
    struct consumer *consumer = context;
    while (!list_is_empty(&consumer->later)) {
        list_add_tail(&consumer->held, list_pop(&consumer->later));
    }
    hand_out_all(consumer);
}

size_t consumer_out(const struct consumer *consumer)
{
    return consumer->out;
}

/* Pause */

static void apply_pause(struct consumer *consumer, bool pause)
{
    consumer->paused_inside = pause;
    if (!consumer->client) {
        return;
    }
    rd_kafka_topic_partition_list_t *list =
        kafka_partitions_assigned(&consumer->partitions, consumer->setup.topic);
    if (list->cnt > 0 && pause) {
        (void)rd_kafka_pause_partitions(consumer->client, list);
    } else if (list->cnt > 0) {
        (void)rd_kafka_resume_partitions(consumer->client, list);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

/** From now on the queue is read for what else is in it. */
static void on_unread(void *context)
{
    struct consumer *consumer = context;
    if (consumer->paused) {
        apply_pause(consumer, true);
        if (consumer->feed) {
            kafka_feed_hold(consumer->feed, false);
        }
    }
}

void consumer_pause(struct consumer *consumer)
{
    if (!consumer->paused) {
        consumer->paused = true;
        if (consumer->feed) {
            kafka_feed_hold(consumer->feed, true);
        }
        loop_timer_set(consumer->unread, UNREAD_MS);
    }
}

void consumer_resume(struct consumer *consumer)
{
    if (!consumer->paused) {
        return;
    }
    consumer->paused = false;
    loop_timer_stop(consumer->unread);
    if (consumer->paused_inside) {
        apply_pause(consumer, false);
    }
    if (consumer->feed) {
        kafka_feed_hold(consumer->feed, false);
    }
    if (!consumer->hand_out_due && !list_is_empty(&consumer->held)) {
        consumer->hand_out_due = true;
        loop_defer(consumer->loop, hand_out_all, consumer);
    }
}

/* Membership */

static void on_assign(struct consumer *consumer,
                      rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        if (!kafka_partition_begin(&consumer->partitions,
                                   list->elems[i].partition)) {
            consumer->forgot = true; /* its messages would be left alone */
        }
    }
    rd_kafka_assign(consumer->client, list);
    if (consumer->paused) {
        apply_pause(consumer, true); /* a new assignment is never paused */
    }
    consumer->member = true;
    consumer->was_member = true;
    backoff_good(&consumer->backoff);
    if (list->cnt > 0) {
        kafka_health_good(&consumer->health);
    }
}

static void on_revoke(struct consumer *consumer)
{
    /* Stored here, committed by librdkafka when the assignment ends. */
    store(consumer);
    kafka_partitions_end(&consumer->partitions);
    held_free_all(consumer);
    rd_kafka_assign(consumer->client, NULL);
    consumer->member = false;
    consumer->member_ms = loop_boot_ms(consumer->loop);
}

static void on_rebalance(struct consumer *consumer, rd_kafka_event_t *event)
{
    if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        on_assign(consumer, rd_kafka_event_topic_partition_list(event));
    } else {
        on_revoke(consumer);
    }
}

/* Statistics */

static void on_partition_stats(void *context,
                               const struct kafka_stats_partition *told)
{
    struct consumer *consumer = context;
    struct kafka_partition *partition =
        kafka_partition_get(&consumer->partitions, told->id);
    if (!partition) {
        return;
    }
    int64_t at = partition->next;
    if (told->next > at && (at < 0 || told->queued == 0)) {
        /* Nothing is left to read before it, so what lies there are markers of
         * transactions, or gaps. */
        at = partition->next = told->next;
    }
    bool known = told->end >= 0 && at >= 0;
    int64_t lag = told->end > at ? told->end - at : 0;
    partition->lag = known ? lag : -1;
}

/** The group has answered, if only with no partition for us. A rebalance takes
 * that back for a while, and changes nothing. */
static bool is_taken_in(const struct consumer *consumer)
{
    return consumer->member ||
           (consumer->was_member &&
            loop_boot_ms(consumer->loop) - consumer->member_ms < REBALANCE_MS);
}

static void on_stats(struct consumer *consumer, const char *text)
{
    const struct kafka_stats stats = kafka_stats_read(
        text, consumer->setup.topic, on_partition_stats, consumer);
    kafka_health_lacks(&consumer->health,
                       is_taken_in(consumer)
                           ? NULL
                           : "the group has not taken this worker in yet");
    kafka_health_stats(&consumer->health, stats.up);
}

int64_t consumer_lag(const struct consumer *consumer)
{
    return consumer->member ? kafka_partitions_lag(&consumer->partitions) : -1;
}

/* A client's life */

static void consumer_free(struct consumer *consumer)
{
    if (!consumer) {
        return;
    }
    held_free_all(consumer);
    kafka_partitions_done(&consumer->partitions);
    consumer_setup_free(&consumer->setup);
    loop_timer_free(consumer->watch);
    loop_timer_free(consumer->unread);
    loop_timer_free(consumer->again);
    kafka_grave_free(consumer->grave);
    free(consumer);
}

static void end_if_over(struct consumer *consumer)
{
    if (!consumer->closing || consumer->client || consumer->dying > 0) {
        return;
    }
    loop_fn *on_closed = consumer->on_closed;
    void *context = consumer->close_context;
    consumer_free(consumer);
    on_closed(context);
}

static void on_dead(void *context)
{
    struct consumer *consumer = context;
    consumer->dying--;
    end_if_over(consumer);
}

static void client_end(struct consumer *consumer)
{
    kafka_partitions_end(&consumer->partitions);
    held_free_all(consumer);
    kafka_feed_close(consumer->feed);
    consumer->feed = NULL;
    consumer->member = false;
    consumer->member_ms = loop_boot_ms(consumer->loop);
    consumer->dying++;
    kafka_grave_fill(consumer->grave, consumer->client);
    consumer->grave = NULL;
    consumer->forgot = false;
    consumer->client = NULL;
    consumer->was_member = false;
    loop_timer_set(consumer->watch,
                   backoff_fail(&consumer->backoff, AFRESH_MAX_MS,
                                loop_random(consumer->loop)));
}

static bool client_begin(struct consumer *consumer, struct err *err)
{
    rd_kafka_conf_t *conf = consumer_conf_new(&consumer->setup, err);
    if (!conf) {
        return false;
    }
    char text[256] = "";
    if (!consumer->grave) {
        consumer->grave = kafka_grave_new(consumer->loop, on_dead, consumer);
    }
    if (!consumer->grave) {
        rd_kafka_conf_destroy(conf);
        return err_set(err, ERR_TRANSIENT, "no memory for a consumer");
    }
    consumer->client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (!consumer->client) {
        rd_kafka_conf_destroy(conf);
        return err_set(err, ERR_PERMANENT, "no Kafka consumer: %s", text);
    }
    rd_kafka_poll_set_consumer(consumer->client);
    consumer->feed = kafka_feed_open(
        consumer->loop, rd_kafka_queue_get_consumer(consumer->client), on_event,
        consumer, err);
    if (consumer->feed &&
        consumer_subscribe(&consumer->setup, consumer->client, err)) {
        consumer->member = false;
        consumer->member_ms = loop_boot_ms(consumer->loop);
        return true;
    }
    return false;
}

static void client_replace(struct consumer *consumer, const char *why)
{
    client_end(consumer);
    kafka_health_down(&consumer->health, why);
}

static void on_error(struct consumer *consumer, rd_kafka_event_t *event)
{
    bool fatal = rd_kafka_event_error_is_fatal(event) ||
                 rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__FATAL;
    if (!fatal) {
        kafka_health_error(&consumer->health, event);
    } else if (consumer->closing) {
        consumer->close_by_ms = 0; /* nothing more to hope for */
        loop_timer_set(consumer->watch, 0);
    } else {
        (void)kafka_health_fatal(&consumer->health, consumer->client, event,
                                 consumer->backoff.fails > 0);
        client_end(consumer);
    }
}

static void on_event(void *context, rd_kafka_event_t *event)
{
    struct consumer *consumer = context;
    const rd_kafka_message_t *message;
    switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_FETCH:
        while ((message = rd_kafka_event_message_next(event))) {
            on_fetched(consumer, message);
        }
        break;
    case RD_KAFKA_EVENT_REBALANCE:
        on_rebalance(consumer, event);
        break;
    case RD_KAFKA_EVENT_STATS:
        on_stats(consumer, rd_kafka_event_stats(event));
        break;
    case RD_KAFKA_EVENT_ERROR:
        on_error(consumer, event);
        break;
    default: /* commits: repeated by the next one if they failed */
        break;
    }
}

static void watch_closing(struct consumer *consumer)
{
    if (!consumer->client) {
        end_if_over(consumer);
        return;
    }
    if (rd_kafka_consumer_closed(consumer->client) ||
        loop_boot_ms(consumer->loop) >= consumer->close_by_ms) {
        client_end(consumer);
        return;
    }
    loop_timer_set(consumer->watch, CLOSE_POLL_MS);
}

static void on_watch(void *context)
{
    struct consumer *consumer = context;
    if (consumer->closing) {
        watch_closing(consumer);
        return;
    }
    loop_timer_set(consumer->watch, WATCH_MS);
    struct err err = {0};
    if (consumer->client && consumer->forgot) {
        client_replace(consumer, "there was no memory for what was read");
        return;
    }
    if (!consumer->client && !client_begin(consumer, &err)) {
        if (consumer->client) {
            client_end(consumer);
        }
        kafka_health_down(&consumer->health, err.text);
        return;
    }
    if (!consumer->member &&
        loop_boot_ms(consumer->loop) - consumer->member_ms > MEMBER_WAIT_MS) {
        const struct kafka_health *health = &consumer->health;
        client_replace(consumer, health->complaint[0] ? health->complaint
                                 : health->trouble[0]
                                     ? health->trouble
                                     : "the group has not taken us in");
    }
}

struct consumer *consumer_open(struct loop *loop,
                               const struct consumer_options *options,
                               consumer_message_fn *on_message,
                               consumer_state_fn *on_state, void *context,
                               struct err *err)
{
    assert(on_message);
    struct consumer *consumer = calloc(1, sizeof *consumer);
    if (!consumer) {
        err_set(err, ERR_TRANSIENT, "no memory for a consumer");
        return NULL;
    }
    consumer->loop = loop;
    consumer->on_message = on_message;
    consumer->context = context;
    list_init(&consumer->held);
    list_init(&consumer->later);
    consumer->watch = loop_timer_new(loop, on_watch, consumer);
    consumer->unread = loop_timer_new(loop, on_unread, consumer);
    consumer->again = loop_timer_new(loop, on_again, consumer);
    if (!consumer->watch || !consumer->unread || !consumer->again ||
        !consumer_setup_copy(&consumer->setup, options)) {
        err_set(err, ERR_TRANSIENT, "no memory for a consumer");
        goto failed;
    }
    kafka_health_init(&consumer->health, loop, consumer->setup.topic, on_state,
                      context);
    if (!client_begin(consumer, err)) {
        goto failed;
    }
    loop_timer_set(consumer->watch, WATCH_MS);
    return consumer;
failed:
    kafka_feed_close(consumer->feed);
    if (consumer->client) {
        rd_kafka_destroy(consumer->client); /* it has reached no broker yet */
    }
    consumer_free(consumer);
    return NULL;
}

void consumer_close(struct consumer *consumer, int64_t timeout_ms,
                    loop_fn *on_closed, void *context)
{
    assert(on_closed && timeout_ms >= 0);
    assert(consumer->out == 0 && !consumer->closing);
    consumer->on_closed = on_closed;
    consumer->close_context = context;
    store(consumer);
    consumer->closing = true;
    consumer->close_by_ms = loop_boot_ms(consumer->loop) + timeout_ms;
    if (consumer->client) {
        /* A queue of its own: the consumer's can't be forwarded to itself. */
        rd_kafka_queue_t *queue = rd_kafka_queue_new(consumer->client);
        kafka_feed_close(consumer->feed);
        consumer->feed =
            kafka_feed_open(consumer->loop, queue, on_event, consumer, NULL);
        /* A queue that nobody reads would keep the client from its end. */
        rd_kafka_error_t *error =
            consumer->feed
                ? rd_kafka_consumer_close_queue(consumer->client, queue)
                : NULL;
        if (error || !consumer->feed) {
            rd_kafka_error_destroy(error);
            consumer->close_by_ms = 0;
        }
    }
    loop_timer_set(consumer->watch, 0);
}
