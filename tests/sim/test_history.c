#include "sim/scene.h"

/* What ended long ago: counted, pruned, forgotten. */

#define DAY_MS HISTORY_DAY_MS

static struct node *start(struct world *world, const char *name)
{
    struct stage_options options = node_options();
    options.days = (struct history_days){.history = 1, .ids = 2};
    options.lease_ms = 600000; /* days pass with few beats */
    return node_start(world, name, &options);
}

static int pruned(const struct world *world)
{
    int n = 0;
    for (size_t i = 0; i < world->tables->len; i++) {
        n += world->tables->records[i]->pruned;
    }
    return n;
}

static int forgotten(const struct world *world)
{
    int n = 0;
    for (size_t i = 0; i < world->tables->len; i++) {
        n += world->tables->records[i]->forgotten;
    }
    return n;
}

TEST_CASE(history__whole_days__are_counted_then_pruned_then_forgotten)
{
    struct world *world = world_open(1);
    struct node *w1 = start(world, "w1");
    struct node *w2 = start(world, "w2");
    for (int i = 0; i < 5; i++) {
        char id[] = {(char)('a' + i), '\0'};
        world_ask(world, id);
    }
    until_closed(world, 3600000);
    world_run_for(world, DAY_MS - 3 * 3600000);
    assert_int_equal(pruned(world), 0);
    world_run_for(world, 3 * 3600000 + DAY_MS);
    for (size_t i = 0; i < 5; i++) {
        assert_true(world->tables->records[i]->counted);
    }
    assert_int_equal(pruned(world), 5); /* in three batches */
    assert_int_equal(forgotten(world), 0);
    const int64_t produced_ms = world_clock_ms(world) - 3 * DAY_MS;
    world->kafka->produced_ms = produced_ms;
    world_ask(world, "a"); /* pruned: it is known still */
    world_ask(world, "never-seen");
    world_run_for(world, 600000);
    assert_int_equal(times_told(world, "rejected k too_old"), 1);
    world_run_for(world, DAY_MS);
    assert_int_equal(forgotten(world), 5);
    world_ask(world, "a");
    world_run_for(world, 600000);
    assert_int_equal(times_told(world, "rejected k too_old"), 2);
    assert_int_equal(world->provider->sales_len, 5);
    end_scene(world, w1, w2);
}

TEST_CASE(history__a_pass__is_one_workers_and_another_goes_on_after_it)
{
    struct world *world = world_open(2);
    struct node *w1 = start(world, "w1");
    world_ask(world, "a");
    until_closed(world, 3600000);
    world_run_for(world, 600000);
    int passes = world->tables->passes;
    assert_true(passes >= 9 && passes <= 11); /* one a minute */
    struct node *w2 = start(world, "w2");
    world_run_for(world, 600000);
    assert_true(world->tables->passes - passes <= 11);
    node_drain(w1);
    world_run_for(world, 3 * DAY_MS);
    assert_int_equal(pruned(world), 1);
    node_drain(w2);
    world_run_for(world, 600000);
    passes = world->tables->passes;
    world_run_for(world, 600000);
    assert_int_equal(world->tables->passes, passes);
    assert_int_equal(world->tables->archives, 0);
    end_scene(world, w1, w2);
}

TEST_CASE(history__the_database_is_away__the_next_pass_goes_on)
{
    struct world *world = world_open(3);
    struct node *w1 = start(world, "w1");
    world_ask(world, "a");
    until_closed(world, 3600000);
    world_run_for(world, DAY_MS);
    tables_away(world, 2 * DAY_MS);
    world_run_for(world, 2 * DAY_MS - 60000);
    assert_int_equal(pruned(world), 0);
    world_run_for(world, 3600000);
    assert_int_equal(pruned(world), 1);
    end_scene(world, w1, NULL);
}

TEST_CASE(history__for_ever__nobody_looks_at_it)
{
    struct world *world = world_open(4);
    struct node *w1 = node_start(world, "w1", NULL);
    world_ask(world, "a");
    until_closed(world, 3600000);
    world_run_for(world, 3600000);
    assert_int_equal(world->tables->passes, 0);
    end_scene(world, w1, NULL);
}

TESTS_RUN(NULL, NULL)
