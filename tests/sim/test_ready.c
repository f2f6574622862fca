#include "flow/engine_told.h"
#include "sim/scene.h"

/* What is READY in memory alone: its transfer runs, and its row says RUNNING.
 */

static bool is_stored(void *context)
{
    return ((struct world *)context)->storage->len > 0;
}

static bool is_finished(void *context)
{
    return times_told(context, "running > ready (FINISHED)") > 0;
}

/** Its video is visible, and nobody says so in a row. */
static void until_stored(struct world *world)
{
    until_state(world, "a", RUNNING, MINUTE_MS);
    assert_true(world_run_until(world, is_stored, world, 2 * MINUTE_MS));
    assert_int_equal(state_of(world, "a"), RUNNING);
}

static bool is_ready(void *context)
{
    return state_of(context, "a") == READY;
}

TEST_CASE(a_quick_transfer__is_stored_with_its_end)
{
    struct node *w1;
    struct world *world = scene_of_one(3, provider_usual_plan(), "", &w1);
    until_state(world, "a", RUNNING, MINUTE_MS);
    const int32_t version = world->tables->records[0]->row.version;
    assert_false(world_run_until(world, is_ready, world, MINUTE_MS));
    until_closed(world, MINUTE_MS);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    /* Its end alone was saved; that it was told deletes the row. */
    assert_int_equal(world->tables->records[0]->row.version, version + 1);
    end_scene(world, w1, NULL);
}

TEST_CASE(a_transfer__of_two_seconds__is_stored_as_ready_meanwhile)
{
    struct node *w1;
    struct plan plan = provider_usual_plan();
    plan.slow_ms = 10000;
    struct world *world = scene_of_one(3, plan, "", &w1);
    assert_true(world_run_until(world, is_finished, world, MINUTE_MS));
    world_run_for(world, 1900);
    assert_int_equal(state_of(world, "a"), RUNNING);
    world_run_for(world, 500);
    assert_int_equal(state_of(world, "a"), READY);
    until_closed(world, MINUTE_MS);
    assert_int_equal(world->provider->sales[0]->served, 1); /* it went on */
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    end_scene(world, w1, NULL);
}

/** The row is on its way, or its answer is lost, when the transfer ends. */
TEST_CASE(a_transfer__that_ends_while_its_row_is_saved__waits_for_that)
{
    for (int i = 0; i < 120; i++) {
        struct node *w1;
        struct plan plan = provider_usual_plan();
        plan.slow_ms = 1960 + i / 2;
        plan.cuts = i % 4 == 3;
        struct world *world = scene_of_one(3, plan, "", &w1);
        if (i % 3) {
            tables_lose(world, UNIT_SAVE, READY, i % 3 == 1);
        }
        until_closed(world, 2 * MINUTE_MS);
        assert_int_equal(world->provider->sales[0]->served, 1 + plan.cuts);
        assert_int_equal(times_told(world, "event a completed\n"), 1);
        end_scene(world, w1, NULL);
    }
}

/** More than can be fetched at once: those in line are stored. */
TEST_CASE(a_transfer__that_waits_for_a_slot__is_stored_as_ready)
{
    struct world *world = world_open(1);
    struct stage_options options = node_options();
    options.transfers_max = 1;
    struct node *w1 = node_start(world, "w1", &options);
    struct plan plan = provider_usual_plan();
    plan.slow_ms = 1500;
    world_run_for(world, 1000);
    provider_plan(world, "a", plan);
    provider_plan(world, "b", plan);
    world_ask(world, "a");
    world_ask(world, "b");
    bool ready[2] = {false, false};
    while (!tables_all_closed(world)) {
        assert_true(world_turn(world));
        ready[0] = ready[0] || state_of(world, "a") == READY;
        ready[1] = ready[1] || state_of(world, "b") == READY;
    }
    assert_int_equal(ready[0] + ready[1], 1);
    end_scene(world, w1, NULL);
}

/** A drain that hurries ends the transfer, and hands on what is known. */
TEST_CASE(a_drain__of_a_transfer_without_a_row__stores_one)
{
    struct node *w1;
    struct plan plan = provider_usual_plan();
    plan.drips = true;
    struct world *world = scene_of_one(3, plan, "", &w1);
    assert_true(world_run_until(world, is_finished, world, MINUTE_MS));
    world_run_for(world, 100);
    node_drain(w1);
    engine_hurry(&w1->worker.engine);
    assert_true(world_run_until(world, node_is_drained, w1, 1500));
    assert_int_equal(state_of(world, "a"), READY);
    node_free(w1);
    world->provider->sales[0]->plan.drips = false;
    struct node *w2 = node_start(world, "w2", NULL);
    until_closed(world, 2 * MINUTE_MS);
    end_scene(world, w2, NULL);
}

TEST_CASE(a_stored_video__taken_over_past_its_deadline__is_no_timeout)
{
    struct node *w1;
    struct world *world =
        scene_of_one(3, provider_usual_plan(), ",\"deadline_seconds\":60", &w1);
    until_stored(world);
    node_kill(w1);
    world_run_for(world, 2 * MINUTE_MS);
    world->provider->away = true;
    struct node *w2 = node_start(world, "w2", NULL);
    world_run_for(world, 5 * MINUTE_MS);
    assert_int_equal(state_of(world, "a"), RUNNING);
    world->provider->away = false;
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    assert_int_equal(world->storage->len, 1);
    node_free(w1);
    end_scene(world, w2, NULL);
}

TEST_CASE(a_deadline__taken_over_and_never_answered__is_over_in_ten_minutes)
{
    struct node *w1;
    struct world *world =
        scene_of_one(3, provider_usual_plan(), ",\"deadline_seconds\":60", &w1);
    until_state(world, "a", RUNNING, MINUTE_MS);
    node_kill(w1);
    world->provider->away = true;
    world_run_for(world, 2 * MINUTE_MS);
    struct node *w2 = node_start(world, "w2", NULL);
    until_state(world, "a", LATE, 12 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a failed timed_out\n"), 1);
    assert_int_equal(world->storage->len, 0);
    world->provider->away = false;
    until_closed(world, 2 * HOUR_MS);
    assert_int_equal(times_told(world, "event a completed late\n"), 1);
    node_free(w1);
    end_scene(world, w2, NULL);
}

TEST_CASE(a_stored_video__taken_over_and_cancelled__comes_home)
{
    struct node *w1;
    struct world *world = scene_of_one(3, provider_usual_plan(), "", &w1);
    until_stored(world);
    node_kill(w1);
    assert_true(tables_cancel(world, "a"));
    world->provider->away = true;
    struct node *w2 = node_start(world, "w2", NULL);
    world_run_for(world, MINUTE_MS);
    assert_int_equal(state_of(world, "a"), RUNNING);
    world->provider->away = false;
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    node_free(w1);
    end_scene(world, w2, NULL);
}

/** Half of it is in storage when its worker dies, and then it fails. */
TEST_CASE(half_a_video__taken_over_and_failed__is_tidied)
{
    struct node *w1;
    struct plan plan = provider_usual_plan();
    plan.slow_ms = 1500;
    struct world *world = scene_of_one(3, plan, "", &w1);
    until_state(world, "a", RUNNING, MINUTE_MS);
    while (list_is_empty(&world->storage->uploads)) {
        assert_true(world_turn(world));
    }
    assert_int_equal(state_of(world, "a"), RUNNING);
    node_kill(w1);
    assert_non_null(storage_left(world->storage));
    world->provider->sales[0]->plan.end = "failed";
    struct node *w2 = node_start(world, "w2", NULL);
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a failed provider_failed\n"), 1);
    assert_null(storage_left(world->storage));
    node_free(w1);
    end_scene(world, w2, NULL);
}

TESTS_RUN(NULL, NULL)
