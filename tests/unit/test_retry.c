#include "lib/check.h"
#include "core/retry.h"

#define NOW_MS INT64_C(784111777000) /* Sun, 06 Nov 1994 08:49:37 GMT */

TEST_CASE(retry_wait_ms__tries_grow__waits_double_up_to_the_cap)
{
    static const struct {
        int tries;
        int64_t least_ms;
        int64_t most_ms;
    } rows[] = {
        {0, 500, 1000},      {1, 500, 1000},
        {2, 1000, 2000},     {3, 2000, 4000},
        {6, 16000, 32000},   {7, 30000, 60000},
        {100, 30000, 60000}, {INT32_MAX, 30000, 60000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(retry_wait_ms(rows[i].tries, 1000, 60000, 0),
                         rows[i].least_ms);
        assert_int_equal(retry_wait_ms(rows[i].tries, 1000, 60000, UINT32_MAX),
                         rows[i].most_ms);
    }
}

TEST_CASE(retry_wait_ms__base_above_the_cap__is_the_cap)
{
    assert_int_equal(retry_wait_ms(1, 100000, 60000, UINT32_MAX), 60000);
}

TEST_CASE(backoff_fail__again_and_again__waits_longer_up_to_the_cap)
{
    struct backoff backoff = {0};
    int64_t before_ms = 0;
    for (int i = 0; i < 100; i++) {
        int64_t wait_ms = backoff_fail(&backoff, 10000, 0);
        assert_in_range(wait_ms, before_ms, 10000);
        assert_true(wait_ms > before_ms || wait_ms == 5000);
        before_ms = wait_ms;
    }
    assert_int_equal(before_ms, 5000); /* half of the cap is jitter */
    assert_int_equal(backoff_fail(&backoff, 10000, UINT32_MAX), 10000);
    backoff_good(&backoff);
    assert_int_equal(backoff_fail(&backoff, 10000, UINT32_MAX),
                     BACKOFF_FIRST_MS);
}

TEST_CASE(backoff_fail__least_cap_and_most_fails__waits_all_the_same)
{
    struct backoff backoff = {.fails = INT32_MAX};
    assert_int_equal(backoff_fail(&backoff, 1, 0), 1);
    assert_int_equal(backoff_fail(&backoff, 60000, UINT32_MAX), 60000);
}

TEST_CASE(retry_jitter_ms__any_random__stays_within_a_fifth)
{
    assert_int_equal(retry_jitter_ms(5000, 0), 4000);
    assert_int_equal(retry_jitter_ms(5000, UINT32_MAX), 6000);
    for (uint32_t i = 0; i < 1000; i++) {
        int64_t wait_ms = retry_jitter_ms(5000, i * 4294967);
        assert_in_range(wait_ms, 4000, 6000);
    }
}

TEST_CASE(retry_after_ms__each_form__is_milliseconds_from_now)
{
    static const struct {
        const char *header;
        int64_t wait_ms;
    } rows[] = {
        {"0", 0},
        {"7", 7000},
        {" 120 ", 120000},
        {"600", 600000},
        {"601", 600000},
        {"99999999999999999999", 600000},
        {"Sun, 06 Nov 1994 08:49:47 GMT", 10000},
        {"Sunday, 06-Nov-94 08:49:47 GMT", 10000},
        {"Sun Nov  6 08:49:47 1994", 10000},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
        {"Sun, 06 Nov 1994 08:00:00 GMT", 0},
        {"Mon, 07 Nov 1994 08:49:37 GMT", 600000},
        {"Wed, 29 Feb 2096 00:00:00 GMT", 600000},
        {"", 0},
        {"-5", 0},
        {"1.5", 0},
        {"soon", 0},
        {"Sun, 06 Foo 1994 08:49:47 GMT", 0},
        {"Sun, 46 Nov 1994 08:49:47 GMT", 0},
        {"Sun, 06 Nov 1994 08:49:47 GMT and a very long tail that goes on, "
         "and on, and on",
         0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(retry_after_ms(str_of(rows[i].header), NOW_MS),
                         rows[i].wait_ms);
    }
    assert_int_equal(retry_after_ms((struct str){0}, NOW_MS), 0);
}

TESTS_RUN(NULL, NULL)
