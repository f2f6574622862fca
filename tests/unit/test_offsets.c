#include "core/offsets.h"

#include <stdlib.h>

#include "lib/check.h"

static void offsets_finish__in_order__moves_one_by_one(void **state)
{
    (void)state;
    struct offsets o;
    offsets_init(&o);
    assert_true(offsets_add(&o, 10));
    assert_true(offsets_add(&o, 11));
    assert_int_equal(o.prefix, -1);
    assert_true(offsets_finish(&o, 10));
    assert_int_equal(o.prefix, 11);
    assert_true(offsets_finish(&o, 11));
    assert_int_equal(o.prefix, 12);
    offsets_done(&o);
}

static void offsets_finish__out_of_order__waits_for_the_first(void **state)
{
    (void)state;
    struct offsets o;
    offsets_init(&o);
    for (int64_t i = 0; i < 5; i++) {
        assert_true(offsets_add(&o, i));
    }
    assert_false(offsets_finish(&o, 4));
    assert_false(offsets_finish(&o, 1));
    assert_int_equal(o.prefix, -1);
    assert_true(offsets_finish(&o, 0));
    assert_int_equal(o.prefix, 2);
    assert_false(offsets_finish(&o, 3));
    assert_true(offsets_finish(&o, 2));
    assert_int_equal(o.prefix, 5);
    offsets_done(&o);
}

static void offsets_finish__gaps__are_passed(void **state)
{
    (void)state;
    struct offsets o;
    offsets_init(&o);
    assert_true(offsets_add(&o, 3));
    assert_true(offsets_add(&o, 700));
    assert_false(offsets_finish(&o, 700));
    assert_false(offsets_finish(&o, 4)); /* in the gap: unknown */
    assert_true(offsets_finish(&o, 3));
    assert_int_equal(o.prefix, 701);
    offsets_done(&o);
}

static void offsets_finish__unknown_or_repeated__changes_nothing(void **state)
{
    (void)state;
    struct offsets o;
    offsets_init(&o);
    assert_false(offsets_finish(&o, 0));
    assert_true(offsets_add(&o, 5));
    assert_true(offsets_add(&o, 6));
    assert_true(offsets_finish(&o, 5));
    assert_false(offsets_finish(&o, 5));
    assert_false(offsets_finish(&o, 99));
    assert_int_equal(o.prefix, 6);
    offsets_done(&o);
}

static void offsets_add__not_above_the_last__is_refused(void **state)
{
    (void)state;
    struct offsets o;
    offsets_init(&o);
    assert_true(offsets_add(&o, 5));
    assert_false(offsets_add(&o, 5));
    assert_false(offsets_add(&o, 4));
    assert_true(offsets_finish(&o, 5));
    assert_false(offsets_add(&o, 5));
    offsets_done(&o);
}

static void offsets_finish__failed_tracker__never_moves_past_it(void **state)
{
    (void)state;
    struct offsets o;
    offsets_init(&o);
    assert_true(offsets_add(&o, 1));
    o.failed = true;
    assert_true(offsets_add(&o, 2));
    assert_true(offsets_finish(&o, 1));
    assert_false(offsets_finish(&o, 2));
    assert_int_equal(o.prefix, 2);
    offsets_done(&o);
}

/** Against the plain definition, over random orders and a ring that wraps. */
static void offsets_finish__random_orders__agree_with_the_definition(void **s)
{
    (void)s;
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
            assert_true(offsets_add(&o, added++));
            continue;
        }
        if (added > first) {
            int pick = rand() % 3 ? first + rand() % (added - first) : first;
            finished[pick] = true;
            offsets_finish(&o, pick);
        }
    }
    assert_int_equal(o.prefix, COUNT);
    assert_int_equal(o.len, 0);
    offsets_done(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_finish__in_order__moves_one_by_one),
        cmocka_unit_test(offsets_finish__out_of_order__waits_for_the_first),
        cmocka_unit_test(offsets_finish__gaps__are_passed),
        cmocka_unit_test(offsets_finish__unknown_or_repeated__changes_nothing),
        cmocka_unit_test(offsets_add__not_above_the_last__is_refused),
        cmocka_unit_test(offsets_finish__failed_tracker__never_moves_past_it),
        cmocka_unit_test(
            offsets_finish__random_orders__agree_with_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
