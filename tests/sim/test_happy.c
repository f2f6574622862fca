#include "sim/scene.h"

/* Nothing goes wrong. */

TEST_CASE(one_request__in_a_quiet_world__is_made_stored_and_told)
{
    struct world *world = world_open(1);
    struct node *w1 = node_start(world, "w1", NULL);
    world_ask(world, "a");
    until_closed(world, MINUTE_MS);
    told(world, "w1: a > queued\n"
                "w1: a queued > submitting (CLAIMED)\n"
                "provider takes a as task_1\n"
                "w1: a submitting > running (ACCEPTED)\n"
                "w1: a running > ready (FINISHED)\n"
                "stored default/a/0.mp4\n"
                "w1: a ready > succeeded (STORED)\n"
                "event a completed\n"
                "w1: a succeeded > closed (ANNOUNCED)\n");
    node_free(w1);
    close_world(world);
}

/** Once, when all is over; whoever worked on it before. */
TEST_CASE(a_closed_request__with_a_collector__is_traced_once)
{
    struct world *world = world_open(1);
    world->traced = true;
    struct node *w1 = node_start(world, "w1", NULL);
    world_ask(world, "a");
    until_closed(world, MINUTE_MS);
    assert_int_equal(times_told(world, "a: 6 spans\n"), 1);
    assert_int_equal(times_told(world, " spans\n"), 1);
    node_free(w1);
    close_world(world);
}

static void ask(struct world *world, const char *id, const char *fields)
{
    char text[800];
    snprintf(text, sizeof text,
             "{\"request_id\":\"%s\",\"request\":{\"prompt\":\"%s\"%s}}", id,
             id, fields);
    kafka_request(world, text);
}

TEST_CASE(five_requests__one_of_each_mode__are_made)
{
    struct world *world = world_open(2);
    struct node *w1 = node_start(world, "w1", NULL);
    ask(world, "text", "");
    ask(world, "image", ",\"image_urls\":[\"https://example.com/a.jpg\"]");
    ask(world, "transition",
        ",\"first_frame_image\":\"https://example.com/a.jpg\","
        "\"last_frame_image\":\"https://example.com/b.jpg\",\"duration\":5");
    ask(world, "fusion", ",\"img_references\":[\"https://example.com/a.jpg\"]");
    ask(world, "extend", ",\"extend_from_task_id\":\"task_of_others\"");
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(times_told(world, " completed\n"), 5);
    assert_int_equal(world->provider->sales_len, 5);
    assert_int_equal(world->storage->len, 5);
    assert_int_equal(world->storage->expected, 5);
    node_free(w1);
    close_world(world);
}

TEST_CASE(a_result__with_three_videos__is_told_whole)
{
    struct world *world = world_open(3);
    struct node *w1 = node_start(world, "w1", NULL);
    struct plan plan = provider_usual_plan();
    plan.videos = 3;
    provider_plan(world, "a", plan);
    world_ask(world, "a");
    until_closed(world, MINUTE_MS);
    told(world, "w1: a > queued\n"
                "w1: a queued > submitting (CLAIMED)\n"
                "provider takes a as task_1\n"
                "w1: a submitting > running (ACCEPTED)\n"
                "w1: a running > ready (FINISHED)\n"
                "stored default/a/0.mp4\n"
                "stored default/a/1.mp4\n"
                "stored default/a/2.mp4\n"
                "w1: a ready > succeeded (STORED)\n"
                "event a completed\n"
                "w1: a succeeded > closed (ANNOUNCED)\n");
    node_free(w1);
    close_world(world);
}

TEST_CASE(two_hundred__on_three_workers__are_shared)
{
    struct world *world = world_open(4);
    struct node *w1 = node_start(world, "w1", NULL);
    struct node *w2 = node_start(world, "w2", NULL);
    struct node *w3 = node_start(world, "w3", NULL);
    for (int i = 0; i < 200; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%d", i);
        world_ask(world, id);
    }
    until_closed(world, 5 * MINUTE_MS);
    assert_int_equal(times_told(world, "completed\n"), 200);
    assert_int_equal(world->provider->sales_len, 200);
    assert_true(times_told(world, "w1: r") > 100);
    assert_true(times_told(world, "w2: r") > 100);
    assert_true(times_told(world, "w3: r") > 100);
    node_free(w1);
    node_free(w2);
    node_free(w3);
    close_world(world);
}

/** However long an answer takes: 2 % of 5 s, a way of at most 30 ms aside. */
TEST_CASE(polls__of_each_task__come_an_interval_apart)
{
    struct world *world = world_open(5);
    struct node *w1 = node_start(world, "w1", NULL);
    struct plan plan = provider_usual_plan();
    plan.run_ms = 2 * MINUTE_MS;
    for (int i = 0; i < 50; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%d", i);
        provider_plan(world, id, plan);
        world_ask(world, id);
    }
    until_closed(world, 5 * MINUTE_MS);
    int in_half[2] = {0, 0};
    for (size_t i = 0; i < world->provider->sales_len; i++) {
        const struct sale *sale = world->provider->sales[i];
        assert_in_range(sale->polls, 20, 26);
        assert_in_range(sale->gap_min_ms, 4900 - 30, 5000);
        assert_in_range(sale->gap_max_ms, 5000, 5100 + 30);
        in_half[sale->polled_ms % 5000 / 2500]++;
    }
    assert_in_range(in_half[0], 10, 40);
    node_free(w1);
    close_world(world);
}

TESTS_RUN(NULL, NULL)
