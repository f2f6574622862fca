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

/** A poll is late, its answer later still; the next one is where it was. */
TEST_CASE(retry_phase_ms__whatever_came_between__is_an_interval_after_the_last)
{
    static const int64_t intervals[] = {10, 200, 499, 500, 777, 5000, 3600000};
    for (size_t i = 0; i < sizeof intervals / sizeof *intervals; i++) {
        const int64_t interval_ms = intervals[i];
        const int64_t most_ms = interval_ms / 50;
        for (int64_t key = 0; key < 200; key++) {
            int64_t due_ms = retry_phase_ms(key, interval_ms, key);
            for (int64_t n = 0; n < 20; n++) {
                const int64_t answered_ms = due_ms + n * interval_ms / 45;
                const int64_t next_ms =
                    retry_phase_ms(answered_ms, interval_ms, key);
                assert_true(next_ms > answered_ms);
                assert_in_range(next_ms - due_ms, interval_ms - most_ms,
                                interval_ms + most_ms);
                due_ms = next_ms;
            }
        }
    }
}

TEST_CASE(retry_phase_ms__ten_thousand_that_began_together__are_spread)
{
    enum { PARTS = 100, TASKS = 10000 };
    int in_part[PARTS] = {0};
    const int64_t now_ms = INT64_C(1795327200123);
    for (int64_t key = 1; key <= TASKS; key++) {
        const int64_t wait_ms = retry_phase_ms(now_ms, 5000, key) - now_ms;
        assert_in_range(wait_ms, 2490, 7500);
        in_part[(wait_ms - 2490) * PARTS / 5011]++;
    }
    for (int i = 0; i < PARTS; i++) {
        assert_in_range(in_part[i], TASKS / PARTS / 3, TASKS / PARTS * 2);
    }
}

TEST_CASE(retry_phase_ms__from_half_a_second_on__is_on_a_tick)
{
    for (int64_t key = 1; key < 1000; key++) {
        assert_int_equal(retry_phase_ms(12345, 5000, key) % 10, 0);
        assert_int_equal(retry_phase_ms(12345, 500, -key) % 10, 0);
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
