#include "lib/check.h"
#include "core/pace.h"

TEST_CASE(pace_room__fresh__all_slots_that_are_free)
{
    struct pace pace;
    pace_init(&pace, 32);
    assert_int_equal(pace_room(&pace, 0, 1000), 32);
    assert_int_equal(pace_room(&pace, 30, 1000), 2);
    assert_int_equal(pace_room(&pace, 32, 1000), 0);
    assert_int_equal(pace_room(&pace, 40, 1000), 0);
}

TEST_CASE(pace_pushed_back__once__halves_and_shuts)
{
    struct pace pace;
    pace_init(&pace, 32);
    pace_pushed_back(&pace, 0, 1000, UINT32_MAX);
    assert_int_equal(pace_room(&pace, 0, 1999), 0);
    assert_int_equal(pace_room(&pace, 0, 2000), 16);
}

TEST_CASE(pace_pushed_back__while_shut__counts_once)
{
    struct pace pace;
    pace_init(&pace, 32);
    for (int i = 0; i < 32; i++) {
        pace_pushed_back(&pace, 0, 1000 + i, 0);
    }
    assert_int_equal(pace_room(&pace, 0, 1500), 16);
    assert_int_equal(pace.failures, 1);
}

TEST_CASE(pace_pushed_back__retry_after__is_never_cut_short)
{
    struct pace pace;
    pace_init(&pace, 4);
    pace_pushed_back(&pace, 0, 1000, 0);
    pace_pushed_back(&pace, 30000, 1100, 7);
    assert_int_equal(pace_room(&pace, 0, 31099), 0);
    pace_pushed_back(&pace, 5000, 1200, 0);
    assert_int_equal(pace_room(&pace, 0, 31099), 0);
    assert_int_equal(pace_room(&pace, 0, 32100), 2);
}

TEST_CASE(pace_pushed_back__again_and_again__waits_longer_up_to_a_minute)
{
    struct pace pace;
    pace_init(&pace, 32);
    int64_t now_ms = 1000;
    int64_t before_ms = 0;
    for (int i = 0; i < 12; i++) {
        pace_pushed_back(&pace, 0, now_ms, UINT32_MAX);
        int64_t wait_ms = pace.shut_until_ms - now_ms;
        assert_true(wait_ms >= before_ms && wait_ms <= 60000);
        before_ms = wait_ms;
        now_ms = pace.shut_until_ms;
        assert_true(pace_room(&pace, 0, now_ms) >= 1);
    }
    assert_int_equal(before_ms, 60000);
}

TEST_CASE(pace_accepted__after_a_throttle__grows_by_one_a_round)
{
    struct pace pace;
    pace_init(&pace, 4);
    pace_pushed_back(&pace, 0, 1000, 0);
    pace_pushed_back(&pace, 0, 100000, 0);
    assert_int_equal(pace_room(&pace, 0, 200000), 1);
    pace_accepted(&pace);
    assert_int_equal(pace_room(&pace, 0, 200000), 2);
    assert_int_equal(pace.failures, 0);
    for (int i = 0; i < 100; i++) {
        pace_accepted(&pace);
    }
    assert_int_equal(pace_room(&pace, 0, 200000), 4);
}

TEST_CASE(pace_restart__after_a_hold__one_at_a_time)
{
    struct pace pace;
    pace_init(&pace, 32);
    pace_pushed_back(&pace, 600000, 1000, 0);
    pace_restart(&pace);
    assert_int_equal(pace_room(&pace, 0, 1001), 1);
    assert_int_equal(pace_room(&pace, 1, 1001), 0);
}

TEST_CASE(pace_news_of__each_outcome__speaks_for_itself_or_for_all)
{
    for (int kind = 0; kind < OUTCOMES_LEN; kind++) {
        for (int hold = 0; hold < HOLD_REASONS_LEN; hold++) {
            const struct outcome outcome = {.kind = (enum outcome_kind)kind,
                                            .hold = (enum hold_reason)hold};
            const enum pace_news expected =
                kind == OUTCOME_ACCEPTED   ? PACE_ACCEPTED
                : kind == OUTCOME_NOT_SENT ? PACE_UNREACHED
                : kind == OUTCOME_PUT_OFF && hold == HOLD_THROTTLE
                    ? PACE_THROTTLED
                    : PACE_NO_NEWS;
            assert_int_equal(pace_news_of(&outcome), expected);
        }
    }
}

TESTS_RUN(NULL, NULL)
