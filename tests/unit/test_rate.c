#include "core/rate.h"
#include "lib/check.h"

static struct rate begun(void)
{
    struct rate rate;
    rate_begin(&rate, 60000, 100, 1000); /* 6,000 bytes a minute */
    return rate;
}

TEST_CASE(rate_is_low__a_byte_a_second__is_told_after_a_window)
{
    struct rate rate = begun();
    for (int64_t at_ms = 2000; at_ms < 61000; at_ms += 1000) {
        rate_add(&rate, 1);
        assert_false(rate_is_low(&rate, at_ms));
    }
    assert_int_equal(rate_left_ms(&rate, 60000), 1000);
    assert_true(rate_is_low(&rate, 61000));
}

TEST_CASE(rate_is_low__enough_bytes__never)
{
    struct rate rate = begun();
    for (int64_t at_ms = 2000; at_ms < 600000; at_ms += 1000) {
        rate_add(&rate, 100);
        assert_false(rate_is_low(&rate, at_ms));
    }
}

TEST_CASE(rate_is_low__each_window__counts_alone)
{
    struct rate rate = begun();
    rate_add(&rate, 1000000);
    assert_false(rate_is_low(&rate, 61000));
    rate_add(&rate, 5999);
    assert_false(rate_is_low(&rate, 120999));
    assert_true(rate_is_low(&rate, 121000));
    assert_false(rate_is_low(&rate, 121001)); /* told once a window */
}

TEST_CASE(rate_is_low__our_own_pause__counts_nothing)
{
    struct rate rate = begun();
    rate_pause(&rate, 2000);
    rate_pause(&rate, 500000); /* the first counts */
    assert_false(rate_is_low(&rate, 1000000));
    assert_int_equal(rate_left_ms(&rate, 1000000), 59000);
    rate_resume(&rate, 1002000);
    rate_resume(&rate, 1002001);
    assert_false(rate_is_low(&rate, 1060999));
    assert_true(rate_is_low(&rate, 1061000));
}

TESTS_RUN(NULL, NULL)
