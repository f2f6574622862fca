#include "lib/check.h"
#include "core/allot.h"

#define NOW INT64_C(1800000000000)

/** One that has so many. */
static struct allot holding(int held)
{
    return (struct allot){.most = 20, .held = held};
}

TEST_CASE(allot_counts__by_state_and_the_last_send)
{
    struct task_row row = {.state = RUNNING, .last_sent_ms = NOW - 599999};
    assert_true(allot_counts(&row, NOW));
    row.state = SUBMITTING;
    assert_true(allot_counts(&row, NOW));
    row.state = READY;
    assert_false(allot_counts(&row, NOW));
    row.state = RUNNING;
    assert_false(allot_counts(&row, NOW + 1));
}

TEST_CASE(allot_room__without_a_limit__is_endless)
{
    const struct allot allot = {0};
    assert_true(allot_room(&allot, 1000000) > 1000000);
    assert_int_equal(allot_more(&allot, 1000000, 50, NOW), 0);
}

TEST_CASE(allot_room__is_what_is_held_and_not_used)
{
    const struct allot allot = holding(5);
    assert_int_equal(allot_room(&allot, 0), 5);
    assert_int_equal(allot_room(&allot, 5), 0);
    assert_int_equal(allot_room(&allot, 7), 0);
}

TEST_CASE(allot_more__at_most_once_a_second)
{
    struct allot allot = holding(5);
    assert_int_equal(allot_more(&allot, 3, 2, NOW), 0);
    assert_int_equal(allot_more(&allot, 3, 8, NOW), 6);
    assert_int_equal(allot_more(&allot, 9, 800, NOW), 20); /* all there is */
    allot_asked(&allot, NOW);
    assert_int_equal(allot_more(&allot, 3, 8, NOW + 5000), 0); /* asked still */
    allot_got(&allot, 6, false);
    assert_int_equal(allot_room(&allot, 3), 8);
    assert_int_equal(allot_more(&allot, 11, 8, NOW + 999), 0);
    assert_true(allot_more(&allot, 11, 8, NOW + 1000) > 8); /* some beyond */
}

TEST_CASE(allot_more__where_nothing_was_taken__may_be_asked_again)
{
    struct allot allot = holding(0);
    allot_asked(&allot, NOW);
    allot_got(&allot, 0, true);
    assert_int_equal(allot_more(&allot, 0, 1, NOW), 1);
    allot_asked(&allot, NOW);
    allot_busy(&allot);
    assert_int_equal(allot_more(&allot, 0, 1, NOW), 1);
    allot_asked(&allot, NOW);
    allot_got(&allot, 0, false); /* the limit is reached */
    assert_int_equal(allot_more(&allot, 0, 1, NOW), 0);
}

TEST_CASE(allot_give__what_was_not_lately_taken_or_claimed_into)
{
    struct allot allot = holding(10);
    allot_claimed(&allot, 3);
    assert_int_equal(allot_give(&allot, 5), 2);
    assert_int_equal(allot.held, 8);
    assert_int_equal(allot_give(&allot, 5), 3); /* a bump later */
    assert_int_equal(allot.held, 5);
    assert_int_equal(allot_give(&allot, 9), 0);
    assert_int_equal(allot.held, 5);
}

TEST_CASE(allot_told__while_more_may_come__says_nothing)
{
    struct allot allot = holding(3);
    allot_asked(&allot, NOW);
    allot_told(&allot, 7); /* four of them are on their way */
    assert_int_equal(allot.held, 3);
    allot_got(&allot, 4, false);
    assert_int_equal(allot.held, 7);
    allot_adopting(&allot);
    allot_told(&allot, 9);
    assert_int_equal(allot.held, 7);
    allot_adopted(&allot, 2);
    assert_int_equal(allot.held, 9);
    allot_asked(&allot, NOW + 1000);
    allot_lost(&allot);
    allot_told(&allot, 11); /* what was lost comes to light */
    assert_int_equal(allot.held, 11);
}

TEST_CASE(allot_reset__keeps_the_limit_alone)
{
    struct allot allot = holding(3);
    allot_asked(&allot, NOW);
    allot_reset(&allot);
    assert_int_equal(allot.held, 0);
    assert_int_equal(allot_more(&allot, 0, 2, NOW), 2);
}

TESTS_RUN(NULL, NULL)
