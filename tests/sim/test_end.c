#include "sim/scene.h"

/* From acceptance to the end: polls, deadlines, transfers, announcements. */

TEST_CASE(a_task__failed_upstream__is_told_unpaid)
{
    struct node *w1;
    struct plan plan = provider_usual_plan();
    plan.end = "failed";
    struct world *world = scene_of_one(1, plan, "", &w1);
    until_closed(world, MINUTE_MS);
    assert_int_equal(times_told(world, "event a failed provider_failed\n"), 1);
    const char *value =
        world->kafka->records[world->kafka->records_len - 1].value;
    assert_non_null(strstr(value, "\"billed\":\"no\""));
    end_scene(world, w1, NULL);
}

TEST_CASE(a_deadline__while_it_runs__and_the_video_comes_late)
{
    struct node *w1;
    struct plan plan = provider_usual_plan();
    plan.run_ms = 5 * MINUTE_MS;
    struct world *world =
        scene_of_one(1, plan, ",\"deadline_seconds\":60", &w1);
    until_closed(world, 20 * MINUTE_MS);
    told(world, "w1: a > queued\n"
                "w1: a queued > submitting (CLAIMED)\n"
                "provider takes a as task_1\n"
                "w1: a submitting > running (ACCEPTED)\n"
                "w1: a running > failed (TIME_UP)\n"
                "event a failed timed_out\n"
                "w1: a failed > late (ANNOUNCED)\n"
                "w1: a late > ready (FINISHED)\n"
                "stored default/a/0.mp4\n"
                "w1: a ready > succeeded (STORED)\n"
                "event a completed late\n"
                "w1: a succeeded > closed (ANNOUNCED)\n");
    end_scene(world, w1, NULL);
}

TEST_CASE(a_deadline__while_it_runs__and_it_fails_late__is_told_once)
{
    struct node *w1;
    struct plan plan = provider_usual_plan();
    plan.run_ms = 5 * MINUTE_MS;
    plan.end = "failed";
    struct world *world =
        scene_of_one(1, plan, ",\"deadline_seconds\":60", &w1);
    until_closed(world, 20 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a failed timed_out\n"), 1);
    assert_int_equal(times_told(world, "event a"), 1);
    end_scene(world, w1, NULL);
}

static bool is_told_as_timed_out(void *world)
{
    return times_told(world, "event a failed timed_out\n") > 0;
}

/** What was waited for is over when its save is answered at last. */
TEST_CASE(a_failure__told_as_the_store_goes__ends_with_its_late_time)
{
    struct node *w1;
    struct plan plan = provider_usual_plan();
    plan.run_ms = 48 * HOUR_MS;
    struct world *world =
        scene_of_one(1, plan, ",\"deadline_seconds\":86400", &w1);
    assert_true(
        world_run_until(world, is_told_as_timed_out, world, 25 * HOUR_MS));
    tables_away(world, MINUTE_MS);
    until_closed(world, HOUR_MS);
    assert_int_equal(times_told(world, "event a"), 1);
    end_scene(world, w1, NULL);
}

TEST_CASE(a_deadline__in_the_queue__is_told_even_under_a_hold)
{
    struct node *w1;
    struct world *world =
        scene_of_one(1, provider_usual_plan(), ",\"deadline_seconds\":60", &w1);
    world->provider->balance_empty = true;
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a failed timed_out\n"), 1);
    const char *value = world->kafka->records[0].value;
    assert_non_null(strstr(value, "\"billed\":\"no\""));
    end_scene(world, w1, NULL);
}

TEST_CASE(a_task__the_provider_forgets__is_lost_after_ten_minutes)
{
    struct node *w1;
    struct plan plan = provider_usual_plan();
    plan.unknown = true;
    struct world *world = scene_of_one(1, plan, "", &w1);
    world_run_for(world, 11 * MINUTE_MS);
    assert_int_equal(state_of(world, "a"), RUNNING);
    world_run_for(world, 2 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a failed task_lost\n"), 1);
    assert_int_equal(state_of(world, "a"), LATE);
    until_closed(world, 25 * HOUR_MS);
    assert_int_equal(times_told(world, "event"), 1);
    end_scene(world, w1, NULL);
}

TEST_CASE(a_url__that_has_expired__is_asked_for_afresh)
{
    struct node *w1;
    struct plan plan = provider_usual_plan();
    plan.url_life_ms = 60000;
    struct world *world = scene_of_one(1, plan, "", &w1);
    until_state(world, "a", RUNNING, MINUTE_MS);
    world->storage->full = true;
    world_run_for(world, 5 * MINUTE_MS);
    assert_int_equal(times_told(world, "hold storage"), 1);
    world->storage->full = false;
    until_closed(world, 10 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    end_scene(world, w1, NULL);
}

TEST_CASE(a_url__that_has_expired_for_good__is_told)
{
    struct node *w1;
    struct plan plan = provider_usual_plan();
    plan.url_life_ms = 60000;
    plan.no_fresh_url = true;
    struct world *world = scene_of_one(1, plan, "", &w1);
    until_state(world, "a", RUNNING, MINUTE_MS);
    world->storage->full = true;
    world_run_for(world, 5 * MINUTE_MS);
    world->storage->full = false;
    until_closed(world, 10 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a failed asset_expired\n"), 1);
    end_scene(world, w1, NULL);
}

TEST_CASE(what_a_dead_worker_had_begun__goes_before_the_end)
{
    struct node *w1;
    struct plan plan = provider_usual_plan();
    plan.url_life_ms = 60000;
    plan.no_fresh_url = true;
    struct world *world = scene_of_one(1, plan, "", &w1);
    while (!storage_left(world->storage)) {
        assert_true(world_turn(world));
    }
    node_kill(w1); /* in the middle of an upload */
    world->storage->full = true;
    struct node *w2 = node_start(world, "w2", NULL);
    until_state(world, "a", FAILED, 20 * MINUTE_MS);
    assert_null(storage_left(world->storage));
    until_closed(world, MINUTE_MS);
    assert_int_equal(times_told(world, "event a failed asset_expired\n"), 1);
    node_free(w1);
    end_scene(world, w2, NULL);
}

TEST_CASE(a_video__that_is_none__is_given_up_after_an_hour)
{
    struct node *w1;
    struct plan plan = provider_usual_plan();
    plan.no_video = true;
    plan.url_life_ms = 0;
    struct world *world = scene_of_one(1, plan, "", &w1);
    world_run_for(world, 59 * MINUTE_MS);
    assert_int_equal(state_of(world, "a"), READY);
    until_closed(world, 10 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a failed asset_unusable\n"), 1);
    assert_int_equal(world->storage->len, 0);
    end_scene(world, w1, NULL);
}

static bool are_stored(void *context)
{
    return times_told(context, "event good") == 6;
}

/** More hosts that drip than a worker fetches from at once. */
TEST_CASE(hosts_that_drip__hand_their_slots_to_others)
{
    struct world *world = world_open(1);
    struct node *w1 = node_start(world, "w1", NULL);
    struct plan plan = provider_usual_plan();
    char id[16];
    world_run_for(world, 1000);
    plan.drips = true;
    for (int i = 0; i < 8; i++) {
        snprintf(id, sizeof id, "drip-%d", i);
        provider_plan(world, id, plan);
        world_ask(world, id);
    }
    until_state(world, "drip-0", READY, MINUTE_MS);
    for (int i = 0; i < 6; i++) {
        snprintf(id, sizeof id, "good-%d", i);
        world_ask(world, id);
    }
    assert_true(world_run_until(world, are_stored, world, 10 * MINUTE_MS));
    assert_int_equal(times_told(world, "event drip"), 0);
    for (size_t i = 0; i < world->provider->sales_len; i++) {
        world->provider->sales[i]->plan.drips = false;
    }
    until_closed(world, 40 * MINUTE_MS);
    assert_int_equal(times_told(world, "event drip"), 8);
    assert_int_equal(times_told(world, " completed\n"), 14);
    end_scene(world, w1, NULL);
}

/** Nothing in it proves its end: what two fetches bring alike is taken. */
TEST_CASE(a_video__without_an_end__is_stored_when_two_agree)
{
    struct node *w1;
    struct plan plan = provider_usual_plan();
    plan.unmeasured = true;
    plan.cuts = 3; /* each at another place */
    struct world *world = scene_of_one(1, plan, "", &w1);
    until_closed(world, 10 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    assert_int_equal(world->storage->len, 1);
    struct buf whole;
    buf_init(&whole, 0);
    const struct sale *sale = world->provider->sales[0];
    provider_video(sale, 0, &whole);
    assert_int_equal(world->storage->objects[0].len, whole.len);
    assert_int_equal(sale->served, 6); /* 1 != 2, 3 != 4, 5 == 6 */
    buf_done(&whole);
    end_scene(world, w1, NULL);
}

/** Two bad answers in a row cost seconds. */
TEST_CASE(a_video__after_bad_bodies__is_stored_soon)
{
    struct node *w1;
    struct plan plan = provider_usual_plan();
    plan.bad_bodies = 3;
    struct world *world = scene_of_one(1, plan, "", &w1);
    until_closed(world, plan.run_ms + MINUTE_MS);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    end_scene(world, w1, NULL);
}

/** The hour goes on where another worker takes over. */
TEST_CASE(a_video__that_is_none__is_given_up_after_an_hour_of_two)
{
    struct node *w1;
    struct plan plan = provider_usual_plan();
    plan.no_video = true;
    plan.url_life_ms = 0;
    struct world *world = scene_of_one(1, plan, "", &w1);
    world_run_for(world, 45 * MINUTE_MS);
    node_kill(w1);
    struct node *w2 = node_start(world, "w2", NULL);
    until_closed(world, 30 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a failed asset_unusable\n"), 1);
    node_free(w1);
    end_scene(world, w2, NULL);
}

TEST_CASE(a_result__without_a_url__is_waited_for)
{
    struct node *w1;
    struct plan plan = provider_usual_plan();
    plan.videos = 0;
    struct world *world = scene_of_one(1, plan, "", &w1);
    world_run_for(world, 23 * HOUR_MS);
    assert_int_equal(state_of(world, "a"), READY);
    until_closed(world, 2 * HOUR_MS);
    assert_int_equal(times_told(world, "event a failed asset_unusable\n"), 1);
    end_scene(world, w1, NULL);
}

TEST_CASE(full_storage__stops_submissions__and_loses_nothing)
{
    struct node *w1;
    struct world *world = scene_of_one(1, provider_usual_plan(), "", &w1);
    world->storage->full = true;
    world_run_for(world, 2 * MINUTE_MS);
    assert_int_equal(times_told(world, "hold storage"), 1);
    world_ask(world, "b");
    world_run_for(world, 2 * MINUTE_MS);
    assert_int_equal(provider_sold(world->provider, "b"), 0);
    world->storage->full = false;
    until_closed(world, 10 * MINUTE_MS);
    assert_int_equal(times_told(world, "lifted storage"), 1);
    assert_int_equal(times_told(world, "completed\n"), 2);
    end_scene(world, w1, NULL);
}

static void stored_already(bool early)
{
    struct node *w1;
    struct world *world = scene_of_one(1, provider_usual_plan(), "", &w1);
    world->storage->early = early;
    until_state(world, "a", RUNNING, MINUTE_MS);
    while (world->storage->len == 0) {
        assert_true(world_turn(world));
    }
    node_kill(w1); /* stored, and nobody knows */
    struct node *w2 = node_start(world, "w2", NULL);
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(world->storage->len, 1);
    assert_int_equal(times_told(world, "stored "), 1);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    node_free(w2);
    end_scene(world, w1, NULL);
}

/** The first of two is there, which shows when some of it has come. */
TEST_CASE(one_of_two_is_stored_already__the_other_has_its_own_hash)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct node *w1;
        struct plan plan = provider_usual_plan();
        plan.videos = 2;
        struct world *world = scene_of_one(seed, plan, "", &w1);
        world->storage->early = true;
        until_state(world, "a", RUNNING, MINUTE_MS);
        while (world->storage->len == 0) {
            assert_true(world_turn(world));
        }
        node_kill(w1);
        struct node *w2 = node_start(world, "w2", NULL);
        until_closed(world, 2 * MINUTE_MS);
        assert_int_equal(world->storage->len, 2);
        assert_int_equal(times_told(world, "event a completed\n"), 1);
        node_free(w2);
        end_scene(world, w1, NULL);
    }
}

TEST_CASE(what_is_stored_already__is_adopted__not_replaced)
{
    stored_already(false);
}

TEST_CASE(what_is_stored_already__and_is_said_at_once__is_adopted)
{
    stored_already(true);
}

TEST_CASE(a_broker__that_is_away__is_told_once_it_is_back)
{
    struct node *w1;
    struct world *world = scene_of_one(1, provider_usual_plan(), "", &w1);
    until_state(world, "a", RUNNING, MINUTE_MS);
    world->kafka->down = true;
    world_run_for(world, 10 * MINUTE_MS);
    assert_int_equal(state_of(world, "a"), SUCCEEDED);
    world->kafka->down = false;
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    end_scene(world, w1, NULL);
}

TEST_CASE(an_event__that_was_sent_twice__has_the_same_bytes)
{
    struct node *w1;
    struct world *world = scene_of_one(1, provider_usual_plan(), "", &w1);
    while (times_told(world, "event a") == 0) {
        assert_true(world_turn(world));
    }
    node_kill(w1); /* the broker has it, the store does not know */
    struct node *w2 = node_start(world, "w2", NULL);
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a completed\n"), 2);
    const struct record *last =
        &world->kafka->records[world->kafka->records_len - 1];
    for (size_t i = 0; i < world->kafka->records_len; i++) {
        const struct record *record = &world->kafka->records[i];
        if (strcmp(record->topic, "pixverse.events") == 0) {
            assert_string_equal(record->value, last->value);
            assert_string_equal(record->headers, last->headers);
        }
    }
    node_free(w2);
    end_scene(world, w1, NULL);
}

TESTS_RUN(NULL, NULL)
