#include "core/offsets.h"

#include <stdlib.h>

#include "lib/check.h"

TEST_CASE(offsets_finish__in_order__moves_one_by_one)
{
    struct offsets o;
    offsets_init(&o);
    assert_true(offsets_add(&o, 10, 1));
    assert_true(offsets_add(&o, 11, 1));
    assert_int_equal(o.prefix, -1);
    assert_true(offsets_finish(&o, 10, 1));
    assert_int_equal(o.prefix, 11);
    assert_true(offsets_finish(&o, 11, 1));
    assert_int_equal(o.prefix, 12);
    offsets_done(&o);
}

TEST_CASE(offsets_finish__out_of_order__waits_for_the_first)
{
    struct offsets o;
    offsets_init(&o);
    for (int64_t i = 0; i < 5; i++) {
        assert_true(offsets_add(&o, i, 1));
    }
    assert_false(offsets_finish(&o, 4, 1));
    assert_false(offsets_finish(&o, 1, 1));
    assert_int_equal(o.prefix, -1);
    assert_true(offsets_finish(&o, 0, 1));
    assert_int_equal(o.prefix, 2);
    assert_false(offsets_finish(&o, 3, 1));
    assert_true(offsets_finish(&o, 2, 1));
    assert_int_equal(o.prefix, 5);
    offsets_done(&o);
}

TEST_CASE(offsets_finish__gaps__are_passed)
{
    struct offsets o;
    offsets_init(&o);
    assert_true(offsets_add(&o, 3, 1));
    assert_true(offsets_add(&o, 700, 1));
    assert_false(offsets_finish(&o, 700, 1));
    assert_false(offsets_finish(&o, 4, 1)); /* in the gap: unknown */
    assert_true(offsets_finish(&o, 3, 1));
    assert_int_equal(o.prefix, 701);
    offsets_done(&o);
}

TEST_CASE(offsets_finish__unknown_or_repeated__changes_nothing)
{
    struct offsets o;
    offsets_init(&o);
    assert_false(offsets_finish(&o, 0, 1));
    assert_true(offsets_add(&o, 5, 1));
    assert_true(offsets_add(&o, 6, 1));
    assert_true(offsets_finish(&o, 5, 1));
    assert_false(offsets_finish(&o, 5, 1));
    assert_false(offsets_finish(&o, 99, 1));
    assert_int_equal(o.prefix, 6);
    offsets_done(&o);
}

TEST_CASE(offsets_add__not_above_the_last__is_refused)
{
    struct offsets o;
    offsets_init(&o);
    assert_true(offsets_add(&o, 5, 1));
    assert_false(offsets_add(&o, 5, 1));
    assert_false(offsets_add(&o, 4, 1));
    assert_true(offsets_finish(&o, 5, 1));
    assert_false(offsets_add(&o, 5, 1));
    offsets_done(&o);
}

TEST_CASE(offsets_finish__failed_tracker__never_moves_past_it)
{
    struct offsets o;
    offsets_init(&o);
    assert_true(offsets_add(&o, 1, 1));
    o.failed = true;
    assert_true(offsets_add(&o, 2, 1));
    assert_true(offsets_finish(&o, 1, 1));
    assert_false(offsets_finish(&o, 2, 1));
    assert_int_equal(o.prefix, 2);
    offsets_done(&o);
}

TEST_CASE(offsets_rewind__into_the_middle__what_is_before_still_counts)
{
    struct offsets o;
    offsets_init(&o);
    for (int64_t i = 100; i < 110; i++) {
        assert_true(offsets_add(&o, i, 1));
    }
    assert_true(offsets_finish(&o, 100, 1));
    assert_false(offsets_finish(&o, 102, 1));
    assert_false(offsets_add(&o, 105, 2));
    offsets_rewind(&o, 105);
    for (int64_t i = 105; i < 108; i++) {
        assert_true(offsets_add(&o, i, 2));
    }
    /* Of another history: the same offset is another message. */
    assert_false(offsets_waits_for(&o, 105, 1));
    assert_false(offsets_finish(&o, 105, 1));
    assert_false(offsets_finish(&o, 109, 1));
    for (int64_t i = 105; i < 108; i++) {
        assert_true(offsets_waits_for(&o, i, 2));
        assert_false(offsets_finish(&o, i, 2));
        assert_false(offsets_waits_for(&o, i, 2));
    }
    assert_int_equal(o.prefix, 101);
    /* Unfinished since before the rewind: 101, 103, 104. */
    assert_true(offsets_waits_for(&o, 103, 1));
    assert_false(offsets_finish(&o, 104, 1));
    assert_true(offsets_finish(&o, 101, 1));
    assert_int_equal(o.prefix, 103);
    assert_true(offsets_finish(&o, 103, 1));
    assert_int_equal(o.prefix, 108);
    offsets_done(&o);
}

TEST_CASE(offsets_rewind__to_the_beginning__forgets_all)
{
    struct offsets o;
    offsets_init(&o);
    assert_true(offsets_add(&o, 50, 1));
    assert_true(offsets_add(&o, 51, 1));
    assert_true(offsets_finish(&o, 50, 1));
    assert_false(offsets_add(&o, 0, 2));
    offsets_rewind(&o, 0);
    assert_int_equal(o.len, 0);
    assert_true(offsets_add(&o, 0, 2));
    assert_false(offsets_finish(&o, 51, 1));
    assert_true(offsets_finish(&o, 0, 2));
    assert_int_equal(o.prefix, 1);
    offsets_done(&o);
}

/** Against the plain definition, over random orders and a ring that wraps. */
TEST_CASE(offsets_finish__random_orders__agree_with_the_definition)
{
    enum { COUNT = 3000, WINDOW = 300 };
    static bool finished[COUNT];
    srand(7);
    struct offsets o;
    offsets_init(&o);
    int added = 0;
    for (int step = 0; step < 200000; step++) {
        int first = 0;
        while (first < COUNT && finished[first]) {
            first++;
        }
        assert_int_equal(o.prefix, first == 0 ? -1 : first);
        if (first == COUNT) {
            break;
        }
        if (added < COUNT && added < first + WINDOW && rand() % 2) {
            assert_true(offsets_add(&o, added++, 1));
            continue;
        }
        if (added > first) {
            int pick = rand() % 3 ? first + rand() % (added - first) : first;
            finished[pick] = true;
            offsets_finish(&o, pick, 1);
        }
    }
    assert_int_equal(o.prefix, COUNT);
    assert_int_equal(o.len, 0);
    offsets_done(&o);
}

TEST_CASE(offsets_back_to__any_time__never_goes_on)
{
    assert_int_equal(offsets_back_to(10, 7), 7);
    assert_int_equal(offsets_back_to(10, 0), 0);
    assert_int_equal(offsets_back_to(10, 10), -1);
    assert_int_equal(offsets_back_to(10, 12),
                     -1); /* not read yet: not passed */
    assert_int_equal(offsets_back_to(10, -1), -1); /* nothing is so new */
    assert_int_equal(offsets_back_to(-1, 7), -1);  /* begins at the earliest */
}

TESTS_RUN(NULL, NULL)
