#include "edge/kafka/consumer_own.h"

#include "edge/kafka/grave.h"
#include "edge/kafka/message.h"
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

static void on_event(void *context, rd_kafka_event_t *event);
static void on_watch(void *context);
static void on_dead(void *context);

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
        consumer_apply_pause(consumer,
                             true); /* a new assignment is never paused */
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
    consumer_store(consumer);
    kafka_partitions_end(&consumer->partitions);
    consumer_forget_waiting(consumer);
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
    consumer_handed_done(consumer);
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
    assert(consumer->dying > 0);
    consumer->dying--;
    end_if_over(consumer);
}

static void client_end(struct consumer *consumer)
{
    assert(consumer->client && consumer->grave);
    kafka_partitions_end(&consumer->partitions);
    consumer_forget_waiting(consumer);
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
    assert(!consumer->client && !consumer->feed);
    rd_kafka_conf_t *conf = consumer_conf_new(&consumer->setup, err);
    if (!conf) {
        return false;
    }
    if (!consumer->grave) {
        consumer->grave = kafka_grave_new(consumer->loop, on_dead, consumer);
    }
    if (!consumer->grave) {
        rd_kafka_conf_destroy(conf);
        return err_set(err, ERR_TRANSIENT, "no memory for a consumer");
    }
    consumer->client = kafka_client_new(RD_KAFKA_CONSUMER, conf, err);
    if (!consumer->client) {
        return false;
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
            consumer_fetched(consumer, message);
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
    assert(consumer->closing);
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
    list_init(&consumer->waiting);
    list_init(&consumer->later);
    consumer->watch = loop_timer_new(loop, on_watch, consumer);
    consumer->unread = loop_timer_new(loop, consumer_on_unread, consumer);
    consumer->again = loop_timer_new(loop, consumer_on_again, consumer);
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
    consumer_store(consumer);
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
