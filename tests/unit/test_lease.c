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
    assert_true(lease_watch_read(&fleet->watch, rows, 2, true, boot_ms));
}

/** Readings a second apart, [from, to). */
static void read_on(struct fleet *fleet, int64_t from_ms, int64_t to_ms,
                    bool other_bumps)
{
    for (int64_t ms = from_ms; ms < to_ms; ms += 1000) {
        read_at(fleet, ms, other_bumps);
    }
}

static int64_t suspect(const struct lease_watch *watch, int64_t boot_ms)
{
    int64_t counter = 0;
    return lease_watch_suspect(watch, OWN, 0, boot_ms, &counter);
}

TEST_CASE(lease_watch_suspect__counter_stands_still__after_lease_ms)
{
    struct fleet fleet;
    int64_t counter = 0;
    fleet_start(&fleet);
    read_on(&fleet, 1000, 20001, true);
    for (int64_t ms = 21000; ms < 25000; ms += 1000) {
        read_at(&fleet, ms, false);
        assert_int_equal(suspect(&fleet.watch, ms), 0);
    }
    read_at(&fleet, 25000, false);
    assert_int_equal(lease_watch_suspect(&fleet.watch, OWN, 0, 25000, &counter),
                     OTHER);
    assert_int_equal(counter, fleet.other_counter);
    assert_int_equal(
        lease_watch_suspect(&fleet.watch, OWN, OTHER, 25000, &counter), 0);
    assert_int_equal(
        lease_watch_suspect(&fleet.watch, OTHER, 0, 25000, &counter), 0);
    lease_watch_done(&fleet.watch);
}

TEST_CASE(lease_watch_suspect__counter_moves__nobody)
{
    struct fleet fleet;
    fleet_start(&fleet);
    for (int64_t ms = 1000; ms < 60000; ms += 1000) {
        read_at(&fleet, ms, ms % 4000 == 0);
        assert_int_equal(suspect(&fleet.watch, ms), 0);
    }
    lease_watch_done(&fleet.watch);
}

/** A newcomer is in no better place than one that was cut off: an outage may
 * just be over. */
TEST_CASE(lease_watch_suspect__just_started__waits_twice_as_long)
{
    struct fleet fleet;
    fleet_start(&fleet);
    for (int64_t ms = 1000; ms < 11000; ms += 1000) {
        read_at(&fleet, ms, false);
        assert_int_equal(suspect(&fleet.watch, ms), 0);
    }
    read_at(&fleet, 11000, false);
    assert_int_equal(suspect(&fleet.watch, 11000), OTHER);
    lease_watch_done(&fleet.watch);
}

/** A beat that comes a moment before it is time costs no whole one more. */
TEST_CASE(lease_watch_due_ms__a_counter_stands_still__the_moment_of_its_death)
{
    struct fleet fleet;
    fleet_start(&fleet);
    read_at(&fleet, 1001, false); /* the first answer came late */
    assert_true(lease_watch_due_ms(&fleet.watch, OWN) == INT64_MAX);
    read_on(&fleet, 2000, 11001, false);
    assert_int_equal(suspect(&fleet.watch, 11000), 0);
    assert_int_equal(lease_watch_due_ms(&fleet.watch, OWN), 11001);
    assert_true(lease_watch_due_ms(&fleet.watch, OTHER) == INT64_MAX);
    read_at(&fleet, 11001, false);
    assert_int_equal(suspect(&fleet.watch, 11001), OTHER);
    assert_true(lease_watch_due_ms(&fleet.watch, OWN) == INT64_MAX);
    read_on(&fleet, 12000, 14000, true);
    assert_true(lease_watch_due_ms(&fleet.watch, OWN) == INT64_MAX);
    read_at(&fleet, 14000, false); /* seen last at 13000 */
    assert_int_equal(lease_watch_due_ms(&fleet.watch, OWN), 13000 + LEASE_MS);
    lease_watch_done(&fleet.watch);
}

TEST_CASE(lease_watch_suspect__reader_was_frozen__count_begins_afresh)
{
    struct fleet fleet;
    fleet_start(&fleet);
    read_on(&fleet, 1000, 25000, true);
    read_on(&fleet, 25000, 28001, false);
    /* Thawed: the first reading shows the same counter, 25 s later. */
    for (int64_t ms = 53000; ms < 63000; ms += 1000) {
        read_at(&fleet, ms, false);
        assert_int_equal(suspect(&fleet.watch, ms), 0);
    }
    read_at(&fleet, 63000, false);
    assert_int_equal(suspect(&fleet.watch, 63000), OTHER);
    lease_watch_done(&fleet.watch);
}

/** A busy machine: our beat came late, but our lease never lapsed. What stood
 * still before counts for nothing, and no more than that. */
TEST_CASE(lease_watch_suspect__our_beat_was_late__counts_from_there)
{
    struct fleet fleet;
    fleet_start(&fleet);
    read_on(&fleet, 1000, 20001, true);
    read_on(&fleet, 21000, 22001, false);
    for (int64_t ms = 27000; ms < 32000; ms += 1000) {
        read_at(&fleet, ms, false);
        assert_int_equal(suspect(&fleet.watch, ms), 0);
    }
    read_at(&fleet, 32000, false);
    assert_int_equal(suspect(&fleet.watch, 32000), OTHER);
    lease_watch_done(&fleet.watch);
}

/** One millisecond more, and the database may have been away. */
TEST_CASE(lease_watch_suspect__our_lease_had_lapsed__waits_twice_as_long)
{
    struct fleet fleet;
    fleet_start(&fleet);
    read_on(&fleet, 1000, 20001, true);
    read_on(&fleet, 21000, 22001, false);
    for (int64_t ms = 27001; ms < 37001; ms += 1000) {
        read_at(&fleet, ms, false);
        assert_int_equal(suspect(&fleet.watch, ms), 0);
    }
    read_at(&fleet, 37001, false);
    assert_int_equal(suspect(&fleet.watch, 37001), OTHER);
    lease_watch_done(&fleet.watch);
}

/** We come back first; the other one's lanes are back 9 s later. */
TEST_CASE(lease_watch_suspect__database_was_away__kills_nobody)
{
    struct fleet fleet;
    fleet_start(&fleet);
    read_on(&fleet, 1000, 20001, true);
    /* Nothing is read for a minute; asked meanwhile, the answer is nobody. */
    for (int64_t ms = 21000; ms < 80000; ms += 1000) {
        assert_int_equal(suspect(&fleet.watch, ms), 0);
    }
    for (int64_t ms = 80000; ms < 140000; ms += 1000) {
        read_at(&fleet, ms, ms >= 89000);
        assert_int_equal(suspect(&fleet.watch, ms), 0);
    }
    lease_watch_done(&fleet.watch);
}

TEST_CASE(lease_watch_suspect__asked_after_the_reading__counts_to_it_only)
{
    struct fleet fleet;
    fleet_start(&fleet);
    read_on(&fleet, 1000, 20001, true);
    read_on(&fleet, 21000, 24001, false);
    assert_int_equal(suspect(&fleet.watch, 26500), 0);
    lease_watch_done(&fleet.watch);
}

TEST_CASE(lease_watch_read__rows_come_and_go__are_followed_by_id)
{
    struct lease_watch watch;
    lease_watch_init(&watch, LEASE_MS);
    int64_t counter = 0;
    for (int64_t ms = 1000; ms <= 11000; ms += 1000) {
        /* A newcomer ahead of the frozen one moves it to another place. */
        const struct lease_row rows[] = {
            {.id = -ms, .counter = 1},
            {.id = OWN, .counter = counter++},
            {.id = OTHER, .counter = 7},
        };
        const size_t from = ms % 2000 ? 0 : 1;
        assert_true(lease_watch_read(&watch, rows + from, 3 - from, true, ms));
    }
    assert_int_equal(suspect(&watch, 11000), OTHER);
    assert_int_equal(lease_watch_alive(&watch), 3);
    const struct lease_row last[] = {{.id = OWN, .counter = counter}};
    assert_true(lease_watch_read(&watch, last, 1, true, 12000));
    assert_int_equal(suspect(&watch, 12000), 0);
    assert_int_equal(lease_watch_alive(&watch), 1);
    assert_true(lease_watch_read(&watch, NULL, 0, true, 13000));
    assert_int_equal(lease_watch_alive(&watch), 0);
    lease_watch_done(&watch);
}

/* ---- readings of some ---- */

#define MANY 100

/** Leases 1..MANY; those in [frozen, frozen_end) stand still. */
static size_t read_picked(struct lease_watch *watch, int64_t boot_ms,
                          int64_t frozen, int64_t frozen_end)
{
    struct lease_row rows[MANY];
    int64_t ids[LEASE_PICKS_MAX];
    size_t picked = lease_watch_pick(watch, boot_ms, ids);
    size_t len = 0;
    for (int64_t id = 1; id <= MANY; id++) {
        bool asked = picked == 0;
        for (size_t i = 0; i < picked; i++) {
            asked = asked || ids[i] == id;
        }
        bool still = id >= frozen && id < frozen_end;
        rows[len] =
            (struct lease_row){.id = id, .counter = still ? 7 : boot_ms};
        len += asked;
    }
    assert_true(lease_watch_read(watch, rows, len, picked == 0, boot_ms));
    return picked;
}

TEST_CASE(lease_watch_pick__all_live__the_lowest_and_all_by_turns)
{
    struct lease_watch watch;
    lease_watch_init(&watch, LEASE_MS);
    for (int64_t ms = 1000; ms <= 30000; ms += 1000) {
        size_t picked = read_picked(&watch, ms, 0, 0);
        assert_int_equal(picked, (ms / 1000) % 2 ? 0 : LEASE_LOWEST);
        assert_int_equal(lease_watch_alive(&watch), MANY);
        assert_int_equal(lease_watch_lowest(&watch), 1);
    }
    lease_watch_done(&watch);
}

/** Whichever reading it is that sees it move for the last time. */
TEST_CASE(lease_watch_pick__the_last_of_sixteen__a_death_is_found_a_lease_later)
{
    for (int64_t died_ms = 20000; died_ms <= 21000; died_ms += 1000) {
        struct lease_watch watch;
        lease_watch_init(&watch, LEASE_MS);
        int64_t ms = 1000;
        for (; ms <= died_ms; ms += 1000) {
            read_picked(&watch, ms, 0, 0);
        }
        while (!suspect(&watch, ms - 1000)) {
            read_picked(&watch, ms, 16, 17);
            ms += 1000;
        }
        assert_int_equal(suspect(&watch, ms - 1000), 16);
        assert_int_equal(ms - 1000, died_ms + 1000 + LEASE_MS);
        lease_watch_done(&watch);
    }
}

TEST_CASE(lease_watch_pick__many_dead__all_are_found_at_once)
{
    struct lease_watch watch;
    int64_t counter = 0;
    int64_t ms = 1000;
    lease_watch_init(&watch, LEASE_MS);
    for (; ms <= 20000; ms += 1000) {
        read_picked(&watch, ms, 0, 0);
    }
    for (; ms <= 27000 && !suspect(&watch, ms - 1000); ms += 1000) {
        read_picked(&watch, ms, 10, 50);
    }
    assert_in_range(ms - 1000, 26000, 27000);
    int64_t id = 0;
    for (int64_t want = 10; want < 50; want++) {
        id = lease_watch_suspect(&watch, OWN, id, ms - 1000, &counter);
        assert_int_equal(id, want);
        assert_int_equal(counter, 7);
    }
    assert_int_equal(lease_watch_suspect(&watch, OWN, id, ms - 1000, &counter),
                     0);
    lease_watch_done(&watch);
}

/** What is not read does not stand still: nor does it after a gap. */
TEST_CASE(lease_watch_pick__not_read__is_not_suspected)
{
    struct lease_watch watch;
    lease_watch_init(&watch, LEASE_MS);
    struct lease_row rows[MANY];
    for (int64_t id = 1; id <= MANY; id++) {
        rows[id - 1] = (struct lease_row){.id = id, .counter = 7};
    }
    int64_t ids[LEASE_PICKS_MAX];
    int64_t ms = 1000;
    assert_true(lease_watch_read(&watch, rows, MANY, true, ms));
    for (ms = 2000; ms < 40000; ms += 1000) {
        (void)lease_watch_pick(&watch, ms, ids);
        for (size_t i = 0; i < LEASE_LOWEST; i++) {
            rows[i].counter = ms;
        }
        assert_true(lease_watch_read(&watch, rows, LEASE_LOWEST, false, ms));
        assert_int_equal(suspect(&watch, ms), 0);
    }
    assert_true(
        lease_watch_read(&watch, rows, LEASE_LOWEST, false, ms + 30000));
    assert_true(lease_watch_read(&watch, rows, MANY, true, ms + 31000));
    assert_int_equal(suspect(&watch, ms + 31000), 0);
    lease_watch_done(&watch);
}

TEST_CASE(lease_watch_read__a_picked_one_is_missing__it_is_gone)
{
    struct lease_watch watch;
    lease_watch_init(&watch, LEASE_MS);
    read_picked(&watch, 1000, 0, 0);
    int64_t ids[LEASE_PICKS_MAX];
    assert_int_equal(lease_watch_pick(&watch, 2000, ids), LEASE_LOWEST);
    const struct lease_row rows[] = {{.id = 2, .counter = 9}};
    assert_true(lease_watch_read(&watch, rows, 1, false, 2000));
    assert_int_equal(lease_watch_lowest(&watch), 2);
    assert_int_equal(lease_watch_alive(&watch), MANY - (LEASE_LOWEST - 1));
    lease_watch_done(&watch);
}

TEST_CASE(lease_watch_dead__one_is_declared__is_named_and_not_suspected)
{
    struct lease_watch watch;
    lease_watch_init(&watch, LEASE_MS);
    assert_int_equal(lease_watch_dead(&watch), 0);
    for (int64_t ms = 1000; ms <= 19000; ms += 1000) {
        const struct lease_row rows[] = {
            {.id = OWN, .counter = ms},
            {.id = OTHER, .counter = 7, .dead = true},
        };
        assert_true(lease_watch_read(&watch, rows, 2, true, ms));
    }
    assert_int_equal(lease_watch_dead(&watch), OTHER);
    assert_int_equal(suspect(&watch, 19000), 0);
    assert_int_equal(lease_watch_alive(&watch), 1);
    lease_watch_done(&watch);
}

TEST_CASE(lease_watch_moved_ms__one_stands_still__is_its_last_move)
{
    struct fleet fleet;
    fleet_start(&fleet);
    read_on(&fleet, 1000, 5000, true);
    read_on(&fleet, 5000, 9000, false);
    assert_int_equal(lease_watch_moved_ms(&fleet.watch, OTHER), 4000);
    assert_int_equal(lease_watch_moved_ms(&fleet.watch, OWN), 8000);
    assert_int_equal(lease_watch_moved_ms(&fleet.watch, 77), 0);
    lease_watch_done(&fleet.watch);
}

TEST_CASE(lease_may_submit__bump_ages__ends_at_three_quarters)
{
    assert_false(lease_may_submit(0, LEASE_MS, 10)); /* never bumped */
    assert_true(lease_may_submit(1000, LEASE_MS, 1000));
    assert_true(lease_may_submit(1000, LEASE_MS, 4750));
    assert_false(lease_may_submit(1000, LEASE_MS, 4751));
}

TESTS_RUN(NULL, NULL)
