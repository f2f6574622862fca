#include "sim/scene.h"

/* That a request was taken in is told (ACCEPTED_EVENTS). */

static struct world *world_that_tells(uint64_t seed)
{
    struct world *world = world_open(seed);
    world->tables->accepted_events = true;
    return world;
}

TEST_CASE(a_request__that_is_taken_in__is_told_once_before_its_end)
{
    struct world *world = world_that_tells(51);
    struct node *w1 = node_start(world, "w1", NULL);
    world_ask(world, "a");
    world_ask(world, "a");
    kafka_request(world,
                  "{\"request_id\":\"b\",\"request\":{\"prompt\":\"\"}}");
    kafka_request(world, "{\"request_id\":\"/\"}");
    until_closed(world, MINUTE_MS);
    world_ask(world, "a");
    world_run_for(world, MINUTE_MS);
    const char *text = world->transcript.bytes;
    assert_int_equal(times_told(world, "event a accepted"), 1);
    assert_int_equal(times_told(world, " accepted\n"), 1);
    assert_true(strstr(text, "event a accepted") <
                strstr(text, "event a completed"));
    node_free(w1);
    close_world(world);
}

/** Its row is nobody's from the first moment on; it does not stay so. */
TEST_CASE(a_faulty_request__is_told_at_once)
{
    struct world *world = world_open(57);
    struct node *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 5000);
    kafka_request(world,
                  "{\"request_id\":\"b\",\"request\":{\"prompt\":\"\"}}");
    world_run_for(world, 1000);
    assert_int_equal(times_told(world, "event b"), 1);
    node_free(w1);
    close_world(world);
}

TEST_CASE(accepted__where_it_is_off__is_told_of_nothing)
{
    struct world *world = world_open(52);
    struct node *w1 = node_start(world, "w1", NULL);
    world_ask(world, "a");
    until_closed(world, MINUTE_MS);
    assert_int_equal(times_told(world, " accepted\n"), 0);
    node_free(w1);
    close_world(world);
}

/** Not by the one that counts, which looks at what others left now and then. */
TEST_CASE(accepted__of_any_worker__is_told_by_that_one_at_once)
{
    struct world *world = world_that_tells(56);
    struct node *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 5000);
    struct node *w2 = node_start(world, "w2", NULL);
    world_run_for(world, 5000);
    assert_true(w1->worker.fleet.counts && !w2->worker.fleet.counts);
    int partition = 0;
    while (world->kafka->partitions[partition].owner != w2->worker.consumer) {
        partition++;
        assert_in_range(partition, 0, PARTITIONS - 1);
    }
    kafka_request_to(world, partition,
                     "{\"request_id\":\"a\",\"request\":{\"prompt\":\"x\"}}");
    world_run_for(world, 500);
    assert_int_equal(times_told(world, "event a accepted"), 1);
    until_closed(world, MINUTE_MS);
    node_free(w1);
    node_free(w2);
    close_world(world);
}

TEST_CASE(accepted__owed_by_a_worker_that_died__is_told_by_another)
{
    struct world *world = world_that_tells(53);
    struct node *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 5000);
    world->kafka->down = true;
    world_ask(world, "a");
    world_run_for(world, 2000);
    assert_non_null(tables_find(world->tables, "a"));
    node_kill(w1);
    world->kafka->down = false;
    world->tables->accepted_events = false; /* whatever is set since */
    struct node *w2 = node_start(world, "w2", NULL);
    world_run_for(world, 2 * MINUTE_MS);
    until_closed(world, MINUTE_MS);
    assert_int_equal(times_told(world, "event a accepted"), 1);
    node_free(w1);
    node_free(w2);
    close_world(world);
}

TEST_CASE(accepted__whose_answer_was_lost__is_told_all_the_same)
{
    for (int committed = 0; committed < 2; committed++) {
        struct world *world = world_that_tells(54);
        struct node *w1 = node_start(world, "w1", NULL);
        world_run_for(world, 5000);
        tables_lose(world, UNIT_ACCEPTED, QUEUED, committed);
        world_ask(world, "a");
        until_closed(world, MINUTE_MS);
        assert_int_equal(times_told(world, "event a accepted"), 1);
        node_free(w1);
        close_world(world);
    }
}

TEST_CASE(accepted__while_it_drains__is_told_before_the_worker_leaves)
{
    struct world *world = world_that_tells(55);
    struct node *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 5000);
    for (int i = 0; i < 700; i++) { /* several rounds */
        char id[24];
        snprintf(id, sizeof id, "r%d", i);
        world_ask(world, id);
    }
    while (!tables_find(world->tables, "r0")) {
        assert_true(world_turn(world));
    }
    node_drain(w1);
    assert_true(world_run_until(world, node_is_drained, w1, 2 * MINUTE_MS));
    size_t owed = 0;
    for (size_t i = 0; i < world->tables->len; i++) {
        owed += world->tables->records[i]->owes_accepted;
    }
    assert_int_equal(owed, 0);
    assert_int_equal(times_told(world, " accepted\n"), world->tables->len);
    node_free(w1);
    close_world(world);
}

TESTS_RUN(NULL, NULL)
