#include "sim/scene.h"

#include "fake/store_call.h"

/* A task that the provider fails, unbilled, for want of room is submitted
 * again, if that is wished for: RESUBMIT_OVERLOADS. */

static struct node *begin(struct world **world, int attempts_max)
{
    struct stage_options options = node_options();
    options.attempts_max = attempts_max;
    *world = world_open(21);
    struct node *w1 = node_start(*world, "w1", &options);
    world_run_for(*world, 3000);
    return w1;
}

static void ask_overloaded(struct world *world, int overloads)
{
    struct plan plan = provider_usual_plan();
    plan.overloads = overloads;
    provider_plan(world, "a", plan);
    world_ask(world, "a");
}

TEST_CASE(no_room__and_another_attempt_is_wished_for__brings_the_video)
{
    struct world *world;
    struct node *w1 = begin(&world, 2);
    ask_overloaded(world, 2);
    until_closed(world, 10 * MINUTE_MS);
    const struct record_of *record = world->tables->records[0];
    assert_int_equal(times_told(world, "event a "), 1);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    assert_int_equal(provider_sold(world->provider, "a"), 1);
    assert_int_equal(provider_overloaded(world->provider, "a"), 2);
    assert_int_equal(record->row.attempt, 2);
    assert_int_equal(record->row.submission, 0);
    assert_int_equal(record->past_len, 2);
    for (int i = 0; i < 2; i++) {
        assert_true(record->past[i].untold);
        assert_int_equal(record->past[i].attempt, i);
        assert_string_equal(record->past[i].provider_task_id,
                            world->provider->sales[i]->id);
    }
    /* A key of its own each: else the provider would give the old id again. */
    assert_string_not_equal(world->provider->sales[0]->key,
                            world->provider->sales[1]->key);
    assert_string_not_equal(world->provider->sales[1]->key,
                            world->provider->sales[2]->key);
    end_scene(world, w1, NULL);
}

TEST_CASE(no_room__after_the_last_attempt__fails)
{
    for (int most = 0; most < 3; most++) {
        struct world *world;
        struct node *w1 = begin(&world, most);
        ask_overloaded(world, 9);
        until_closed(world, 10 * MINUTE_MS);
        assert_int_equal(times_told(world, "event a "), 1);
        assert_int_equal(times_told(world, "event a failed provider_failed"),
                         1);
        assert_int_equal(provider_overloaded(world->provider, "a"), 1 + most);
        end_scene(world, w1, NULL);
    }
}

/** Replays of one attempt are one purchase: its first send was lost, and so
 * nobody knows what else it may have brought. */
TEST_CASE(no_room__after_a_doubtful_send__is_not_tried_again)
{
    struct world *world;
    struct node *w1 = begin(&world, 2);
    provider_script(world, "a", "lost_reply");
    ask_overloaded(world, 1);
    until_closed(world, 10 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a failed provider_failed"), 1);
    assert_int_equal(provider_sold(world->provider, "a"), 0);
    end_scene(world, w1, NULL);
}

TEST_CASE(cancelled_between_two_attempts__is_not_sent_again)
{
    struct world *world;
    struct node *w1 = begin(&world, 2);
    ask_overloaded(world, 1);
    until_state(world, "a", RUNNING, MINUTE_MS);
    until_state(world, "a", QUEUED, MINUTE_MS);
    assert_true(tables_cancel(world, "a"));
    until_closed(world, 10 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a failed cancelled"), 1);
    assert_int_equal(world->provider->sales_len, 1);
    end_scene(world, w1, NULL);
}

/** The answer to the save is lost: whether it is one attempt or the next is
 * read from the tables. */
TEST_CASE(the_save_that_begins_again__its_answer_lost__is_one_attempt)
{
    struct world *world;
    struct node *w1 = begin(&world, 2);
    ask_overloaded(world, 1);
    until_state(world, "a", RUNNING, MINUTE_MS);
    tables_lose(world, UNIT_SAVE, QUEUED, true);
    until_closed(world, 10 * MINUTE_MS);
    assert_int_equal(world->tables->failed, 1);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    assert_int_equal(provider_overloaded(world->provider, "a"), 1);
    assert_int_equal(world->tables->records[0]->row.attempt, 1);
    assert_int_equal(world->tables->records[0]->past_len, 1);
    end_scene(world, w1, NULL);
}

/** Another worker takes the second attempt over in mid-flight. */
TEST_CASE(a_second_attempt__taken_over__is_replayed_under_its_key)
{
    struct world *world;
    struct node *w1 = begin(&world, 2);
    provider_script(world, "a", "ok lost_reply");
    ask_overloaded(world, 1);
    until_closed(world, 10 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    assert_int_equal(world->provider->sales_len, 2);
    assert_int_equal(world->provider->sales[1]->replays, 1);
    end_scene(world, w1, NULL);
}

TESTS_RUN(NULL, NULL)
