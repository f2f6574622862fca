/* tests/run: raced */
#include "edge/kafka_trial.h"
#include "edge/kafka/producer_test.h"

#include <string.h>
#include <time.h>

struct answers {
    int good;
    int transient;
    int permanent;
    int want;
    char text[500];
    bool connected;
    char why[256];
};

static void on_end(void *context, const struct err *err)
{
    struct answers *answers = context;
    if (!err) {
        answers->good++;
        return;
    }
    snprintf(answers->text, sizeof answers->text, "%s", err->text);
    if (err->kind == ERR_PERMANENT) {
        answers->permanent++;
    } else {
        answers->transient++;
    }
}

static void on_state(void *context, bool connected, const char *why)
{
    struct answers *answers = context;
    answers->connected = connected;
    snprintf(answers->why, sizeof answers->why, "%s", why);
}

static bool all_answered(void *context)
{
    struct answers *answers = context;
    return answers->good + answers->transient + answers->permanent >=
           answers->want;
}

static bool is_connected(void *context)
{
    return ((struct answers *)context)->connected;
}

/** Who stood still before the first try has another reason at first. */
static bool says_where(void *context)
{
    return strstr(((struct answers *)context)->why, "127.0.0.1:1") != NULL;
}

/** Sends one as soon as there is a client to send it. */
struct eager {
    struct producer *producer;
    const char *topic;
    struct answers *answers;
};

static bool could_send(void *context)
{
    struct eager *eager = context;
    const struct outgoing outgoing = {
        .topic = eager->topic, .key = STR("k"), .value = STR("again")};
    struct err err = {0};
    bool sent =
        producer_send(eager->producer, &outgoing, on_end, eager->answers, &err);
    eager->answers->want += sent;
    return sent;
}

static struct producer *open_at(struct trial *trial, const char *brokers,
                                struct answers *answers)
{
    struct err err = {0};
    struct producer *producer =
        producer_open(trial->loop, brokers, NULL, 0, on_state, answers, &err);
    assert_non_null(producer);
    return producer;
}

static bool send_text(struct producer *producer, const char *topic,
                      const char *key, struct str value,
                      struct answers *answers, struct err *err)
{
    struct outgoing outgoing = {
        .topic = topic, .key = str_of(key), .value = value};
    bool sent = producer_send(producer, &outgoing, on_end, answers, err);
    answers->want += sent;
    return sent;
}

TEST_CASE(send__many__are_all_acknowledged)
{
    struct trial trial;
    trial_begin(&trial);
    char topic[100];
    trial_topic(topic, sizeof topic, 2);
    struct answers answers = {0};
    struct producer *producer = open_at(&trial, trial_brokers(), &answers);
    struct err err;
    for (int i = 0; i < 2000; i++) {
        assert_true(
            send_text(producer, topic, "k", STR("value"), &answers, &err));
        assert_int_equal(answers.good, 0); /* never before it returned */
    }
    assert_int_equal(producer_under_way(producer), 2000);
    assert_true(trial_wait(&trial, all_answered, &answers, 60000));
    assert_int_equal(answers.good, 2000);
    assert_int_equal(producer_under_way(producer), 0);
    assert_true(trial_wait(&trial, is_connected, &answers, 60000));
    trial_close_producer(&trial, producer);
    trial_end(&trial);
}

TEST_CASE(send__larger_than_the_broker_takes__is_permanent)
{
    struct trial trial;
    trial_begin(&trial);
    char topic[100];
    trial_topic(topic, sizeof topic, 1);
    struct answers answers = {0};
    struct producer *producer = open_at(&trial, trial_brokers(), &answers);
    struct err err;
    char *big = calloc(1, 3 << 20);
    struct str over_broker = {big, (3 << 20) / 2}; /* its default is 1 MiB */
    assert_true(send_text(producer, topic, "k", over_broker, &answers, &err));
    assert_true(trial_wait(&trial, all_answered, &answers, 60000));
    assert_int_equal(answers.permanent, 1);
    assert_non_null(strstr(answers.text, topic));

    struct str over_ours = {big, 3 << 20};
    assert_false(send_text(producer, topic, "k", over_ours, &answers, &err));
    assert_int_equal(err.kind, ERR_PERMANENT);

    /* And the producer lives on. */
    assert_true(send_text(producer, topic, "k", STR("x"), &answers, &err));
    assert_true(trial_wait(&trial, all_answered, &answers, 60000));
    assert_int_equal(answers.good, 1);
    free(big);
    trial_close_producer(&trial, producer);
    trial_end(&trial);
}

TEST_CASE(send__in_a_batch_with_a_large_one__is_taken)
{
    struct trial trial;
    trial_begin(&trial);
    char topic[100];
    trial_topic(topic, sizeof topic, 1);
    struct answers answers = {0};
    /* Long enough for both to share a batch, also on a busy machine. */
    const struct kafka_property linger = {"linger.ms", "2000"};
    const struct kafka_property wide = {"batch.size", "4000000"};
    const struct kafka_property both[] = {linger, wide};
    struct err err;
    struct producer *producer = producer_open(trial.loop, trial_brokers(), both,
                                              2, on_state, &answers, &err);
    assert_non_null(producer);
    char *big = calloc(1, 3 << 19);
    struct answers large = {0};
    for (int i = 0; i < 20; i++) {
        assert_true(
            send_text(producer, topic, "k", STR("small"), &answers, &err));
    }
    assert_true(send_text(producer, topic, "k", (struct str){big, 3 << 19},
                          &large, &err)); /* the broker's default is 1 MiB */
    assert_true(trial_wait(&trial, all_answered, &large, 60000));
    assert_true(trial_wait(&trial, all_answered, &answers, 60000));
    assert_int_equal(answers.good, 20);
    assert_int_equal(large.permanent, 1);
    assert_int_equal(producer_clients(producer), 2); /* they did share one */
    assert_int_equal(producer_under_way(producer), 0);

    /* In the end of a client nothing is judged, and nothing is left behind. */
    assert_true(send_text(producer, topic, "k", STR("x"), &answers, &err));
    assert_true(send_text(producer, topic, "k", (struct str){big, 3 << 19},
                          &large, &err));
    trial_close_producer(&trial, producer);
    assert_int_equal(answers.good + answers.transient, 21);
    assert_int_equal(large.permanent + large.transient, 2);
    assert_int_equal(large.good, 0);
    free(big);
    trial_end(&trial);
}

TEST_CASE(send__window_full__is_transient)
{
    struct trial trial;
    trial_begin(&trial);
    struct answers answers = {0};
    struct producer *producer = open_at(&trial, "127.0.0.1:1", &answers);
    struct err err;
    for (int i = 0; i < 5000; i++) {
        assert_true(send_text(producer, "t", "k", STR("x"), &answers, &err));
    }
    assert_false(send_text(producer, "t", "k", STR("x"), &answers, &err));
    assert_int_equal(err.kind, ERR_TRANSIENT);
    trial.closed = false;
    producer_close(producer, 100, trial_on_closed, &trial);
    assert_true(trial_wait(&trial, trial_is_closed, &trial, 60000));
    assert_int_equal(answers.transient, 5000);
    trial_end(&trial);
}

TEST_CASE(state__brokers_away__is_told_with_a_reason)
{
    struct trial trial;
    trial_begin(&trial);
    struct answers answers = {0};
    struct producer *producer = open_at(&trial, "127.0.0.1:1", &answers);
    assert_true(trial_wait(&trial, says_where, &answers, 60000));
    assert_false(answers.connected);
    trial_close_producer(&trial, producer);
    trial_end(&trial);
}

TEST_CASE(close__brokers_away__ends_what_is_under_way)
{
    struct trial trial;
    trial_begin(&trial);
    struct answers answers = {0};
    struct producer *producer = open_at(&trial, "127.0.0.1:1", &answers);
    struct err err;
    assert_true(send_text(producer, "t", "k", STR("x"), &answers, &err));
    trial.closed = false;
    int64_t begun_ms = loop_boot_ms(trial.loop);
    producer_close(producer, 300, trial_on_closed, &trial);
    assert_false(trial.closed);
    assert_int_equal(answers.transient, 0);
    assert_true(trial_wait(&trial, trial_is_closed, &trial, 60000));
    assert_true(loop_boot_ms(trial.loop) - begun_ms >= 300);
    assert_int_equal(answers.transient, 1);
    trial_end(&trial);
}

TEST_CASE(fatal__with_sends_under_way__is_replaced)
{
    struct trial trial;
    trial_begin(&trial);
    char topic[100];
    trial_topic(topic, sizeof topic, 1);
    struct answers answers = {0};
    struct producer *producer = open_at(&trial, trial_brokers(), &answers);
    struct err err;
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < 500; i++) {
            assert_true(
                send_text(producer, topic, "k", STR("x"), &answers, &err));
        }
        producer_make_fatal(producer);
        assert_true(trial_wait(&trial, all_answered, &answers, 60000));
        assert_int_equal(producer_under_way(producer), 0);
        assert_int_equal(answers.good + answers.transient, answers.want);
        int good = answers.good;
        struct eager eager = {producer, topic, &answers};
        assert_true(trial_wait(&trial, could_send, &eager, 60000));
        assert_int_equal(producer_clients(producer), round + 1);
        assert_true(trial_wait(&trial, all_answered, &answers, 60000));
        assert_int_equal(answers.good, good + 1);
    }
    assert_true(answers.transient > 0);
    assert_int_equal(answers.permanent, 0);
    trial_close_producer(&trial, producer);
    trial_end(&trial);
}

struct doomed {
    struct producer *producer;
    int made; /* clients so far */
};

/** Ends each client as soon as it is there. */
static bool is_there_no_more(void *context)
{
    struct doomed *doomed = context;
    if (producer_clients(doomed->producer) > doomed->made) {
        doomed->made = producer_clients(doomed->producer);
        producer_make_fatal(doomed->producer);
    }
    return false;
}

/** A machine that stood still has made one alone. */
static bool has_made_two(void *context)
{
    (void)is_there_no_more(context);
    return ((struct doomed *)context)->made >= 2;
}

/** As one without the right to begin does: it is made anew ever more rarely,
 * with its reason told, and sends again once it may. */
TEST_CASE(fatal__again_and_again__waits_longer_each_time)
{
    struct trial trial;
    trial_begin(&trial);
    char topic[100];
    trial_topic(topic, sizeof topic, 1);
    struct answers answers = {0};
    struct doomed doomed = {.producer =
                                open_at(&trial, trial_brokers(), &answers)};
    trial_wait(&trial, is_there_no_more, &doomed, 3000);
    assert_in_range(doomed.made, 1, 8); /* 0.1, 0.2, 0.4, 0.8, 1.6 s at least */
    assert_true(trial_wait(&trial, has_made_two, &doomed, 60000));
    (void)is_there_no_more(&doomed); /* one may be there since the last look */
    assert_false(answers.connected);
    assert_non_null(strstr(answers.why, "a test"));
    struct outgoing outgoing = {.topic = topic, .value = STR("x")};
    struct err err = {0};
    assert_false(
        producer_send(doomed.producer, &outgoing, on_end, &answers, &err));
    assert_non_null(strstr(err.text, "a test"));
    struct eager eager = {doomed.producer, topic, &answers};
    assert_true(trial_wait(&trial, could_send, &eager, 60000));
    assert_true(trial_wait(&trial, all_answered, &answers, 60000));
    assert_true(trial_wait(&trial, is_connected, &answers, 60000));
    assert_int_equal(answers.good, 1);
    trial_close_producer(&trial, doomed.producer);
    trial_end(&trial);
}

TEST_CASE(close__in_the_middle_of_a_replacement__ends_all)
{
    struct trial trial;
    trial_begin(&trial);
    char topic[100];
    trial_topic(topic, sizeof topic, 1);
    struct answers answers = {0};
    struct producer *producer = open_at(&trial, trial_brokers(), &answers);
    struct err err;
    for (int i = 0; i < 100; i++) {
        assert_true(send_text(producer, topic, "k", STR("x"), &answers, &err));
    }
    producer_make_fatal(producer);
    trial_close_producer(&trial, producer);
    assert_int_equal(answers.good + answers.transient, 100);
    trial_end(&trial);
}

TEST_CASE(open__bad_properties__are_named_without_their_value)
{
    struct trial trial;
    trial_begin(&trial);
    static const struct {
        struct kafka_property property;
    } rows[] = {
        {{"no.such.property", "s3cret"}},  {{"security.protocol", "s3cret"}},
        {{"enable.idempotence", "false"}}, {{"acks", "1"}},
        {{"request.required.acks", "1"}},  {{"partitioner", "random"}},
        {{"transactional.id", "s3cret"}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err err = {0};
        assert_null(producer_open(trial.loop, "127.0.0.1:1", &rows[i].property,
                                  1, NULL, NULL, &err));
        assert_int_equal(err.kind, ERR_PERMANENT);
        assert_non_null(strstr(err.text, rows[i].property.name));
        assert_null(strstr(err.text, "s3cret"));
    }
    trial_end(&trial);
}

TESTS_RUN(NULL, NULL)
