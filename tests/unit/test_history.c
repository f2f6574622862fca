#include "lib/check.h"
#include "core/history.h"

TEST_CASE(history_known_from_ms__all_are_kept__is_0)
{
    const struct history_days days = {.history = 3};
    assert_int_equal(history_known_from_ms(&days, INT64_C(1800000000000)), 0);
}

TEST_CASE(history_known_from_ms__days__to_the_millisecond)
{
    const struct history_days days = {.history = 3, .ids = 36500};
    assert_int_equal(history_known_from_ms(&days, INT64_C(1800000000000)), 0);
    const struct history_days two = {.history = 1, .ids = 2};
    assert_int_equal(history_known_from_ms(&two, INT64_C(1800000000001)),
                     INT64_C(1800000000001) - 2 * HISTORY_DAY_MS);
}

/* 2027-01-15 08:00 UTC */
#define NOW INT64_C(1800000000000)
#define TODAY (NOW - 8 * INT64_C(3600000))

TEST_CASE(history_prune_before_ms__whole_days__go_at_midnight)
{
    const struct history_days all = {0};
    const struct history_days one = {.history = 1};
    const struct history_days most = {.history = 36500};
    assert_int_equal(history_prune_before_ms(&all, NOW), 0);
    assert_int_equal(history_prune_before_ms(&most, NOW), 0);
    assert_int_equal(history_prune_before_ms(&one, NOW),
                     TODAY - HISTORY_DAY_MS);
    assert_int_equal(history_prune_before_ms(&one, TODAY - 1),
                     TODAY - 2 * HISTORY_DAY_MS);
    assert_int_equal(history_prune_before_ms(&one, TODAY),
                     TODAY - HISTORY_DAY_MS);
}

TEST_CASE(history_count_before_ms__yesterday__waits_for_statements_of_then)
{
    assert_int_equal(history_count_before_ms(NOW), TODAY);
    assert_int_equal(history_count_before_ms(TODAY + 599999),
                     TODAY - HISTORY_DAY_MS);
    assert_int_equal(history_count_before_ms(TODAY + 600000), TODAY);
    assert_int_equal(history_count_before_ms(0), 0);
}

TEST_CASE(history_settled_ms__a_statements_time__is_far_below)
{
    assert_int_equal(history_settled_ms(NOW), NOW - 60000);
}

TEST_CASE(history_rest_ms__twice_as_long__within_bounds)
{
    assert_int_equal(history_rest_ms(0), 20);
    assert_int_equal(history_rest_ms(50), 100);
    assert_int_equal(history_rest_ms(60000), 5000);
}

TESTS_RUN(NULL, NULL)
