#include "sim/accounts.h"

#include <math.h>

/*
 * Several accounts at the provider: who buys what, and what one of them meets
 * that is not the others' business. Keys are "a", "b.1" and the like: the
 * account's name stands before the dot.
 */

static size_t bought(const struct world *world, const char *account)
{
    return provider_bought(world->provider, account, false);
}

static const struct hold_of *hold_of(const struct world *world)
{
    return world->tables->holds_len ? &world->tables->holds[0] : NULL;
}

TEST_CASE(new_requests__go_to_all_accounts__by_weight)
{
    struct node *w1;
    struct world *world = begin(&w1, THREE);
    world_run_for(world, 2000);
    ask_many(world, 0, 200);
    until_closed(world, HOUR_MS);
    assert_int_equal(times_told(world, "completed\n"), 200);
    assert_in_range(bought(world, "a"), 40, 60);
    assert_in_range(bought(world, "b"), 40, 60);
    assert_in_range(bought(world, "c"), 80, 120);
    /* The event says who bought it. */
    const struct kafka *kafka = world->kafka;
    size_t named = 0;
    for (size_t i = 0; i < kafka->records_len; i++) {
        named += strstr(kafka->records[i].value, "\"account\":\"c\"") != NULL;
    }
    assert_int_equal(named, bought(world, "c"));
    end(world, w1);
}

TEST_CASE(an_empty_balance__of_one_account__moves_new_work_to_the_others)
{
    struct node *w1;
    struct world *world = begin(&w1, THREE);
    snprintf(world->provider->broke, sizeof world->provider->broke, "b");
    world_run_for(world, 2000);
    ask_many(world, 0, 60);
    until_closed(world, HOUR_MS);
    assert_int_equal(times_told(world, "completed\n"), 60);
    assert_int_equal(bought(world, "b"), 0);
    assert_int_equal(times_told(world, "hold balance"), 1);
    assert_non_null(hold_of(world));
    assert_int_equal(strncmp(hold_of(world)->scope, "b:", 2), 0);
    /* Filled, it takes its part again. */
    world->provider->broke[0] = '\0';
    world_run_for(world, 2 * MINUTE_MS);
    assert_null(hold_of(world));
    ask_many(world, 60, 120);
    world_run_for(world, 5 * MINUTE_MS);
    until_closed(world, HOUR_MS);
    assert_true(bought(world, "b") > 0);
    end(world, w1);
}

/** Once a minute, by one worker for all; beside what its own tasks cost. */
TEST_CASE(balances__are_asked_for_by_one_worker__and_told)
{
    struct node *w1;
    struct world *world = begin(&w1, THREE);
    world_run_for(world, 2000);
    const struct stage_options options = with(THREE);
    struct node *w2 = node_start(world, "w2", &options);
    ask_many(world, 0, 30);
    world_run_for(world, 10 * MINUTE_MS);
    until_closed(world, HOUR_MS);
    world_run_for(world, MINUTE_MS);
    assert_in_range(world->provider->balances, 3 * 10, 3 * 14);
    for (size_t i = 0; i < 3; i++) {
        const struct balances *of[] = {&w1->worker.fleet.balances,
                                       &w2->worker.fleet.balances};
        assert_int_equal(of[0]->mine + of[1]->mine, 1);
        const size_t mine = of[1]->mine;
        assert_true(metric_value(of[mine]->used[i]) == 2.5);
        assert_true(metric_value(of[mine]->remain[i]) == 10);
        assert_true(isnan(metric_value(of[!mine]->used[i])));
        assert_true(isnan(metric_value(of[!mine]->remain[i])));
    }
    double by_account = 0;
    double all = 0;
    struct node *const nodes[] = {w1, w2};
    for (size_t n = 0; n < 2; n++) {
        const struct engine *engine = &nodes[n]->worker.engine;
        all += metric_value(engine->tally.cost);
        for (size_t i = 0; i < 3; i++) {
            by_account += metric_value(engine->accounts.at[i].cost);
        }
    }
    assert_true(all > 0 && fabs(all - by_account) < 1e-9);
    node_free(w2);
    end(world, w1);
}

/** Replays are submissions, too. */
TEST_CASE(a_hold_of_one_account__stops_its_replays__until_it_is_lifted)
{
    struct node *w1;
    struct world *world = begin(&w1, "[{\"name\":\"a\",\"key\":\"a\"}]");
    world_run_for(world, 2000);
    snprintf(world->provider->broke, sizeof world->provider->broke, "a");
    provider_script(world, "doubt", "lost_request lost_request");
    world_ask(world, "doubt");
    world_ask(world, "r0");
    world_run_for(world, 10000);
    assert_int_equal(world->tables->holds_len, 1);
    const int64_t posts = world->provider->posts;
    world_run_for(world, 5 * MINUTE_MS);
    assert_int_equal(world->provider->posts, posts);
    assert_int_equal(state_of(world, "doubt"), SUBMITTING);
    world->provider->broke[0] = '\0';
    until_closed(world, HOUR_MS);
    assert_int_equal(times_told(world, "completed\n"), 2);
    end(world, w1);
}

TEST_CASE(all_balances_empty__waits_until_one_is_filled)
{
    struct node *w1;
    struct world *world = begin(&w1, THREE);
    world->provider->balance_empty = true;
    world_run_for(world, 2000);
    ask_many(world, 0, 5);
    world_run_for(world, 10 * MINUTE_MS);
    assert_int_equal(world->tables->holds_len, 3);
    assert_int_equal(times_told(world, "event"), 0);
    world->provider->balance_empty = false;
    snprintf(world->provider->broke, sizeof world->provider->broke, "a");
    until_closed(world, HOUR_MS);
    assert_int_equal(bought(world, "a"), 0);
    assert_int_equal(times_told(world, "completed\n"), 5);
    end(world, w1);
}

static struct {
    size_t most[2];
    struct world *world;
    loop_fn *then;
    void *context;
} peak;

static void look_at_peak(void *context)
{
    static const char *const names[] = {"a", "b"};
    (void)context;
    for (size_t i = 0; i < 2; i++) {
        const size_t now =
            provider_bought(peak.world->provider, names[i], true);
        peak.most[i] = now > peak.most[i] ? now : peak.most[i];
    }
    if (peak.then) {
        peak.then(peak.context);
    }
}

TEST_CASE(slots__of_an_account__are_never_exceeded_in_the_fleet)
{
    struct node *w1;
    static const char two[] = "[{\"name\":\"a\",\"key\":\"a\",\"slots\":3},"
                              "{\"name\":\"b\",\"key\":\"b\",\"slots\":5}]";
    struct world *world = begin(&w1, two);
    const struct stage_options options = with(two);
    struct node *w2 = node_start(world, "w2", &options);
    peak.world = world;
    peak.then = world->on_turn;
    peak.context = world->turn_context;
    world->on_turn = look_at_peak;
    world_run_for(world, 2000);
    ask_many(world, 0, 60);
    until_closed(world, 4 * HOUR_MS);
    assert_int_equal(peak.most[0], 3);
    assert_int_equal(peak.most[1], 5);
    assert_int_equal(times_told(world, "completed\n"), 60);
    node_free(w2);
    end(world, w1);
}

/** By counts of what waits it would take seconds. */
TEST_CASE(slots__that_others_have__are_asked_for_again_soon)
{
    struct node *w1;
    struct world *world =
        begin(&w1, "[{\"name\":\"a\",\"key\":\"a\",\"slots\":1}]");
    world_run_for(world, 3000);
    world->tables->counting_busy = 8;
    world_ask(world, "first");
    until_state(world, "first", SUBMITTING, 1000);
    world_ask(world, "then");
    until_state(world, "first", RUNNING, HOUR_MS);
    world_run_for(world, 3000);
    assert_int_equal(state_of(world, "then"), QUEUED);
    until_state(world, "first", CLOSED, HOUR_MS);
    until_state(world, "then", RUNNING, 3000);
    until_closed(world, HOUR_MS);
    end(world, w1);
}

/** What was sent under a key that is old by now. */
TEST_CASE(an_old_key__is_replayed_and_polled_under__and_buys_nothing)
{
    struct node *w1;
    struct world *world = begin(&w1, "[{\"name\":\"a\",\"key\":\"a.1\"}]");
    const struct stage_options later =
        with("[{\"name\":\"a\",\"key\":\"a.2\",\"old_keys\":[\"a.1\"]}]");
    world_run_for(world, 2000);
    provider_script(world, "doubt", "lost_reply");
    world_ask(world, "doubt");
    until_state(world, "doubt", SUBMITTING, MINUTE_MS);
    world_run_for(world, 500);
    node_kill(w1);
    struct node *w2 = node_start(world, "w2", &later);
    world_ask(world, "new");
    until_closed(world, HOUR_MS);
    assert_int_equal(times_told(world, "completed\n"), 2);
    assert_int_equal(provider_sold(world->provider, "doubt"), 1);
    const struct provider *provider = world->provider;
    assert_int_equal(provider->sales_len, 2);
    assert_string_equal(provider->sales[0]->bearer, "a.1");
    assert_int_equal(provider->sales[0]->replays, 1);
    assert_string_equal(provider->sales[1]->bearer, "a.2");
    node_free(w2);
    end(world, w1);
}

TEST_CASE(a_doubt__of_one_account__is_never_replayed_to_another)
{
    struct node *w1;
    struct world *world = begin(&w1, "[{\"name\":\"a\",\"key\":\"a\"}]");
    const struct stage_options others =
        with("[{\"name\":\"b\",\"key\":\"b\"},{\"name\":\"c\",\"key\":\"c\"}]");
    world_run_for(world, 2000);
    provider_script(world, "doubt", "lost_reply");
    world_ask(world, "doubt");
    until_state(world, "doubt", SUBMITTING, MINUTE_MS);
    world_run_for(world, 500);
    node_kill(w1);
    struct node *w2 = node_start(world, "w2", &others);
    world_run_for(world, 2 * HOUR_MS);
    assert_int_equal(world->provider->posts, 1);
    assert_int_equal(state_of(world, "doubt"), SUBMITTING);
    /* It goes on where the account comes back. */
    const struct stage_options all =
        with("[{\"name\":\"b\",\"key\":\"b\"},{\"name\":\"a\",\"key\":\"a\"}]");
    node_drain(w2);
    world_run_for(world, MINUTE_MS);
    struct node *w3 = node_start(world, "w3", &all);
    until_closed(world, HOUR_MS);
    assert_int_equal(provider_sold(world->provider, "doubt"), 1);
    assert_int_equal(times_told(world, "completed\n"), 1);
    node_free(w3);
    node_free(w2);
    end(world, w1);
}

/** Another's id may mean another task there. */
TEST_CASE(a_task__of_an_account_that_is_gone__is_held_not_polled)
{
    struct node *w1;
    struct world *world = begin(&w1, "[{\"name\":\"a\",\"key\":\"a\"}]");
    const struct stage_options other = with("[{\"name\":\"b\",\"key\":\"b\"}]");
    world_run_for(world, 2000);
    world_ask(world, "r0");
    until_state(world, "r0", RUNNING, MINUTE_MS);
    node_kill(w1);
    const int polls = world->provider->sales[0]->polls;
    struct node *w2 = node_start(world, "w2", &other);
    world_run_for(world, HOUR_MS);
    assert_int_equal(world->provider->sales[0]->polls, polls);
    assert_int_equal(state_of(world, "r0"), RUNNING);
    node_free(w2);
    end(world, w1);
}

TEST_CASE(another_url__for_a_name_that_is_known__gets_nothing)
{
    struct node *w1;
    struct world *world = begin(&w1, "[{\"name\":\"a\",\"key\":\"a\"}]");
    const struct stage_options moved =
        with("[{\"name\":\"a\",\"key\":\"a\",\"base_url\":"
             "\"https://elsewhere.example\"},{\"name\":\"b\",\"key\":\"b\"}]");
    world_run_for(world, 2000);
    ask_many(world, 0, 4);
    until_closed(world, HOUR_MS);
    assert_int_equal(bought(world, "a"), 4);
    node_kill(w1);
    struct node *w2 = node_start(world, "w2", &moved);
    world_run_for(world, MINUTE_MS);
    ask_many(world, 4, 24);
    world_run_for(world, 5 * MINUTE_MS);
    until_closed(world, HOUR_MS);
    assert_int_equal(bought(world, "a"), 4);
    assert_int_equal(bought(world, "b"), 20);
    assert_true(w2->worker.fleet.holds.misfits[0].there);
    assert_string_equal(w2->worker.fleet.holds.misfits[0].url,
                        "https://provider.example");
    assert_false(w2->worker.fleet.holds.misfits[1].there);
    node_free(w2);
    end(world, w1);
}

/** A 429 of one slows nobody else down. */
TEST_CASE(a_throttled_account__leaves_the_pace_of_the_others)
{
    struct node *w1;
    struct world *world = begin(
        &w1, "[{\"name\":\"a\",\"key\":\"a\"},{\"name\":\"b\",\"key\":\"b\"}]");
    world_run_for(world, 2000);
    provider_script(world, "r0", "429");
    world_ask(world, "r0");
    world_run_for(world, 300);
    const struct account_list *accounts = &w1->worker.engine.accounts;
    assert_int_equal(accounts->at[0].lane.pace.failures +
                         accounts->at[1].lane.pace.failures,
                     1);
    ask_many(world, 1, 10);
    until_closed(world, HOUR_MS);
    assert_int_equal(times_told(world, "completed\n"), 10);
    end(world, w1);
}

/* ---- slots that are learnt ---- */

#define SLOTS 20
#define LEARNS "[{\"name\":\"a\",\"key\":\"a\",\"slots\":20,\"slots_min\":2}]"

/** As the fleet has it. */
static int learnt(const struct world *world)
{
    const struct limit *limit = &world->tables->accounts[0].limit;
    assert_int_equal(world->tables->accounts_len, 1);
    return limit->slots ? limit->slots : SLOTS;
}

static int used(const struct node *node)
{
    return slots_now(&node->worker.engine.accounts.at[0].slots);
}

static int64_t refused_within(struct world *world, int64_t span_ms)
{
    const int64_t before = world->provider->refusals;
    world_run_for(world, span_ms);
    return world->provider->refusals - before;
}

struct fleet_of_two {
    struct world *world;
    struct node *nodes[2];
};

static bool agree(void *context)
{
    const struct fleet_of_two *fleet = context;
    return used(fleet->nodes[0]) == learnt(fleet->world) &&
           used(fleet->nodes[1]) == learnt(fleet->world);
}

static bool is_whole(void *context)
{
    return learnt(context) == SLOTS;
}

/** 20 are set, and 8 taken: by 429, or accepted and failed. */
static void learn(bool fails)
{
    struct world *world = world_open(7);
    struct stage_options options = with(LEARNS);
    options.attempts_max = 10;
    world->provider->apart = true;
    world->provider->takes = 8;
    world->provider->fails = fails;
    struct node *w1 = node_start(world, "w1", &options);
    struct node *w2 = node_start(world, "w2", &options);
    world_run_for(world, 2000);
    ask_many(world, 0, 900);
    const int64_t first = refused_within(world, MINUTE_MS);
    assert_true(first > 0 && learnt(world) < SLOTS);
    world_run_for(world, 4 * MINUTE_MS);
    int64_t written = world->tables->limits_written;
    const int64_t later = refused_within(world, 5 * MINUTE_MS);
    written = world->tables->limits_written - written;
    assert_in_range(learnt(world), 5, 9);
    assert_true(later / 5 < first);
    assert_in_range(written, 1, 5 * 4);
    struct fleet_of_two fleet = {world, {w1, w2}};
    assert_true(world_run_until(world, agree, &fleet, 3000));
    /* Who comes knows it before it claims; a death loses nothing of it. */
    node_kill(w1);
    struct node *w3 = node_start(world, "w3", &options);
    fleet.nodes[0] = w3;
    world_run_for(world, 500);
    assert_in_range(learnt(world), 5, 9);
    assert_true(world_run_until(world, agree, &fleet, 5000));
    /* Some time without refusals brings all of it back. */
    world->provider->takes = 0;
    assert_true(world_run_until(world, is_whole, world, 12 * MINUTE_MS));
    until_closed(world, 2 * HOUR_MS);
    assert_int_equal(times_told(world, "completed\n"), 900);
    node_free(w3);
    node_free(w2);
    end(world, w1);
}

TEST_CASE(slots__beyond_what_is_taken__are_learnt_by_refusals)
{
    learn(false);
}

TEST_CASE(slots__beyond_what_is_taken__are_learnt_by_failures)
{
    learn(true);
}

TEST_CASE(slots__without_a_least__are_used_whatever_is_refused)
{
    struct node *w1;
    struct world *world =
        begin(&w1, "[{\"name\":\"a\",\"key\":\"a\",\"slots\":20}]");
    world->provider->takes = 8;
    world_run_for(world, 2000);
    ask_many(world, 0, 100);
    until_closed(world, HOUR_MS);
    assert_true(world->provider->refusals > 0);
    assert_int_equal(used(w1), SLOTS);
    assert_int_equal(world->tables->limits_written, 0);
    end(world, w1);
}

/** Else it would be shown for ever. */
TEST_CASE(slots__that_were_learnt__are_forgotten_where_nothing_is_to_be)
{
    struct node *w1;
    struct world *world =
        begin(&w1, "[{\"name\":\"a\",\"key\":\"a\",\"slots\":20}]");
    world_run_for(world, 2000);
    world->tables->accounts[0].limit = (struct limit){9, 1, 2};
    world_run_for(world, 4000);
    assert_int_equal(world->tables->accounts[0].limit.slots, 0);
    assert_int_equal(world->tables->limits_written, 1);
    assert_int_equal(used(w1), SLOTS);
    end(world, w1);
}

TESTS_RUN(NULL, NULL)
