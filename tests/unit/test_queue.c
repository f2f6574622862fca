#include "lib/check.h"
#include "core/queue.h"

#define NOW 100000

/** Of each priority one at most. */
static int64_t came(struct queue *queue, int64_t boot_ms, int priority,
                    int64_t id, bool full)
{
    int64_t taken[PRIORITIES] = {0};
    taken[priority] = id;
    return queue_came(queue, boot_ms, taken, full);
}

/** Where the next one begins in a priority. */
static int64_t begins(struct queue *queue, int64_t boot_ms, int priority)
{
    int64_t after[PRIORITIES];
    queue_ask(queue, boot_ms, after);
    return after[priority];
}

TEST_CASE(queue_ask__after_a_claim__begins_behind_what_it_took)
{
    struct queue queue = {0};
    assert_int_equal(begins(&queue, NOW, 5), 0);
    assert_int_equal(came(&queue, NOW, 5, 70, true), -1);
    assert_int_equal(begins(&queue, NOW, 5), 70);
    assert_int_equal(came(&queue, NOW, 9, 80, true), -1);
    int64_t after[PRIORITIES];
    queue_ask(&queue, NOW, after);
    assert_int_equal(after[9], 80);
    assert_int_equal(after[5], 70);
    assert_int_equal(after[0], 0);
}

/** Without a claim, as one that had to have a place first. */
TEST_CASE(queue_none__behind_the_keys__calls_for_the_start_within_a_second)
{
    struct queue queue = {0};
    int64_t after[PRIORITIES];
    begins(&queue, NOW, 5);
    came(&queue, NOW, 5, 70, true);
    assert_false(queue_look(&queue, NOW + 100, after));
    assert_int_equal(after[5], 70);
    assert_int_equal(queue_none(&queue, NOW + 100), 900);
    assert_false(queue_look(&queue, NOW + 1000, after));
    assert_int_equal(queue_none(&queue, NOW + 1000), 0);
    assert_true(queue_look(&queue, NOW + 1000, after));
    assert_int_equal(after[5], 0);
    assert_false(queue_look(&queue, NOW + 1002, after));
    queue_found(&queue, true); /* it is claimed from there */
    assert_int_equal(begins(&queue, NOW + 1003, 5), 0);
}

TEST_CASE(queue_ask__every_5_s__begins_at_the_start)
{
    struct queue queue = {0};
    begins(&queue, NOW, 5);
    came(&queue, NOW, 5, 70, false);
    assert_int_equal(begins(&queue, NOW + 4999, 5), 70);
    assert_int_equal(came(&queue, NOW + 4999, 5, 71, true), -1);
    assert_int_equal(begins(&queue, NOW + 5000, 5), 0);
}

TEST_CASE(queue_came__of_the_end_of_the_queue__calls_for_the_start)
{
    struct queue queue = {0};
    begins(&queue, NOW, 5);
    assert_int_equal(came(&queue, NOW, 5, 70, false), -1);
    begins(&queue, NOW + 1000, 5);
    assert_int_equal(came(&queue, NOW + 1000, 5, 71, false), 4000);
    begins(&queue, NOW + 6000, 5); /* from the start: that was all */
    assert_int_equal(came(&queue, NOW + 6000, 5, 3, false), -1);
    assert_int_equal(begins(&queue, NOW + 6000, 5), 71);
}

TEST_CASE(queue_came__with_nothing__soon_begins_at_the_start)
{
    struct queue queue = {0};
    begins(&queue, NOW, 5);
    came(&queue, NOW, 5, 70, true);
    begins(&queue, NOW + 400, 5);
    assert_int_equal(came(&queue, NOW + 400, 5, 0, false), 600);
    assert_int_equal(begins(&queue, NOW + 900, 5), 70);
    assert_int_equal(came(&queue, NOW + 900, 5, 0, false), 100);
    begins(&queue, NOW + 1000, 5);
    assert_int_equal(came(&queue, NOW + 1000, 5, 0, false), 0);
    assert_int_equal(begins(&queue, NOW + 1000, 5), 0);
}

/** One that stopped on its way from the start goes on where it was, and has yet
 * to look at all that comes below. */
TEST_CASE(queue_came__full_from_the_start__goes_on_from_there)
{
    struct queue queue = {0};
    begins(&queue, NOW, 5);
    came(&queue, NOW, 5, 70, true);
    begins(&queue, NOW, 5);
    came(&queue, NOW, 2, 90, true);
    begins(&queue, NOW + 5000, 5);
    came(&queue, NOW + 5000, 5, 8, true);
    int64_t after[PRIORITIES];
    queue_ask(&queue, NOW + 5000, after);
    assert_int_equal(after[5], 8);
    assert_int_equal(after[2], 0);
}

TEST_CASE(queue_again__older_rows_wait_now__begins_at_the_start)
{
    struct queue queue = {0};
    begins(&queue, NOW, 5);
    came(&queue, NOW, 5, 70, true);
    assert_int_equal(begins(&queue, NOW, 5), 70);
    came(&queue, NOW, 5, 80, true);
    queue_again(&queue);
    assert_int_equal(begins(&queue, NOW, 5), 0);
}

/** Dead versions at the head: what comes from the start takes a small part of
 * the time, once it is dear, and a look a while back takes its place. */
TEST_CASE(queue_came__dear_from_the_start__is_done_less_often)
{
    struct queue queue = {0};
    begins(&queue, NOW, 5);
    came(&queue, NOW + 10, 5, 70, true);
    begins(&queue, NOW + 20, 5);
    came(&queue, NOW + 25, 5, 71, true);
    assert_int_equal(begins(&queue, NOW + 5000, 5), 0);
    came(&queue, NOW + 5125, 5, 72, true); /* 100 ms too long */
    assert_int_equal(begins(&queue, NOW + 9999, 5), 72);
    came(&queue, NOW + 10004, 5, 500, true);
    assert_int_equal(begins(&queue, NOW + 10005, 5), 0);
    assert_true(queue.whole);
    came(&queue, NOW + 10205, 5, 500, true);             /* and again */
    assert_int_equal(begins(&queue, NOW + 15005, 5), 0); /* a while ago */
    assert_false(queue.whole);
    came(&queue, NOW + 15010, 5, 500, false);
    assert_int_equal(begins(&queue, NOW + 30004, 5), 0); /* the same */
    assert_false(queue.whole);
    came(&queue, NOW + 30004, 5, 501, true);
    assert_int_equal(begins(&queue, NOW + 30005, 5), 0);
    assert_true(queue.whole);
    came(&queue, NOW + 30010, 5, 502, true); /* it is cheap again */
    assert_int_equal(begins(&queue, NOW + 35005, 5), 0);
    assert_true(queue.whole);
}

/** A disk that was busy once says nothing of the queue. */
TEST_CASE(queue_came__dear_once__is_done_as_often)
{
    struct queue queue = {0};
    begins(&queue, NOW, 5);
    came(&queue, NOW, 5, 70, true);
    begins(&queue, NOW + 5000, 5);
    came(&queue, NOW + 6000, 5, 71, true);
    assert_int_equal(begins(&queue, NOW + 10000, 5), 0);
    assert_true(queue.whole);
}

/** As it is from NOW + 9000 on, with the key 70. */
static struct queue dear(void)
{
    struct queue queue = {0};
    begins(&queue, NOW, 5);
    came(&queue, NOW + 9000, 5, 70, true);
    begins(&queue, NOW + 9000, 5);
    came(&queue, NOW + 18000, 5, 70, true);
    return queue;
}

TEST_CASE(queue_came__however_dear__is_done_each_minute)
{
    struct queue queue = dear();
    begins(&queue, NOW + 68999, 5);
    assert_false(queue.whole);
    came(&queue, NOW + 68999, 5, 0, false);
    begins(&queue, NOW + 69000, 5);
    assert_true(queue.whole);
}

/** What was found a while back and left there is looked at again. */
TEST_CASE(queue_came__full_from_a_while_ago__goes_on_from_there)
{
    struct queue queue = dear();
    begins(&queue, NOW + 18000, 5);
    came(&queue, NOW + 18000, 5, 80, false);
    begins(&queue, NOW + 33000, 5);
    came(&queue, NOW + 33000, 5, 90, false);
    assert_int_equal(begins(&queue, NOW + 38000, 5), 70);
    came(&queue, NOW + 38000, 8, 12, true);
    assert_int_equal(begins(&queue, NOW + 38000, 5), 70);
}

/** What one from the start did not come to lies before the keys of then. */
TEST_CASE(queue_ask__a_while_ago_behind_the_key__begins_at_the_key)
{
    struct queue queue = dear();
    begins(&queue, NOW + 33000, 5);
    came(&queue, NOW + 33000, 5, 90, false);
    begins(&queue, NOW + 69000, 5);
    assert_true(queue.whole);
    came(&queue, NOW + 78000, 8, 12, true);
    assert_int_equal(begins(&queue, NOW + 78000, 5), 0);
    assert_false(queue.whole);
    assert_true(queue.ago[5] > 0);
}

/** By one that has no place: what it saw a while back is claimed from there. */
TEST_CASE(queue_found__a_while_ago__begins_there_again)
{
    struct queue queue = dear();
    int64_t after[PRIORITIES];
    begins(&queue, NOW + 33000, 5);
    came(&queue, NOW + 33000, 5, 90, false);
    assert_false(queue_look(&queue, NOW + 38000, after));
    assert_int_equal(after[5], 0);
    queue_found(&queue, false);
    assert_int_equal(begins(&queue, NOW + 38001, 5), 0);
    came(&queue, NOW + 38001, 5, 91, false);
    assert_false(queue_look(&queue, NOW + 38002, after));
    assert_int_equal(after[5], 91);
    queue_found(&queue, false);
    assert_int_equal(begins(&queue, NOW + 38003, 5), 91);
}

/** All began anew while somebody asked whether anything waits. */
TEST_CASE(queue_none__of_a_queue_that_was_reset__calls_for_the_start)
{
    struct queue queue = {0};
    assert_int_equal(queue_none(&queue, NOW), 0);
    assert_int_equal(begins(&queue, NOW, 5), 0);
    assert_true(queue.whole);
}

TEST_CASE(queue_lost__from_the_start__begins_there_again)
{
    struct queue queue = {0};
    begins(&queue, NOW, 5);
    queue_lost(&queue);
    assert_int_equal(begins(&queue, NOW, 5), 0);
    came(&queue, NOW, 5, 70, true);
    begins(&queue, NOW, 5);
    queue_lost(&queue);
    assert_int_equal(begins(&queue, NOW, 5), 70);
    queue_lost(&queue);
    assert_int_equal(begins(&queue, NOW + 5000, 5), 0);
    queue_lost(&queue);
    assert_int_equal(begins(&queue, NOW + 5000, 5), 0);
}

TESTS_RUN(NULL, NULL)
