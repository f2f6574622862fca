#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/node.h"

static void
one_request__nothing_goes_wrong__is_made_stored_and_told(void **state)
{
    (void)state;
    struct world *world = world_open(1);
    struct node *w1 = node_start(world, "w1", NULL);
    world_ask(world, "a");
    assert_true(world_run_until(world, tables_all_closed, world, 60000));
    assert_string_equal(world->transcript.bytes,
                        "w1: a > queued\n"
                        "w1: a queued > submitting (CLAIMED)\n"
                        "provider takes a as task_1\n"
                        "w1: a submitting > running (ACCEPTED)\n"
                        "w1: a running > ready (FINISHED)\n"
                        "stored default/a/0.mp4\n"
                        "w1: a ready > succeeded (STORED)\n"
                        "event a completed\n"
                        "w1: a succeeded > closed (ANNOUNCED)\n");
    node_free(w1);
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            one_request__nothing_goes_wrong__is_made_stored_and_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
