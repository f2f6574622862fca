/* tests/run: raced */
#include "edge/reader.h"

/* Several consumers share a topic. */

struct pair {
    struct reader *one;
    struct reader *two;
    int want;
    bool both; /* must each have read something */
};

static bool both_connected(void *context)
{
    const struct pair *pair = context;
    return pair->one->connected && pair->two->connected;
}

/** The group's answer is what makes it ready, and "none for you" is one. */
TEST_CASE(state__more_members_than_partitions__all_are_connected)
{
    struct trial trial;
    trial_begin(&trial);
    char topic[100];
    trial_topic(topic, sizeof topic, 1);
    struct pair pair = {.one = reader_new(&trial, topic, topic)};
    pair.two = reader_new(&trial, topic, topic);
    assert_true(trial_wait(&trial, both_connected, &pair, 60000));
    reader_end(pair.one, &trial);
    reader_end(pair.two, &trial);
    trial_end(&trial);
}

static bool pair_has_all(void *context)
{
    struct pair *pair = context;
    if (pair->both && (pair->one->messages == 0 || pair->two->messages == 0)) {
        return false;
    }
    for (int i = 0; i < pair->want; i++) {
        if (pair->one->seen[i] + pair->two->seen[i] == 0) {
            return false;
        }
    }
    return true;
}

TEST_CASE(rebalance__members_come_and_go__loses_nothing)
{
    struct trial trial;
    trial_begin(&trial);
    char topic[100];
    trial_topic(topic, sizeof topic, 4);
    struct producer *producer = producer_new(&trial);
    struct sent sent = {0};
    struct reader *one = reader_new(&trial, topic, topic);
    for (int i = 0; i < 500; i++) {
        produce(producer, topic, i, &sent);
    }
    one->want = 500;
    one->keep = true; /* under way while the partitions move */
    assert_true(trial_wait(&trial, has_all, one, 60000));

    struct reader *two = reader_new(&trial, topic, topic);
    struct pair pair = {one, two, 500, true};
    assert_true(trial_wait(&trial, pair_has_all, &pair, 60000));
    /* Answers to what was read before the move: they must not count. */
    one->keep = false;
    size_t old = one->kept_len;
    for (size_t i = 0; i < old; i++) {
        finish(one, one->kept[i]);
    }
    one->kept_len = 0;
    for (int i = 500; i < 1000; i++) {
        produce(producer, topic, i, &sent);
    }
    pair.want = 1000;
    assert_true(trial_wait(&trial, pair_has_all, &pair, 60000));
    trial_close_consumer(&trial, one->consumer);
    for (int i = 1000; i < 1500; i++) {
        produce(producer, topic, i, &sent);
    }
    pair.want = 1500;
    pair.both = false;
    assert_true(trial_wait(&trial, pair_has_all, &pair, 60000));
    assert_true(trial_wait(&trial, all_sent, &sent, 60000));
    assert_int_equal(sent.good, 1500);
    /* What the first member did after the move was committed when it left. */
    for (int i = 500; i < 1000; i++) {
        assert_int_equal(one->seen[i] + two->seen[i], 1);
    }
    free(one);
    trial_close_producer(&trial, producer);
    reader_end(two, &trial);
    trial_end(&trial);
}

TEST_CASE(late_done__of_a_revoked_partition__is_ignored)
{
    struct trial trial;
    trial_begin(&trial);
    char topic[100];
    trial_topic(topic, sizeof topic, 1);
    produce_range(&trial, topic, 0, 5);
    struct reader *one = reader_new(&trial, topic, topic);
    one->keep = true;
    one->want = 5;
    assert_true(trial_wait(&trial, has_all, one, 60000));
    /* Others come until the only partition has moved. */
    struct reader *others[6] = {0};
    size_t len = 0;
    bool moved = false;
    while (!moved && len < 6) {
        others[len] = reader_new(&trial, topic, topic);
        others[len]->keep = true;
        others[len]->want = 5;
        len++;
        for (int i = 0; i < 100 && !moved; i++) {
            (void)trial_wait(&trial, trial_never, NULL, 100);
            for (size_t k = 0; k < len; k++) {
                moved = moved || others[k]->distinct == 5;
            }
            moved = moved || one->messages > 5; /* or came back to us */
        }
    }
    assert_true(moved);
    for (size_t i = 0; i < 5; i++) { /* those of the first assignment */
        finish(one, one->kept[i]);
    }
    (void)trial_wait(&trial, trial_never, NULL, 1500); /* a commit's time */
    memmove(one->kept, one->kept + 5, (one->kept_len - 5) * sizeof *one->kept);
    one->kept_len -= 5;
    reader_drop_all(one);
    reader_end(one, &trial);
    for (size_t i = 0; i < len; i++) {
        reader_drop_all(others[i]);
        reader_end(others[i], &trial);
    }
    struct reader *last = reader_new(&trial, topic, topic);
    last->want = 5;
    assert_true(trial_wait(&trial, has_all, last, 60000));
    reader_end(last, &trial);
    trial_end(&trial);
}

TESTS_RUN(NULL, NULL)
