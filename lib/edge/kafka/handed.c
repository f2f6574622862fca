#include "edge/kafka/consumer_own.h"

#include "base/crashpoint.h"
#include "edge/kafka/message.h"

#include <assert.h>

#define AGAIN_MS 1000
/** How long a pause only leaves librdkafka's queue unread. A pause at
 * librdkafka itself throws the queue away, and costs a second to lift: it is
 * for those that last. */
#define UNREAD_MS 2000

void consumer_store(void *context)
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

void consumer_forget_waiting(struct consumer *consumer)
{
    free_all(&consumer->waiting);
    free_all(&consumer->later);
}

static void hand_out(struct consumer *consumer, struct kafka_message *read)
{
    list_remove(&read->link);
    const struct kafka_partition *partition =
        kafka_partition_get(&consumer->partitions, read->message.partition);
    if (!partition || !offsets_waits_for(&partition->offsets,
                                         read->message.offset, read->epoch)) {
        kafka_message_free(read); /* it is read again, perhaps by another */
        return;
    }
    consumer->out++;
    consumer->on_message(consumer->context, &read->message);
}

static void hand_out_all(void *context)
{
    struct consumer *consumer = context;
    consumer->hand_out_due = false;
    while (!consumer->paused && !consumer->closing &&
           !list_is_empty(&consumer->waiting)) {
        hand_out(consumer, LIST_OWNER(consumer->waiting.next,
                                      struct kafka_message, link));
    }
}

void consumer_handed_done(struct consumer *consumer)
{
    loop_undefer(consumer->loop, consumer_store, consumer);
    loop_undefer(consumer->loop, hand_out_all, consumer);
    consumer_forget_waiting(consumer);
}

void consumer_fetched(struct consumer *consumer, const rd_kafka_message_t *from)
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
    struct kafka_message *read = kafka_message_new(
        from, str_of(consumer->setup.topic), partition->epoch);
    if (!read || !kept) {
        /* Never finished, so never passed: the next client reads it again. */
        consumer->forgot = true;
        if (read) {
            kafka_message_free(read);
        }
        return;
    }
    list_add_tail(&consumer->waiting, &read->link);
    hand_out_all(consumer);
}

void consumer_done(struct consumer *consumer, struct message *message)
{
    assert(consumer->out > 0 && message->inside);
    struct kafka_message *read = message->inside;
    struct kafka_partition *partition =
        kafka_partition_get(&consumer->partitions, message->partition);
    if (partition &&
        offsets_finish(&partition->offsets, message->offset, read->epoch) &&
        !consumer->store_due) {
        consumer->store_due = true;
        loop_defer(consumer->loop, consumer_store, consumer);
    }
    consumer->out--;
    kafka_message_free(read);
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
    struct kafka_message *read = message->inside;
    consumer->out--;
    list_add_tail(&consumer->later, &read->link);
    loop_timer_set(consumer->again, AGAIN_MS);
}

void consumer_on_again(void *context)
{
    struct consumer *consumer = context;
    while (!list_is_empty(&consumer->later)) {
        list_add_tail(&consumer->waiting, list_pop(&consumer->later));
    }
    hand_out_all(consumer);
}

size_t consumer_out(const struct consumer *consumer)
{
    return consumer->out;
}

/* Pause */

void consumer_apply_pause(struct consumer *consumer, bool pause)
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
void consumer_on_unread(void *context)
{
    struct consumer *consumer = context;
    if (consumer->paused) {
        consumer_apply_pause(consumer, true);
        if (consumer->feed) {
            kafka_feed_leave_unread(consumer->feed, false);
        }
    }
}

void consumer_pause(struct consumer *consumer)
{
    if (!consumer->paused) {
        consumer->paused = true;
        if (consumer->feed) {
            kafka_feed_leave_unread(consumer->feed, true);
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
        consumer_apply_pause(consumer, false);
    }
    if (consumer->feed) {
        kafka_feed_leave_unread(consumer->feed, false);
    }
    if (!consumer->hand_out_due && !list_is_empty(&consumer->waiting)) {
        consumer->hand_out_due = true;
        loop_defer(consumer->loop, hand_out_all, consumer);
    }
}
