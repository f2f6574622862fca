/* wraps: rd_kafka_new rd_kafka_subscribe rd_kafka_offsets_store */
/* wraps: eventfd uv_poll_init rd_kafka_destroy_flags */
/* wraps: rd_kafka_queue_poll rd_kafka_event_destroy pthread_create */
#include "edge/calls.h"
#include "edge/kafka_trial.h"
#include "edge/kafka/producer_test.h"

#include <semaphore.h>
#include <sys/eventfd.h>
#include <uv.h>

/*
 * What librdkafka's clients are made of fails, when they begin and when one is
 * replaced: that is said, and tried again; what was sent arrives.
 */

/* clang-format off */
WRAP(rd_kafka_resp_err_t, rd_kafka_subscribe, RD_KAFKA_RESP_ERR__FAIL,
     (rd_kafka_t *client, const rd_kafka_topic_partition_list_t *list),
     (client, list))
WRAP(rd_kafka_resp_err_t, rd_kafka_offsets_store, RD_KAFKA_RESP_ERR__STATE,
     (rd_kafka_t *client, rd_kafka_topic_partition_list_t *list),
     (client, list))
WRAP(int, eventfd, -1, (unsigned count, int flags), (count, flags))
WRAP(int, uv_poll_init, UV_EMFILE, (uv_loop_t *loop, uv_poll_t *poll, int fd),
     (loop, poll, fd))
/* clang-format on */

static char linger[16]; /* of the producer that was made last */

rd_kafka_t *__real_rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf,
                                char *text, size_t bytes);
rd_kafka_t *__wrap_rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf,
                                char *text, size_t bytes);
rd_kafka_t *__wrap_rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf,
                                char *text, size_t bytes)
{
    size_t len = sizeof linger;
    if (type == RD_KAFKA_PRODUCER) {
        rd_kafka_conf_get(conf, "linger.ms", linger, &len);
    }
    return fails("rd_kafka_new") ? NULL
                                 : __real_rd_kafka_new(type, conf, text, bytes);
}

static sem_t released;

/** A client whose threads don't end, until it is released. */
void __real_rd_kafka_destroy_flags(rd_kafka_t *client, int flags);
void __wrap_rd_kafka_destroy_flags(rd_kafka_t *client, int flags);
void __wrap_rd_kafka_destroy_flags(rd_kafka_t *client, int flags)
{
    if (fails("rd_kafka_destroy_flags")) {
        sem_wait(&released);
    }
    __real_rd_kafka_destroy_flags(client, flags);
}

static _Thread_local int held_events; /* of this thread */
static atomic_int graves;             /* threads that were begun */
static atomic_int early;              /* of them, with an event held */

rd_kafka_event_t *__real_rd_kafka_queue_poll(rd_kafka_queue_t *queue, int ms);
rd_kafka_event_t *__wrap_rd_kafka_queue_poll(rd_kafka_queue_t *queue, int ms);
rd_kafka_event_t *__wrap_rd_kafka_queue_poll(rd_kafka_queue_t *queue, int ms)
{
    rd_kafka_event_t *event = __real_rd_kafka_queue_poll(queue, ms);
    held_events += event != NULL;
    return event;
}

void __real_rd_kafka_event_destroy(rd_kafka_event_t *event);
void __wrap_rd_kafka_event_destroy(rd_kafka_event_t *event);
void __wrap_rd_kafka_event_destroy(rd_kafka_event_t *event)
{
    held_events--;
    __real_rd_kafka_event_destroy(event);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                          void *(*run)(void *), void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                          void *(*run)(void *), void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
                          void *(*run)(void *), void *context)
{
    graves++;
    early += held_events > 0;
    return __real_pthread_create(thread, attr, run, context);
}

struct seen {
    struct consumer *consumer;
    int messages;
    int good;
    int bad;
};

static void on_message(void *context, struct message *message)
{
    struct seen *seen = context;
    seen->messages++;
    consumer_done(seen->consumer, message);
}

static void on_state(void *context, bool connected, const char *why)
{
    (void)context;
    (void)connected;
    (void)why;
}

static void on_end(void *context, const struct err *err)
{
    struct seen *seen = context;
    seen->good += !err;
    seen->bad += err != NULL;
}

static bool is_sent(void *context)
{
    const struct seen *seen = context;
    return seen->good + seen->bad > 0;
}

static bool has_come(void *context)
{
    const struct seen *seen = context;
    return seen->messages > 0;
}

static struct producer *open_producer(struct trial *trial, struct err *err)
{
    return producer_open(trial->loop, trial_brokers(), NULL, 0, on_state, NULL,
                         err);
}

/** Sends until it arrives. */
static void send_one(struct trial *trial, struct producer *producer,
                     const char *topic, struct seen *seen)
{
    const struct outgoing outgoing = {
        .topic = topic, .key = STR("k"), .value = STR("v")};
    seen->good = 0;
    for (int i = 0; i < 100 && !seen->good; i++) {
        struct err err = {0};
        seen->bad = 0;
        if (producer_send(producer, &outgoing, on_end, seen, &err)) {
            assert_true(trial_wait(trial, is_sent, seen, 60000));
        } else {
            assert_true(err.text[0]);
            trial_wait(trial, trial_never, NULL, 100);
        }
    }
    assert_int_equal(seen->good, 1);
}

/** Events go out as they come: nobody waits for more of them. */
TEST_CASE(producer__by_itself__waits_for_no_batch)
{
    struct trial trial;
    struct err err = {0};
    trial_begin(&trial);
    linger[0] = '\0';
    struct producer *producer = open_producer(&trial, &err);
    assert_non_null(producer);
    assert_string_equal(linger, "0");
    trial_close_producer(&trial, producer);
    trial_end(&trial);
}

TEST_CASE(producer__a_call_fails__is_said_and_tried_again)
{
    static const char *const calls[] = {"rd_kafka_new", "eventfd",
                                        "uv_poll_init"};
    struct trial trial;
    struct seen seen = {0};
    char topic[128];
    trial_begin(&trial);
    trial_topic(topic, sizeof topic, 1);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        struct err err = {0};
        strike(calls[i], 1);
        assert_null(open_producer(&trial, &err));
        assert_true(struck());
        assert_true(err.text[0]);
        struct producer *producer = open_producer(&trial, &err);
        assert_non_null(producer);
        send_one(&trial, producer, topic, &seen);
        /* The client that takes a fatal one's place. */
        strike(calls[i], 1);
        producer_make_fatal(producer);
        send_one(&trial, producer, topic, &seen);
        send_one(&trial, producer, topic, &seen);
        assert_true(struck());
        trial_close_producer(&trial, producer);
    }
    trial_end(&trial);
}

/** It may be the client's own event that ends it, and an event speaks to its
 * client when it goes. */
TEST_CASE(producer__ended_by_its_own_event__outlives_that)
{
    struct trial trial;
    struct seen seen = {0};
    struct err err = {0};
    char topic[128];
    trial_begin(&trial);
    trial_topic(topic, sizeof topic, 1);
    struct producer *producer = open_producer(&trial, &err);
    assert_non_null(producer);
    send_one(&trial, producer, topic, &seen);
    graves = 0;
    early = 0;
    producer_make_fatal(producer);
    send_one(&trial, producer, topic, &seen);
    trial_close_producer(&trial, producer);
    assert_true(graves >= 2);
    assert_int_equal(early, 0);
    trial_end(&trial);
}

static struct consumer *open_consumer(struct trial *trial, const char *topic,
                                      struct seen *seen, struct err *err)
{
    char group[128];
    trial_name(group, sizeof group, "group");
    const struct consumer_options options = {
        .brokers = trial_brokers(), .group = group, .topic = topic};
    return consumer_open(trial->loop, &options, on_message, on_state, seen,
                         err);
}

TEST_CASE(consumer__a_call_fails__is_said_and_works_again)
{
    static const char *const calls[] = {"rd_kafka_new", "eventfd",
                                        "uv_poll_init", "rd_kafka_subscribe"};
    struct trial trial;
    struct seen seen = {0};
    struct err err = {0};
    char topic[128];
    trial_begin(&trial);
    trial_topic(topic, sizeof topic, 1);
    struct producer *producer = open_producer(&trial, &err);
    send_one(&trial, producer, topic, &seen);
    trial_close_producer(&trial, producer);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        strike(calls[i], 1);
        assert_null(open_consumer(&trial, topic, &seen, &err));
        assert_true(struck());
        assert_true(err.text[0]);
    }
    /* Of its way out, too: it ends, if not at once. */
    static const char *const late[] = {"rd_kafka_offsets_store", "eventfd",
                                       "uv_poll_init"};
    for (size_t i = 0; i < sizeof late / sizeof *late; i++) {
        seen = (struct seen){0};
        seen.consumer = open_consumer(&trial, topic, &seen, &err);
        assert_non_null(seen.consumer);
        print_message("%s fails late\n", late[i]);
        strike(late[i], 1);
        assert_true(trial_wait(&trial, has_come, &seen, 60000));
        trial.closed = false;
        consumer_close(seen.consumer, 1000, trial_on_closed, &trial);
        assert_true(trial_wait(&trial, trial_is_closed, &trial, 60000));
        assert_true(struck());
        assert_int_equal(seen.messages, 1);
    }
    trial_end(&trial);
}

static void nothing(void *context)
{
    (void)context;
}

static void on_worked(void *context)
{
    ++*(int *)context;
}

static bool has_worked(void *context)
{
    return *(int *)context > 0;
}

static bool is_struck(void *context)
{
    (void)context;
    return order.hit;
}

TEST_CASE(destroy__hangs__is_in_nobodys_way)
{
    struct trial trial;
    struct seen seen = {0};
    struct err err = {0};
    char topic[128];
    int worked = 0;
    assert_int_equal(sem_init(&released, 0, 0), 0);
    trial_begin(&trial);
    trial_topic(topic, sizeof topic, 1);
    struct producer *producer = open_producer(&trial, &err);
    assert_non_null(producer);
    send_one(&trial, producer, topic, &seen);
    strike("rd_kafka_destroy_flags", 1);
    producer_make_fatal(producer);
    /* On a thread of its own, which may begin late. */
    assert_true(trial_wait(&trial, is_struck, NULL, 60000));
    send_one(&trial, producer, topic, &seen); /* by the next one */
    send_one(&trial, producer, topic, &seen);
    /* The loop has one thread for its work: it is free. */
    loop_work(trial.loop, nothing, on_worked, &worked);
    assert_true(trial_wait(&trial, has_worked, &worked, 60000));
    assert_true(struck());
    sem_post(&released);
    trial_close_producer(&trial, producer);
    trial_end(&trial);
    sem_destroy(&released);
}

int main(void)
{
    loop_threads(1);
    return TESTS_RESULT(NULL, NULL);
}
