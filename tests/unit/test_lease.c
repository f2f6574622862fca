#include "lib/check.h"
#include "core/lease.h"

#define LEASE_MS 5000
#define OWN 1
#define OTHER 2

/** A fleet as one reader sees it: its own row and another's. */
struct fleet {
    struct lease_watch watch;
    int64_t own_counter;
    int64_t other_counter;
};

static void fleet_start(struct fleet *fleet)
{
    *fleet = (struct fleet){.own_counter = 10, .other_counter = 20};
    lease_watch_init(&fleet->watch, LEASE_MS);
}

static void read_at(struct fleet *fleet, int64_t boot_ms, bool other_bumps)
{
    fleet->own_counter += 1;
    fleet->other_counter += other_bumps;
    const struct lease_row rows[] = {
        {.id = OWN, .counter = fleet->own_counter},
        {.id = OTHER, .counter = fleet->other_counter},
    };
    assert_true(lease_watch_read(&fleet->watch, rows, 2, boot_ms));
}

static void
lease_watch_suspect__counter_stands_still__after_lease_ms(void **state)
{
    (void)state;
    struct fleet fleet;
    fleet_start(&fleet);
    for (int64_t ms = 1000; ms < 6000; ms += 1000) {
        read_at(&fleet, ms, false);
        assert_int_equal(lease_watch_suspect(&fleet.watch, OWN, ms), 0);
    }
    read_at(&fleet, 6000, false);
    assert_int_equal(lease_watch_suspect(&fleet.watch, OWN, 6000), OTHER);
    assert_int_equal(lease_watch_suspect(&fleet.watch, OTHER, 6000), 0);
    lease_watch_done(&fleet.watch);
}

static void lease_watch_suspect__counter_moves__nobody(void **state)
{
    (void)state;
    struct fleet fleet;
    fleet_start(&fleet);
    for (int64_t ms = 1000; ms < 60000; ms += 1000) {
        read_at(&fleet, ms, ms % 4000 == 0);
        assert_int_equal(lease_watch_suspect(&fleet.watch, OWN, ms), 0);
    }
    lease_watch_done(&fleet.watch);
}

static void
lease_watch_suspect__reader_was_frozen__count_begins_afresh(void **state)
{
    (void)state;
    struct fleet fleet;
    fleet_start(&fleet);
    for (int64_t ms = 1000; ms <= 5000; ms += 1000) {
        read_at(&fleet, ms, false);
    }
    /* Thawed: the first reading shows the same counter, 25 s later. */
    read_at(&fleet, 30000, false);
    assert_int_equal(lease_watch_suspect(&fleet.watch, OWN, 30000), 0);
    for (int64_t ms = 31000; ms < 35000; ms += 1000) {
        read_at(&fleet, ms, false);
        assert_int_equal(lease_watch_suspect(&fleet.watch, OWN, ms), 0);
    }
    read_at(&fleet, 35000, false);
    assert_int_equal(lease_watch_suspect(&fleet.watch, OWN, 35000), OTHER);
    lease_watch_done(&fleet.watch);
}

static void lease_watch_suspect__database_was_away__kills_nobody(void **state)
{
    (void)state;
    struct fleet fleet;
    fleet_start(&fleet);
    for (int64_t ms = 1000; ms <= 4000; ms += 1000) {
        read_at(&fleet, ms, true);
    }
    /* Nothing is read for a minute; asked meanwhile, the answer is nobody. */
    for (int64_t ms = 5000; ms < 64000; ms += 1000) {
        assert_int_equal(lease_watch_suspect(&fleet.watch, OWN, ms), 0);
    }
    read_at(&fleet, 64000, false);
    assert_int_equal(lease_watch_suspect(&fleet.watch, OWN, 64000), 0);
    for (int64_t ms = 65000; ms < 69000; ms += 1000) {
        read_at(&fleet, ms, ms == 66000);
        assert_int_equal(lease_watch_suspect(&fleet.watch, OWN, ms), 0);
    }
    lease_watch_done(&fleet.watch);
}

static void
lease_watch_suspect__asked_after_the_reading__counts_to_it_only(void **state)
{
    (void)state;
    struct fleet fleet;
    fleet_start(&fleet);
    for (int64_t ms = 1000; ms <= 5000; ms += 1000) {
        read_at(&fleet, ms, false);
    }
    assert_int_equal(lease_watch_suspect(&fleet.watch, OWN, 6500), 0);
    lease_watch_done(&fleet.watch);
}

static void lease_watch_read__rows_come_and_go__are_followed_by_id(void **state)
{
    (void)state;
    struct lease_watch watch;
    lease_watch_init(&watch, LEASE_MS);
    int64_t counter = 0;
    for (int64_t ms = 1000; ms <= 6000; ms += 1000) {
        /* A newcomer ahead of the frozen one moves it to another place. */
        const struct lease_row rows[] = {
            {.id = 100 + ms, .counter = 1},
            {.id = OWN, .counter = counter++},
            {.id = OTHER, .counter = 7},
        };
        const size_t from = ms % 2000 ? 1 : 0;
        assert_true(lease_watch_read(&watch, rows + from, 3 - from, ms));
    }
    assert_int_equal(lease_watch_suspect(&watch, OWN, 6000), OTHER);
    assert_int_equal(lease_watch_alive(&watch), 3);
    const struct lease_row last[] = {{.id = OWN, .counter = counter}};
    assert_true(lease_watch_read(&watch, last, 1, 7000));
    assert_int_equal(lease_watch_suspect(&watch, OWN, 7000), 0);
    assert_int_equal(lease_watch_alive(&watch), 1);
    assert_true(lease_watch_read(&watch, NULL, 0, 8000));
    assert_int_equal(lease_watch_alive(&watch), 0);
    lease_watch_done(&watch);
}

static void
lease_watch_dead__one_is_declared__is_named_and_not_suspected(void **state)
{
    (void)state;
    struct lease_watch watch;
    lease_watch_init(&watch, LEASE_MS);
    assert_int_equal(lease_watch_dead(&watch), 0);
    for (int64_t ms = 1000; ms <= 9000; ms += 1000) {
        const struct lease_row rows[] = {
            {.id = OWN, .counter = ms},
            {.id = OTHER, .counter = 7, .dead = true},
        };
        assert_true(lease_watch_read(&watch, rows, 2, ms));
    }
    assert_int_equal(lease_watch_dead(&watch), OTHER);
    assert_int_equal(lease_watch_suspect(&watch, OWN, 9000), 0);
    assert_int_equal(lease_watch_alive(&watch), 1);
    lease_watch_done(&watch);
}

static void lease_may_submit__bump_ages__ends_at_three_quarters(void **state)
{
    (void)state;
    assert_false(lease_may_submit(0, LEASE_MS, 10)); /* never bumped */
    assert_true(lease_may_submit(1000, LEASE_MS, 1000));
    assert_true(lease_may_submit(1000, LEASE_MS, 4750));
    assert_false(lease_may_submit(1000, LEASE_MS, 4751));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            lease_watch_suspect__counter_stands_still__after_lease_ms),
        cmocka_unit_test(lease_watch_suspect__counter_moves__nobody),
        cmocka_unit_test(
            lease_watch_suspect__reader_was_frozen__count_begins_afresh),
        cmocka_unit_test(lease_watch_suspect__database_was_away__kills_nobody),
        cmocka_unit_test(
            lease_watch_suspect__asked_after_the_reading__counts_to_it_only),
        cmocka_unit_test(
            lease_watch_read__rows_come_and_go__are_followed_by_id),
        cmocka_unit_test(
            lease_watch_dead__one_is_declared__is_named_and_not_suspected),
        cmocka_unit_test(lease_may_submit__bump_ages__ends_at_three_quarters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
