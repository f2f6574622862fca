#include "sim/scene.h"

/* What an operator orders while workers go on. */

static struct world *one(const char *fates, struct node **w1)
{
    struct world *world = world_open(1);
    *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 1000);
    provider_script(world, "a", fates);
    world_ask(world, "a");
    return world;
}

/** The value of the one event that was told. */
static const char *the_event(struct world *world)
{
    assert_int_equal(times_told(world, "event a "), 1);
    for (size_t i = 0; i < world->kafka->records_len; i++) {
        if (strcmp(world->kafka->records[i].topic, "pixverse.events") == 0) {
            return world->kafka->records[i].value;
        }
    }
    return "";
}

TEST_CASE(a_cancel__in_the_queue__is_told_unpaid__holds_or_not)
{
    struct node *w1;
    struct world *world = one("", &w1);
    world->provider->balance_empty = true;
    world_run_for(world, MINUTE_MS);
    assert_int_equal(state_of(world, "a"), QUEUED);
    assert_true(tables_cancel(world, "a"));
    until_closed(world, 10000);
    assert_non_null(strstr(the_event(world), "\"kind\":\"cancelled\""));
    assert_non_null(strstr(the_event(world), "\"billed\":\"no\""));
    assert_non_null(strstr(the_event(world), "\"retry_safe\":true"));
    assert_int_equal(world->provider->sales_len, 0);
    end_scene(world, w1, NULL);
}

TEST_CASE(a_cancel__put_off_by_the_provider__needs_no_wait)
{
    struct node *w1;
    struct world *world = one("429 429 429 429 429", &w1);
    while (times_told(world, "(PUT_OFF)") < 3) {
        assert_true(world_turn(world));
    }
    assert_true(tables_cancel(world, "a"));
    until_closed(world, 10000);
    assert_non_null(strstr(the_event(world), "\"billed\":\"no\""));
    assert_int_equal(world->provider->sales_len, 0);
    end_scene(world, w1, NULL);
}

TEST_CASE(a_cancel__while_it_runs__leaves_payment_unknown)
{
    struct node *w1;
    struct world *world = one("", &w1);
    until_state(world, "a", RUNNING, MINUTE_MS);
    assert_true(tables_cancel(world, "a"));
    until_closed(world, 10000);
    assert_non_null(strstr(the_event(world), "\"kind\":\"cancelled\""));
    assert_non_null(strstr(the_event(world), "\"billed\":\"unknown\""));
    assert_non_null(
        strstr(the_event(world), "\"provider_task_id\":\"task_1\""));
    world_run_for(world, HOUR_MS);
    assert_int_equal(times_told(world, "event"), 1);
    end_scene(world, w1, NULL);
}

TEST_CASE(a_cancel__in_mid_submission__is_for_after_it)
{
    struct node *w1;
    struct world *world = one("", &w1);
    until_state(world, "a", SUBMITTING, MINUTE_MS);
    assert_true(tables_cancel(world, "a"));
    until_closed(world, 20000);
    assert_non_null(strstr(the_event(world), "\"kind\":\"cancelled\""));
    assert_int_equal(world->provider->posts, 1);
    end_scene(world, w1, NULL);
}

TEST_CASE(a_cancel__in_doubt__resolves_it_first__and_buys_nothing)
{
    struct node *w1;
    struct world *world = one("slow", &w1);
    until_state(world, "a", SUBMITTING, MINUTE_MS);
    world_run_for(world, 500); /* sent */
    assert_true(tables_cancel(world, "a"));
    world_run_for(world, 40000);
    assert_int_equal(state_of(world, "a"), SUBMITTING);
    until_closed(world, 20000);
    assert_int_equal(world->provider->posts, 1);
    assert_non_null(strstr(the_event(world), "\"kind\":\"cancelled\""));
    assert_non_null(strstr(the_event(world), "\"billed\":\"unknown\""));
    assert_non_null(strstr(the_event(world), "\"retry_safe\":false"));
    end_scene(world, w1, NULL);
}

TEST_CASE(a_cancel__its_owner_dies__is_obeyed_by_the_next)
{
    struct node *w1;
    struct world *world = one("slow", &w1);
    until_state(world, "a", SUBMITTING, MINUTE_MS);
    world_run_for(world, 500); /* sent */
    node_kill(w1);
    assert_true(tables_cancel(world, "a"));
    struct node *w2 = node_start(world, "w2", NULL);
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(world->provider->posts, 1);
    assert_non_null(strstr(the_event(world), "\"kind\":\"cancelled\""));
    node_free(w2);
    end_scene(world, w1, NULL);
}

TEST_CASE(a_cancel__in_doubt__and_its_id_comes__is_told_with_it)
{
    struct node *w1;
    struct world *world = one("slow", &w1);
    until_state(world, "a", SUBMITTING, MINUTE_MS);
    world_run_for(world, 2000);
    assert_true(tables_cancel(world, "a"));
    assert_true(tables_attach(world, "a", "task_1"));
    until_closed(world, 2 * MINUTE_MS);
    assert_non_null(strstr(the_event(world), "\"kind\":\"cancelled\""));
    assert_non_null(
        strstr(the_event(world), "\"provider_task_id\":\"task_1\""));
    end_scene(world, w1, NULL);
}

TEST_CASE(a_cancel__of_what_is_ready__comes_too_late)
{
    struct node *w1;
    struct world *world = one("", &w1);
    until_state(world, "a", RUNNING, MINUTE_MS);
    world->storage->full = true;
    until_state(world, "a", READY, MINUTE_MS);
    assert_false(tables_cancel(world, "a"));
    /* Ordered right before it became ready. */
    world->tables->records[0]->cancel = true;
    world_run_for(world, MINUTE_MS);
    assert_int_equal(state_of(world, "a"), READY);
    world->storage->full = false;
    until_closed(world, 10 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    end_scene(world, w1, NULL);
}

TEST_CASE(a_cancel__of_a_late_one__ends_the_waiting__tells_nothing)
{
    struct node *w1;
    struct world *world = one("", &w1);
    struct plan plan = provider_usual_plan();
    plan.run_ms = 20 * HOUR_MS;
    provider_plan(world, "a", plan);
    until_state(world, "a", LATE, 10 * HOUR_MS);
    assert_true(tables_cancel(world, "a"));
    until_closed(world, 10000);
    assert_non_null(strstr(the_event(world), "\"kind\":\"timed_out\""));
    end_scene(world, w1, NULL);
}

TEST_CASE(an_id__attached_after_submit_unknown__brings_the_video)
{
    struct world *world = world_open(1);
    struct stage_options options = node_options();
    options.submit_doubt = DOUBT_SETTLE;
    struct node *w1 = node_start(world, "w1", &options);
    provider_script(world, "a", "lost_reply");
    world_ask(world, "a");
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a failed submit_unknown"), 1);
    assert_false(tables_attach(world, "b", "task_1"));
    assert_true(tables_attach(world, "a", "task_1"));
    until_closed(world, 3 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a completed late\n"), 1);
    assert_false(tables_attach(world, "a", "task_2"));
    assert_int_equal(world->provider->posts, 1);
    end_scene(world, w1, NULL);
}

TEST_CASE(an_id__attached_to_what_was_put_off__runs_till_its_deadline)
{
    struct node *w1;
    struct world *world = one("429 429 429 429 429 429 429 429 429 429 "
                              "429 429 429 429 429 429 429 429 429 429",
                              &w1);
    while (times_told(world, "(PUT_OFF)") < 3) {
        assert_true(world_turn(world));
    }
    until_state(world, "a", QUEUED, MINUTE_MS);
    world_ask(world, "b"); /* its id is as good as any */
    struct plan plan = provider_usual_plan();
    plan.run_ms = 20 * MINUTE_MS;
    provider_plan(world, "b", plan);
    until_state(world, "b", RUNNING, 10 * MINUTE_MS); /* a is older */
    until_state(world, "a", QUEUED, MINUTE_MS);
    const char *id = tables_find(world->tables, "b")->row.provider_task_id;
    int64_t posts = world->provider->posts;
    assert_true(tables_attach(world, "a", id));
    until_state(world, "a", RUNNING, 15000);
    const struct task_row *row = &tables_find(world->tables, "a")->row;
    assert_true(row->deadline_ms >= world_clock_ms(world) + HOUR_MS);
    until_closed(world, 30 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    assert_int_equal(times_told(world, "timed_out"), 0);
    assert_int_equal(world->provider->posts, posts);
    end_scene(world, w1, NULL);
}

TEST_CASE(a_mass__whose_deadline_is_over__is_told_at_once)
{
    enum { LEN = 980 };
    struct node *w1;
    struct world *world = one("", &w1);
    until_closed(world, 2 * MINUTE_MS);
    world->provider->balance_empty = true; /* the rest waits */
    for (int i = 0; i < LEN; i++) {
        char id[16];
        snprintf(id, sizeof id, "m-%04d", i);
        world_ask_with(world, id, ",\"deadline_seconds\":120");
    }
    world_run_for(world, 115000);
    assert_int_equal(times_told(world, "timed_out"), 0);
    while (times_told(world, "failed timed_out") == 0) {
        assert_true(world_turn(world));
    }
    until_closed(world, 1000); /* 400 a beat would take 2 s */
    assert_int_equal(times_told(world, "failed timed_out"), LEN);
    end_scene(world, w1, NULL);
}

TEST_CASE(a_retry__is_a_submission_of_its_own)
{
    struct node *w1;
    struct world *world = one("403", &w1);
    assert_false(tables_retry(world, "a")); /* not ended yet */
    until_closed(world, MINUTE_MS);
    assert_int_equal(times_told(world, "event a failed submit_refused"), 1);
    assert_true(tables_retry(world, "a"));
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    assert_int_equal(times_told(world, "stored default/a/1/0.mp4\n"), 1);
    const char *const first = world->provider->sales[0]->key;
    assert_int_equal(strlen(first), IDEMPOTENCY_KEY_BYTES - 1);

    assert_true(tables_retry(world, "a"));
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a completed\n"), 2);
    assert_int_equal(times_told(world, "stored default/a/2/0.mp4\n"), 1);
    assert_int_equal(world->provider->sales_len, 2);
    assert_string_not_equal(world->provider->sales[1]->key, first);
    assert_string_not_equal(world->kafka->records[1].headers,
                            world->kafka->records[2].headers);
    end_scene(world, w1, NULL);
}

TESTS_RUN(NULL, NULL)
