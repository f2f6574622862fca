/* tests/run: raced */
#include "edge/reader.h"

static bool same(struct str a, const char *text)
{
    return text ? a.at && str_eq(a, str_of(text)) : !a.at;
}

TEST_CASE(message__headers_and_nulls__arrive_as_sent)
{
    struct trial trial;
    trial_begin(&trial);
    char topic[100];
    trial_topic(topic, sizeof topic, 1);
    struct producer *producer = producer_new(&trial);
    struct sent sent = {.want = 3};
    struct err err;
    const struct event_header headers[] = {
        {STR("ce_id"), STR("1")},
        {STR("twice"), STR("a")},
        {STR("twice"), STR("b")},
        {STR("empty"), {"", 0}},
    };
    struct outgoing full = {.topic = topic,
                            .key = STR("key"),
                            .value = STR("a\0b"),
                            .headers = headers,
                            .headers_len = 4};
    struct outgoing nulls = {.topic = topic};
    struct outgoing empties = {
        .topic = topic, .key = {"", 0}, .value = {"", 0}};
    assert_true(producer_send(producer, &full, on_sent, &sent, &err));
    assert_true(producer_send(producer, &nulls, on_sent, &sent, &err));
    assert_true(producer_send(producer, &empties, on_sent, &sent, &err));
    assert_true(trial_wait(&trial, all_sent, &sent, 60000));

    struct reader *reader = reader_new(&trial, topic, topic);
    reader->keep = true;
    reader->want = INT32_MAX;
    while (reader->kept_len < 3) {
        assert_false(trial_wait(&trial, has_all, reader, 100));
    }
    const struct message *m = reader->kept[0];
    assert_true(same(m->topic, topic));
    assert_int_equal(m->partition, 0);
    assert_int_equal(m->offset, 0);
    assert_true(same(m->key, "key"));
    assert_int_equal(m->value.len, 3);
    assert_memory_equal(m->value.at, "a\0b", 3);
    assert_int_equal(m->headers_len, 4);
    assert_true(same(m->headers[0].name, "ce_id"));
    assert_true(same(m->headers[1].value, "a"));
    assert_true(same(m->headers[2].value, "b"));
    assert_true(same(m->headers[3].value, ""));
    m = reader->kept[1];
    assert_true(same(m->key, NULL));
    assert_true(same(m->value, NULL));
    assert_int_equal(m->headers_len, 0);
    m = reader->kept[2];
    assert_true(same(m->key, ""));
    assert_true(same(m->value, ""));
    assert_int_equal(consumer_out(reader->consumer), 3);
    reader_drop_all(reader);
    assert_int_equal(consumer_out(reader->consumer), 0);
    trial_close_producer(&trial, producer);
    reader_end(reader, &trial);
    trial_end(&trial);
}

TEST_CASE(done__with_a_gap__is_read_again_from_the_gap)
{
    struct trial trial;
    trial_begin(&trial);
    char topic[100];
    trial_topic(topic, sizeof topic, 1);
    produce_range(&trial, topic, 0, 10);

    struct reader *reader = reader_new(&trial, topic, topic);
    reader->keep = true;
    reader->want = 10;
    assert_true(trial_wait(&trial, has_all, reader, 60000));
    for (size_t i = 10; i-- > 0;) { /* newest first */
        if (i != 4) {
            finish(reader, reader->kept[i]);
        }
    }
    consumer_drop(reader->consumer, reader->kept[4]);
    reader_end(reader, &trial);

    reader = reader_new(&trial, topic, topic);
    reader->want = 6;
    assert_true(trial_wait(&trial, has_all, reader, 60000));
    assert_false(trial_wait(&trial, trial_never, NULL, 300));
    for (int i = 0; i < 10; i++) {
        assert_int_equal(reader->seen[i], i >= 4);
    }
    reader_end(reader, &trial);

    /* All done now: nothing comes a third time. */
    produce_range(&trial, topic, 10, 11);
    reader = reader_new(&trial, topic, topic);
    reader->want = 1;
    assert_true(trial_wait(&trial, has_all, reader, 60000));
    assert_int_equal(reader->seen[10], 1);
    assert_int_equal(reader->messages, 1);
    reader_end(reader, &trial);
    trial_end(&trial);
}

TEST_CASE(pause__again_and_again__loses_and_leaks_nothing)
{
    enum { COUNT = 4000 };
    struct trial trial;
    trial_begin(&trial);
    char topic[100];
    trial_topic(topic, sizeof topic, 3);
    produce_range(&trial, topic, 0, COUNT);
    struct reader *reader = reader_new(&trial, topic, topic);
    reader->pause_each = 170;
    reader->want = COUNT;
    int64_t limit_ms = loop_boot_ms(trial.loop) + 60000;
    while (!trial_wait(&trial, has_all, reader, 40)) {
        assert_true(loop_boot_ms(trial.loop) < limit_ms);
        reader->paused = false;
        consumer_resume(reader->consumer);
    }
    assert_int_equal(reader->while_paused, 0);
    assert_int_equal(reader->messages, COUNT);
    reader_end(reader, &trial);
    trial_end(&trial);
}

TEST_CASE(pause__before_the_assignment__is_kept)
{
    struct trial trial;
    trial_begin(&trial);
    char topic[100];
    trial_topic(topic, sizeof topic, 2);
    produce_range(&trial, topic, 0, 20);
    struct reader *reader = reader_new(&trial, topic, topic);
    consumer_pause(reader->consumer);
    reader->want = 20;
    assert_true(trial_wait(&trial, is_connected, reader, 60000));
    assert_false(trial_wait(&trial, has_some, reader, 3000));
    assert_true(reader->connected);
    consumer_resume(reader->consumer);
    assert_true(trial_wait(&trial, has_all, reader, 60000));
    reader_end(reader, &trial);
    trial_end(&trial);
}

TEST_CASE(lag__is_what_was_not_read)
{
    struct trial trial;
    trial_begin(&trial);
    char topic[100];
    trial_topic(topic, sizeof topic, 2);
    produce_range(&trial, topic, 0, 50);
    struct reader *reader = reader_new(&trial, topic, topic);
    assert_int_equal(consumer_lag(reader->consumer), -1);
    reader->want = 50;
    assert_true(trial_wait(&trial, has_all, reader, 60000));
    assert_true(trial_wait(&trial, lag_is_0, reader, 60000));
    reader_end(reader, &trial);
    trial_end(&trial);
}

/** Two messages that count and two that were taken back, each pair with the
 * marker that ends its transaction. */
static void produce_transactions(const char *topic)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", trial_brokers(), NULL, 0);
    rd_kafka_conf_set(conf, "transactional.id", topic, NULL, 0);
    rd_kafka_t *client =
        rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    assert_non_null(client);
    assert_null(rd_kafka_init_transactions(client, 60000));
    for (int i = 0; i < 4; i++) {
        char value[8];
        snprintf(value, sizeof value, "%d", i);
        if (i % 2 == 0) {
            assert_null(rd_kafka_begin_transaction(client));
        }
        assert_int_equal(
            rd_kafka_producev(client, RD_KAFKA_V_TOPIC(topic),
                              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                              RD_KAFKA_V_VALUE(value, strlen(value)),
                              RD_KAFKA_V_END),
            0);
        if (i == 1) {
            assert_null(rd_kafka_commit_transaction(client, 60000));
        } else if (i == 3) {
            (void)rd_kafka_flush(client, 60000); /* they are in the topic */
            assert_null(rd_kafka_abort_transaction(client, 60000));
        }
    }
    rd_kafka_destroy(client);
}

TEST_CASE(lag__markers_of_transactions_at_the_end__are_not_counted)
{
    struct trial trial;
    trial_begin(&trial);
    char topic[100];
    trial_topic(topic, sizeof topic, 1);
    produce_transactions(topic);
    struct reader *reader = reader_new(&trial, topic, topic);
    reader->want = 2;
    assert_true(trial_wait(&trial, has_all, reader, 60000));
    assert_true(trial_wait(&trial, lag_is_0, reader, 60000));
    assert_int_equal(reader->messages, 2); /* none of those taken back */
    reader_end(reader, &trial);
    trial_end(&trial);
}

TEST_CASE(message__of_almost_a_mebibyte__arrives_whole)
{
    struct trial trial;
    trial_begin(&trial);
    char topic[100];
    trial_topic(topic, sizeof topic, 1);
    struct producer *producer = producer_new(&trial);
    struct sent sent = {.want = 1};
    struct err err;
    size_t len = (1 << 20) - 200; /* with its frame: the broker's limit */
    char *big = malloc(len);
    memset(big, 'x', len);
    big[len - 1] = 'y';
    struct outgoing outgoing = {.topic = topic, .value = {big, len}};
    assert_true(producer_send(producer, &outgoing, on_sent, &sent, &err));
    assert_true(trial_wait(&trial, all_sent, &sent, 60000));
    assert_int_equal(sent.good, 1);
    struct reader *reader = reader_new(&trial, topic, topic);
    reader->keep = true;
    assert_true(trial_wait(&trial, has_some, reader, 60000));
    assert_int_equal(reader->kept_len, 1);
    assert_true(str_eq(reader->kept[0]->value, outgoing.value));
    reader_drop_all(reader);
    free(big);
    trial_close_producer(&trial, producer);
    reader_end(reader, &trial);
    trial_end(&trial);
}

TEST_CASE(open__topic_that_is_not_there_yet__reads_it_later)
{
    struct trial trial;
    trial_begin(&trial);
    char topic[100];
    trial_name(topic, sizeof topic, "fresh");
    struct reader *reader = reader_new(&trial, topic, topic);
    (void)trial_wait(&trial, trial_never, NULL, 1000);
    produce_range(&trial, topic, 0, 3);
    reader->want = 3;
    assert_true(trial_wait(&trial, has_all, reader, 60000));
    assert_true(reader->connected);
    reader_end(reader, &trial);
    trial_end(&trial);
}

TEST_CASE(tail__only_what_comes_later__is_read)
{
    struct trial trial;
    trial_begin(&trial);
    char topic[100];
    trial_topic(topic, sizeof topic, 1);
    produce_range(&trial, topic, 0, 5);
    struct reader *reader = calloc(1, sizeof *reader);
    struct err err;
    struct consumer_options options = {.brokers = trial_brokers(),
                                       .group = topic,
                                       .topic = topic,
                                       .tail = true};
    reader->consumer =
        consumer_open(trial.loop, &options, on_message, on_state, reader, &err);
    assert_non_null(reader->consumer);
    /* Zero once the end is known, which is where it begins. */
    (void)trial_wait(&trial, lag_is_0, reader, 60000);
    produce_range(&trial, topic, 5, 8);
    reader->want = 3;
    assert_true(trial_wait(&trial, has_all, reader, 60000));
    assert_int_equal(reader->seen[4], 0);
    assert_int_equal(reader->seen[5], 1);
    reader_end(reader, &trial);
    trial_end(&trial);
}

/** Who stood still before the first try has another reason at first. */
static bool says_where(void *context)
{
    return strstr(((struct reader *)context)->why, "127.0.0.1:1") != NULL;
}

TEST_CASE(state__brokers_away__is_told_with_a_reason)
{
    struct trial trial;
    trial_begin(&trial);
    struct reader *reader = calloc(1, sizeof *reader);
    struct err err;
    struct consumer_options options = {
        .brokers = "127.0.0.1:1", .group = "g", .topic = "t"};
    reader->consumer =
        consumer_open(trial.loop, &options, on_message, on_state, reader, &err);
    assert_non_null(reader->consumer);
    assert_true(trial_wait(&trial, says_where, reader, 60000));
    assert_false(reader->connected);
    reader_end(reader, &trial);
    trial_end(&trial);
}

TEST_CASE(open__bad_properties__are_named)
{
    struct trial trial;
    trial_begin(&trial);
    static const struct kafka_property rows[] = {
        {"no.such.property", "1"},
        {"session.timeout.ms", "soon"},
        {"enable.auto.offset.store", "true"},
        {"enable.auto.commit", "false"},
        {"partition.assignment.strategy", "cooperative-sticky"},
        {"group.protocol", "consumer"},
        {"group.id", "other"},
        {"auto.offset.reset", "latest"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err err = {0};
        struct consumer_options options = {.brokers = "127.0.0.1:1",
                                           .group = "g",
                                           .topic = "t",
                                           .properties = &rows[i],
                                           .properties_len = 1};
        assert_null(consumer_open(trial.loop, &options, on_message, on_state,
                                  NULL, &err));
        assert_int_equal(err.kind, ERR_PERMANENT);
        assert_non_null(strstr(err.text, rows[i].name));
    }
    trial_end(&trial);
}

TESTS_RUN(NULL, NULL)
