#include "sim/scene.h"

/* A provider that says that it honours keys, and one whose keys live
 * shortly. */

/** One worker sends and stands still; another one replays under its key. */
static struct world *sold_twice(struct node *nodes[2], enum unit lost)
{
    struct world *world = world_open(7);
    world->provider->honours_keys = false;
    nodes[0] = node_start(world, "w1", NULL);
    world_run_for(world, 3000);
    world_ask(world, "a");
    until_state(world, "a", SUBMITTING, MINUTE_MS);
    nodes[1] = node_start(world, "w2", NULL);
    while (world->provider->sales_len == 0) {
        assert_true(world_turn(world));
    }
    node_freeze(nodes[0], 30000); /* the reply is in its socket */
    world_run_for(world, 25000);
    assert_int_equal(provider_sold(world->provider, "a"), 2);
    assert_int_equal(world->tables->keys_answer, KEYS_HONOURED);
    tables_lose(world, lost, TASK_STATES_LEN, false);
    return world;
}

/** A doubt from here on: settled, without another POST. */
static void is_settled(struct world *world, const char *id)
{
    int64_t posts = world->provider->posts;
    provider_script(world, id, "lost_reply");
    world_ask(world, id);
    until_state(world, id, CLOSED, 5 * MINUTE_MS);
    assert_int_equal(world->provider->posts, posts + 1);
    assert_int_equal(world->tables->keys_answer, KEYS_BROKEN);
}

TEST_CASE(a_key__that_buys_twice__is_found_out_and_remembered)
{
    static const enum unit losses[] = {UNIT_NONE, UNIT_KEYS, UNIT_LEARN};
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        struct node *nodes[2];
        struct world *world = sold_twice(nodes, losses[i]);
        until_closed(world, 2 * MINUTE_MS);
        world_run_for(world, 30000); /* it has read the reply */
        assert_int_equal(times_told(world, "event a completed\n"), 1);
        assert_int_equal(world->tables->keys_answer, KEYS_BROKEN);
        is_settled(world, "b");
        node_free(nodes[0]);
        node_free(nodes[1]);
        struct node *w3 = node_start(world, "w3", NULL);
        world_run_for(world, 30000);
        is_settled(world, "c");
        assert_int_equal(times_told(world, "failed submit_unknown"), 2);
        node_free(w3);
        close_world(world);
    }
}

TEST_CASE(a_doubt__is_replayed__within_the_lifetime_that_was_told)
{
    static const int modes[] = {DOUBT_REPLAY, DOUBT_AUTO};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        struct world *world = world_open(1);
        struct stage_options options = node_options();
        options.submit_doubt = modes[i];
        world->provider->retention_s = 240;
        struct node *w1 = node_start(world, "w1", &options);
        provider_script(world, "a",
                        "lost_reply 429 400 429 400 429 400 429 400 429 400 "
                        "429 400 429 400 429 400 429 400 429 400 429 400 429");
        world_run_for(world, 1000);
        world_ask(world, "a");
        world_run_for(world, 199000);
        assert_int_equal(state_of(world, "a"), SUBMITTING);
        assert_true(world->provider->posts > 3);
        world_run_for(world, 5000);
        int64_t posts = world->provider->posts;
        until_closed(world, MINUTE_MS);
        assert_int_equal(world->provider->posts, posts);
        assert_int_equal(times_told(world, "event a failed submit_unknown"), 1);
        node_free(w1);
        close_world(world);
    }
}

/** One worker whose first POST's reply is lost; keys live for four minutes. */
static struct world *in_doubt(struct node **w1)
{
    struct world *world = world_open(1);
    *w1 = node_start(world, "w1", NULL);
    world->provider->retention_s = 240;
    provider_script(world, "a", "lost_reply");
    world_run_for(world, 1000);
    world_ask(world, "a");
    while (world->provider->posts == 0) {
        assert_true(world_turn(world));
    }
    return world;
}

TEST_CASE(a_doubt__behind_a_hold__settles_in_its_time)
{
    struct node *w1;
    struct world *world = in_doubt(&w1);
    world->provider->balance_empty = true;
    world_run_for(world, 195000);
    assert_int_equal(times_told(world, "hold balance"), 1);
    assert_int_equal(state_of(world, "a"), SUBMITTING);
    world_run_for(world, 10000);
    assert_int_equal(state_of(world, "a"), CLOSED);
    world->provider->balance_empty = false;
    world_run_for(world, 10 * MINUTE_MS);
    assert_int_equal(world->provider->posts, 2); /* the hold's own */
    assert_int_equal(times_told(world, "event a failed submit_unknown"), 1);
    node_free(w1);
    close_world(world);
}

TEST_CASE(a_doubt__behind_a_hold__runs_once_its_id_is_learnt)
{
    struct world *world = world_open(5);
    struct node *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 3000);
    world_ask(world, "a");
    until_state(world, "a", SUBMITTING, MINUTE_MS);
    struct node *w2 = node_start(world, "w2", NULL);
    while (world->provider->sales_len == 0) {
        assert_true(world_turn(world));
    }
    node_freeze(w1, 30000); /* the reply is in its socket */
    world->provider->balance_empty = true;
    world_run_for(world, 29000);
    assert_int_equal(state_of(world, "a"), SUBMITTING);
    world_run_for(world, 12000);
    assert_true(state_of(world, "a") != SUBMITTING);
    until_closed(world, MINUTE_MS);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    node_free(w1);
    node_free(w2);
    close_world(world);
}

TEST_CASE(a_replay__whose_intent_is_stored_late__does_not_leave)
{
    struct node *w1;
    struct world *world = in_doubt(&w1);
    world_run_for(world, 100); /* its reply is lost: a replay is due */
    tables_away(world, 10 * MINUTE_MS);
    until_closed(world, 11 * MINUTE_MS);
    assert_int_equal(world->provider->posts, 1);
    assert_int_equal(times_told(world, "event a failed submit_unknown"), 1);
    node_free(w1);
    close_world(world);
}

/** The database was set back an hour ago; what is asked for now was on the
 * topic before, since `age_ms`. */
static struct world *set_back(struct node **w1, enum keys_told told,
                              int64_t age_ms)
{
    struct world *world = world_open(3);
    world->provider->told = told;
    *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 3000);
    world->tables->rewound_ms = world_clock_ms(world) - HOUR_MS;
    world->kafka->produced_ms = world_clock_ms(world) - age_ms;
    return world;
}

TEST_CASE(set_back__within_the_keys_life__is_sent_in_doubt)
{
    struct node *w1;
    struct world *world = set_back(&w1, KEYS_TOLD_YES, 2 * HOUR_MS);
    (void)state;
    world_ask(world, "a");
    until_closed(world, 5 * MINUTE_MS);
    assert_int_equal(world->provider->sales_len, 1);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    /* A refusal speaks for its send only: it may be bought since then. */
    provider_script(world, "b", "400");
    world_ask(world, "b");
    until_state(world, "b", CLOSED, HOUR_MS); /* the replay is taken */
    assert_int_equal(times_told(world, "event b completed\n"), 1);
    assert_int_equal(times_told(world, "event b failed"), 0);
    node_free(w1);
    close_world(world);
}

TEST_CASE(set_back__beyond_the_keys_life__waits_unsent)
{
    static const struct {
        enum keys_told told;
        int64_t age_ms;
    } cases[] = {
        {KEYS_TOLD_YES, 20 * HOUR_MS}, /* five sixths of a day */
        {KEYS_TOLD_NO, 2 * HOUR_MS},
        {KEYS_TOLD_NOTHING, 2 * HOUR_MS},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct node *w1;
        struct world *world = set_back(&w1, cases[i].told, cases[i].age_ms);
        world_ask_with(world, "a", ",\"deadline_seconds\":7200");
        world_run_for(world, HOUR_MS);
        assert_int_equal(state_of(world, "a"), QUEUED);
        assert_int_equal(world->provider->posts, 0);
        world->kafka->produced_ms = world_clock_ms(world); /* another goes by */
        world_ask(world, "b");
        until_state(world, "b", CLOSED, 5 * MINUTE_MS);
        until_closed(world, 2 * HOUR_MS);
        assert_int_equal(times_told(world, "event a failed timed_out"), 1);
        const struct record_of *a = tables_find(world->tables, "a");
        assert_non_null(strstr(a->row.event, "\"billed\":\"unknown\""));
        assert_int_equal(world->provider->sales_len, 1);
        node_free(w1);
        close_world(world);
    }
}

TESTS_RUN(NULL, NULL)
