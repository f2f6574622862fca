#include "lib/check.h"
#include "core/commits.h"

#define START_MS INT64_C(1000000)

static int64_t ask(struct commits *commits, size_t urgent, size_t riding,
                   int64_t since_ms, int64_t now_ms)
{
    const struct commits_wanted wanted = {
        .urgent = urgent, .riding = riding, .since_ms = since_ms};
    return commits_wait_ms(commits, &wanted, now_ms);
}

/** A moment in which half and more has just been spent. */
static void spend_half(struct commits *commits, int64_t now_ms)
{
    int spent = 0;
    while (ask(commits, 0, 1, now_ms, now_ms) == 0) {
        spent++;
    }
    assert_int_equal(spent, 13);
}

static void spend_all(struct commits *commits, int64_t now_ms)
{
    int spent = 0;
    while (ask(commits, 1, 0, now_ms, now_ms) == 0) {
        spent++;
    }
    assert_int_equal(spent, 25);
}

TEST_CASE(commits_wait_ms__half_is_left__all_goes_at_once)
{
    struct commits commits = {0};
    spend_half(&commits, START_MS);
    /* A token more, and it does so again. */
    assert_true(ask(&commits, 0, 1, START_MS + 10, START_MS + 10) > 0);
    assert_int_equal(ask(&commits, 0, 1, START_MS + 23, START_MS + 23), 0);
}

TEST_CASE(commits_wait_ms__below__who_rides_waits_and_urgent_does_not)
{
    struct commits commits = {0};
    spend_half(&commits, START_MS);
    assert_int_equal(ask(&commits, 0, 255, START_MS, START_MS), 80);
    assert_int_equal(ask(&commits, 1, 0, START_MS, START_MS), 0);
    assert_int_equal(ask(&commits, 1, 254, START_MS, START_MS), 0);
}

TEST_CASE(commits_wait_ms__rode_for_long__goes_without_a_token)
{
    struct commits commits = {0};
    spend_all(&commits, START_MS);
    assert_int_equal(ask(&commits, 0, 1, START_MS - 79, START_MS), 1);
    assert_int_equal(ask(&commits, 0, 1, START_MS - 80, START_MS), 0);
    assert_int_equal(ask(&commits, 1, 0, START_MS - 80, START_MS), 0);
}

TEST_CASE(commits_wait_ms__many_rows_or_a_drain__goes)
{
    struct commits commits = {0};
    spend_all(&commits, START_MS);
    assert_true(ask(&commits, 100, 155, START_MS, START_MS) > 0);
    assert_int_equal(ask(&commits, 100, 156, START_MS, START_MS), 0);
    const struct commits_wanted wanted = {
        .riding = 1, .since_ms = START_MS, .hurry = true};
    assert_int_equal(commits_wait_ms(&commits, &wanted, START_MS), 0);
}

static int64_t ask_slots(struct commits *commits, size_t slots,
                         size_t slots_max)
{
    const struct commits_wanted wanted = {.urgent = slots,
                                          .slots = slots,
                                          .slots_max = slots_max,
                                          .since_ms = START_MS};
    return commits_wait_ms(commits, &wanted, START_MS);
}

TEST_CASE(commits_wait_ms__a_quarter_of_the_slots_is_waited_for__goes)
{
    struct commits commits = {0};
    spend_all(&commits, START_MS);
    assert_true(ask_slots(&commits, 63, 256) > 0);
    assert_int_equal(ask_slots(&commits, 64, 256), 0);
    assert_true(ask_slots(&commits, 7, 8) > 0); /* not one commit for each */
    assert_int_equal(ask_slots(&commits, 8, 8), 0);
    assert_true(ask(&commits, 200, 0, START_MS, START_MS) > 0);
}

TEST_CASE(commits_wait_ms__no_token__urgent_waits_for_one)
{
    struct commits commits = {0};
    spend_all(&commits, START_MS);
    const int64_t wait_ms = ask(&commits, 1, 0, START_MS, START_MS);
    assert_in_range(wait_ms, 1, 23);
    assert_int_equal(ask(&commits, 1, 0, START_MS, START_MS + wait_ms), 0);
    assert_true(ask(&commits, 1, 0, START_MS + wait_ms, START_MS + wait_ms) >
                0);
}

TEST_CASE(commits_wait_ms__busy_for_a_minute__is_45_a_second)
{
    struct commits commits = {0};
    int spent = 0;
    int64_t longest_ms = 0;
    int64_t since_ms = START_MS;
    for (int64_t now_ms = START_MS; now_ms < START_MS + 60000; now_ms++) {
        if (ask(&commits, 1, 3, since_ms, now_ms) == 0) {
            longest_ms =
                now_ms - since_ms > longest_ms ? now_ms - since_ms : longest_ms;
            since_ms = now_ms;
            spent++;
        }
    }
    assert_in_range(spent, 2600, 25 + 2701);
    assert_in_range(longest_ms, 1, 80);
}

TEST_CASE(commits_wait_ms__after_a_second_or_a_clock_before__is_full)
{
    struct commits commits = {0};
    spend_all(&commits, START_MS);
    spend_all(&commits, START_MS + 600);
    spend_all(&commits, START_MS - 5); /* it never goes back; nothing breaks */
}

TESTS_RUN(NULL, NULL)
