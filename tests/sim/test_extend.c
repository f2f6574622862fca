#include "sim/scene.h"

/* Requests that extend what is not finished, as far as its row tells. */

static bool is_finished(void *context)
{
    return times_told(context, "a running > ready (FINISHED)") > 0;
}

#define EXTEND                                                                 \
    "{\"request_id\":\"b\",\"request\":{\"prompt\":\"b\","                     \
    "\"extend_from_task_id\":\"task_1\"}}"

/** Its row says RUNNING as long as its transfer is quick. */
TEST_CASE(an_extend__of_what_is_fetched_right_now__is_taken)
{
    struct world *world = world_open(1);
    struct node *w1 = node_start(world, "w1", NULL);
    struct plan plan = provider_usual_plan();
    plan.slow_ms = 1500;
    provider_plan(world, "a", plan);
    world_ask(world, "a");
    assert_true(world_run_until(world, is_finished, world, MINUTE_MS));
    assert_int_equal(state_of(world, "a"), RUNNING);
    kafka_request(world, EXTEND);
    until_state(world, "b", QUEUED, 5000);
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(times_told(world, "event b completed\n"), 1);
    node_free(w1);
    close_world(world);
}

TEST_CASE(an_extend__of_what_runs__is_refused_after_5_s__and_holds_up_nobody)
{
    struct world *world = world_open(1);
    struct node *w1 = node_start(world, "w1", NULL);
    struct plan plan = provider_usual_plan();
    plan.run_ms = HOUR_MS;
    provider_plan(world, "a", plan);
    world_ask(world, "a");
    until_state(world, "a", RUNNING, MINUTE_MS);
    kafka_request(world, EXTEND);
    world_ask(world, "c");
    until_state(world, "c", RUNNING, 3000);
    assert_int_equal(times_told(world, "b > "), 0);
    world_run_for(world, 6000);
    assert_int_equal(times_told(world, "event b failed invalid_request\n"), 1);
    until_closed(world, 2 * HOUR_MS);
    node_free(w1);
    close_world(world);
}

/** Whichever batch it comes with: the first of two with one id is the request,
 * and is told what becomes of it. */
TEST_CASE(another_of_its_id__while_an_extend_waits__stays_behind_it)
{
    static const int64_t after_ms[] = {0, 20, 300, 700, 3000};
    for (size_t i = 0; i < sizeof after_ms / sizeof *after_ms; i++) {
        struct world *world = world_open(1);
        struct node *w1 = node_start(world, "w1", NULL);
        struct plan plan = provider_usual_plan();
        plan.run_ms = HOUR_MS;
        provider_plan(world, "a", plan);
        world_ask(world, "a");
        until_state(world, "a", RUNNING, MINUTE_MS);
        kafka_request_to(world, 0, EXTEND);
        world_run_for(world, after_ms[i]);
        kafka_request_to(world, 0,
                         "{\"request_id\":\"b\",\"request\":{\"prompt\":"
                         "\"another\"}}");
        world_run_for(world, 10000);
        assert_int_equal(times_told(world, "event b failed invalid_request\n"),
                         1);
        assert_int_equal(times_told(world, "rejected k request_id_reused"), 1);
        assert_int_equal(provider_sold(world->provider, "b"), 0);
        assert_int_equal(provider_sold(world->provider, "another"), 0);
        until_closed(world, 2 * HOUR_MS);
        node_free(w1);
        close_world(world);
    }
}

/** Two full batches are in a slow store as the extend is asked for again, and
 * the other is in line behind them. */
TEST_CASE(another_of_its_id__in_line_as_an_extend_comes_back__stays_behind_it)
{
    struct world *world = world_open(1);
    struct node *w1 = node_start(world, "w1", NULL);
    struct plan plan = provider_usual_plan();
    plan.run_ms = HOUR_MS;
    provider_plan(world, "a", plan);
    world_ask(world, "a");
    until_state(world, "a", RUNNING, MINUTE_MS);
    kafka_request_to(world, 0, EXTEND);
    world_run_for(world, 150);
    world->tables->slow_ms = 2000;
    for (int i = 0; i < 2 * BATCH_MAX + 10; i++) {
        char text[64];
        snprintf(text, sizeof text, "{\"request_id\":\"x%d\"}", i);
        kafka_request_to(world, 0, text);
    }
    kafka_request_to(world, 0,
                     "{\"request_id\":\"b\",\"request\":{\"prompt\":"
                     "\"another\"}}");
    world_run_for(world, 15000);
    world->tables->slow_ms = 0;
    until_closed(world, 2 * HOUR_MS);
    assert_int_equal(times_told(world, "event b failed invalid_request\n"), 1);
    assert_int_equal(times_told(world, "rejected k request_id_reused"), 1);
    assert_int_equal(provider_sold(world->provider, "another"), 0);
    node_free(w1);
    close_world(world);
}

/** Each of which is put aside, too, before the first is asked for again. */
TEST_CASE(an_extend__among_many_others__is_refused_after_5_s)
{
    struct world *world = world_open(1);
    struct node *w1 = node_start(world, "w1", NULL);
    struct plan plan = provider_usual_plan();
    plan.run_ms = HOUR_MS;
    provider_plan(world, "a", plan);
    world_ask(world, "a");
    until_state(world, "a", RUNNING, MINUTE_MS);
    kafka_request(world, EXTEND);
    for (int i = 0; i < 24; i++) {
        char text[200];
        snprintf(text, sizeof text,
                 "{\"request_id\":\"x%d\",\"request\":{\"prompt\":\"x\","
                 "\"extend_from_task_id\":\"task_1\"}}",
                 i);
        kafka_request(world, text);
        world_run_for(world, 300);
    }
    assert_int_equal(times_told(world, "event b failed invalid_request\n"), 1);
    assert_int_equal(times_told(world, "event x23 failed"), 0);
    until_closed(world, 2 * HOUR_MS);
    node_free(w1);
    close_world(world);
}

/** What waits for its source is given back to Kafka, not lost. */
TEST_CASE(an_extend__that_waits_as_its_worker_drains__comes_again)
{
    struct world *world = world_open(1);
    struct node *w1 = node_start(world, "w1", NULL);
    struct plan plan = provider_usual_plan();
    plan.run_ms = MINUTE_MS;
    provider_plan(world, "a", plan);
    world_ask(world, "a");
    until_state(world, "a", RUNNING, MINUTE_MS);
    kafka_request(world, EXTEND);
    world_run_for(world, 2000);
    node_drain(w1);
    assert_true(world_run_until(world, node_is_drained, w1, 3000));
    assert_int_equal(times_told(world, "b > "), 0);
    struct node *w2 = node_start(world, "w2", NULL);
    world_run_for(world, 20000);
    assert_int_equal(times_told(world, "event b failed invalid_request\n"), 1);
    until_closed(world, 5 * MINUTE_MS);
    node_free(w1);
    node_free(w2);
    close_world(world);
}

TESTS_RUN(NULL, NULL)
