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

TESTS_RUN(NULL, NULL)
