#include "sim/scene.h"

#include "fake/store_call.h"
#include "flow/engine_told.h"

/* Workers that die, freeze, drain, and lose the store. */

TEST_CASE(a_dead_worker__with_a_running_task__is_replaced_in_ten_seconds)
{
    struct world *world = world_open(1);
    struct node *w1 = node_start(world, "w1", NULL);
    struct node *w2 = node_start(world, "w2", NULL);
    world_run_for(world, 11000); /* none of them is a newcomer any more */
    world_ask(world, "a");
    until_state(world, "a", RUNNING, MINUTE_MS);
    const struct record_of *record = tables_find(world->tables, "a");
    const int fence = record->row.fence;
    bool first = record->row.owner == w1->worker.engine.turns.owner;
    node_kill(first ? w1 : w2);
    world_run_for(world, 10000);
    assert_true(record->row.fence > fence);
    until_closed(world, MINUTE_MS);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    assert_int_equal(times_told(world, first ? "w2: a ready > succeeded"
                                             : "w1: a ready > succeeded"),
                     1);
    assert_int_equal(provider_sold(world->provider, "a"), 1);
    end_scene(world, w1, w2);
}

TEST_CASE(a_dead_worker__with_a_send_under_way__leaves_a_doubt)
{
    struct world *world = world_open(2);
    struct node *w1 = node_start(world, "w1", NULL);
    struct node *w2 = node_start(world, "w2", NULL);
    world_run_for(world, 3000);
    provider_script(world, "a", "slow");
    world_ask(world, "a");
    until_state(world, "a", SUBMITTING, MINUTE_MS);
    world_run_for(world, 1000);
    bool first = tables_find(world->tables, "a")->row.owner ==
                 w1->worker.engine.turns.owner;
    node_kill(first ? w1 : w2);
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(times_told(world, "provider replays task_1"), 1);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    assert_int_equal(provider_sold(world->provider, "a"), 1);
    end_scene(world, w1, w2);
}

TEST_CASE(a_dead_worker__whose_claim_was_never_sent__is_replayed_once)
{
    struct world *world = world_open(3);
    struct node *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 3000);
    world_ask(world, "a");
    until_state(world, "a", SUBMITTING,
                MINUTE_MS); /* committed, not yet known */
    node_kill(w1);
    struct node *w2 = node_start(world, "w2", NULL);
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(provider_sold(world->provider, "a"), 1);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    end_scene(world, w1, w2);
}

TEST_CASE(a_frozen_worker__comes_back__finds_itself_dead)
{
    struct world *world = world_open(4);
    struct node *w1 = node_start(world, "w1", NULL);
    world_ask(world, "a");
    until_state(world, "a", RUNNING, MINUTE_MS);
    struct node *w2 = node_start(world, "w2", NULL);
    world_run_for(world, 3000);
    int64_t lease = w1->worker.engine.turns.owner;
    node_freeze(w1, 30000);
    world_run_for(world, 35000);
    assert_int_not_equal(w1->worker.engine.turns.owner, lease);
    assert_int_equal(times_told(world, "lease 1 is dead"), 1);
    until_closed(world, MINUTE_MS);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    world_ask(world, "b");
    world_ask(world, "c");
    until_closed(world, 2 * MINUTE_MS);
    end_scene(world, w1, w2);
}

TEST_CASE(a_frozen_worker__in_mid_submission__brings_its_id_home)
{
    struct world *world = world_open(5);
    world->provider->told = KEYS_TOLD_NOTHING; /* nobody replays */
    struct node *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 3000);
    world_ask(world, "a");
    until_state(world, "a", SUBMITTING, MINUTE_MS);
    struct node *w2 = node_start(world, "w2", NULL);
    while (w1->world->provider->sales_len == 0) {
        assert_true(world_turn(world));
    }
    node_freeze(w1, 30000); /* the reply is in its socket */
    world_run_for(world, 25000);
    assert_int_equal(tables_find(world->tables, "a")->row.owner,
                     w2->worker.engine.turns.owner);
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(provider_sold(world->provider, "a"), 1);
    assert_int_equal(times_told(world, "w2: a submitting > running"), 1);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    end_scene(world, w1, w2);
}

TEST_CASE(a_frozen_worker__right_after_its_claim__sends_nothing)
{
    struct world *world = world_open(12);
    world->provider->told = KEYS_TOLD_NOTHING; /* nobody replays */
    struct node *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 3000);
    world_ask(world, "a");
    until_state(world, "a", SUBMITTING, MINUTE_MS);
    node_freeze(w1, 30000); /* the claim's answer is in its socket */
    struct node *w2 = node_start(world, "w2", NULL);
    world_run_for(world, 5 * MINUTE_MS);
    assert_int_equal(tables_find(world->tables, "a")->row.owner,
                     w2->worker.engine.turns.owner);
    assert_int_equal(world->provider->sales_len, 0);
    end_scene(world, w1, w2);
}

/** In the midst of a turn, whose own time is older than the lease. */
TEST_CASE(a_worker__that_stood_still_before_its_send__does_not_send)
{
    struct world *world = world_open(13);
    struct node *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 3000);
    world_ask(world, "a");
    until_state(world, "a", SUBMITTING, MINUTE_MS);
    loop_stall(w1->loop, 4000);
    world_run_for(world, 20000);
    assert_int_equal(provider_sold(world->provider, "a"), 0);
    loop_stall(w1->loop, 0);
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(provider_sold(world->provider, "a"), 1);
    end_scene(world, w1, NULL);
}

/** Whatever a turn takes has a slot. */
static void look_at_room(void *context)
{
    const struct node *node = context;
    const struct engine *engine = &node->worker.engine;
    const struct claims *claims = &engine->turns.claims;
    const size_t asked =
        (size_t)(claims->asked + claims->asked_adopts + claims->asked_expires);
    if (engine->turns.in_flight) {
        assert_true(engine->jobs.used + asked <= engine->jobs.slots_max);
    }
}

TEST_CASE(a_turn__that_claims_and_takes_over__has_room_for_both)
{
    struct world *world = world_open(14);
    struct stage_options options = node_options();
    options.tasks_max = 4;
    struct node *w1 = node_start(world, "w1", &options);
    world->on_turn = look_at_room;
    world->turn_context = w1;
    for (int i = 0; i < 9; i++) {
        char id[8];
        snprintf(id, sizeof id, "r%d", i);
        world_ask(world, id);
    }
    until_closed(world, 20 * MINUTE_MS);
    world->on_turn = NULL;
    end_scene(world, w1, NULL);
}

TEST_CASE(an_adopted_doubt__whose_answer_is_lost__stays_a_doubt)
{
    for (int committed = 0; committed < 2; committed++) {
        struct world *world = world_open(13);
        world->provider->told = KEYS_TOLD_NO;
        world->provider->honours_keys = false;
        struct node *w1 = node_start(world, "w1", NULL);
        world_run_for(world, 3000);
        provider_script(world, "a", "slow");
        world_ask(world, "a");
        until_state(world, "a", SUBMITTING, MINUTE_MS);
        world_run_for(world, 1000);
        node_kill(w1);
        struct node *w2 = node_start(world, "w2", NULL);
        world_run_for(world, 3000);
        tables_lose(world, UNIT_ADOPT, QUEUED, committed);
        until_closed(world, 5 * MINUTE_MS);
        assert_int_equal(world->tables->failed, 1);
        assert_int_equal(provider_sold(world->provider, "a"), 1);
        assert_int_equal(times_told(world, "event a failed submit_unknown"), 1);
        node_free(w1);
        node_free(w2);
        close_world(world);
    }
}

TEST_CASE(a_drained_worker__hands_over_at_once)
{
    struct world *world = world_open(6);
    struct node *w1 = node_start(world, "w1", NULL);
    for (int i = 0; i < 20; i++) {
        char id[8];
        snprintf(id, sizeof id, "r%d", i);
        world_ask(world, id);
    }
    world_run_for(world, 5000);
    struct node *w2 = node_start(world, "w2", NULL);
    world_run_for(world, 2000);
    node_drain(w1);
    assert_true(world_run_until(world, node_is_drained, w1, 5000));
    world_run_for(world, 2000);
    for (size_t i = 0; i < world->tables->len; i++) {
        const struct record_of *record = world->tables->records[i];
        assert_true(record->closed || record->waiting ||
                    record->row.owner == w2->worker.engine.turns.owner);
    }
    node_free(w1);
    until_closed(world, 3 * MINUTE_MS);
    assert_int_equal(times_told(world, "completed\n"), 20);
    assert_int_equal(world->provider->sales_len, 20);
    node_free(w2);
    close_world(world);
}

static bool has_ended(void *node)
{
    return ((struct node *)node)->worker.ended;
}

/** An answer is there and the store is not: nobody is told that all is safe. */
TEST_CASE(a_drain_that_runs_out_of_time__leaves_the_rest_to_others)
{
    struct world *world = world_open(8);
    struct node *w1 = node_start(world, "w1", NULL);
    world_ask(world, "a");
    until_state(world, "a", SUBMITTING, MINUTE_MS);
    tables_away(world, 3 * MINUTE_MS);
    node_drain(w1);
    assert_false(world_run_until(world, has_ended, w1, 54000));
    assert_true(world_run_until(world, has_ended, w1, 3000));
    assert_int_equal(w1->worker.end, WORKER_FAILED);
    struct node *w2 = node_start(world, "w2", NULL);
    until_closed(world, 10 * MINUTE_MS);
    world_ask(world, "b"); /* w2 has all partitions by now */
    until_state(world, "b", RUNNING, MINUTE_MS);
    until_closed(world, MINUTE_MS);
    assert_int_equal(times_told(world, "completed\n"), 2);
    assert_int_equal(world->provider->sales_len, 2);
    end_scene(world, w1, w2);
}

TEST_CASE(a_drained_worker__with_nothing_to_do__is_gone_at_once)
{
    struct world *world = world_open(7);
    struct node *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 3000);
    node_drain(w1);
    assert_true(world_run_until(world, node_is_drained, w1, 100));
    end_scene(world, w1, NULL);
}

TEST_CASE(a_store__away_longer_than_a_lease__robs_nobody)
{
    struct world *world = world_open(8);
    struct node *w1 = node_start(world, "w1", NULL);
    struct node *w2 = node_start(world, "w2", NULL);
    for (int i = 0; i < 30; i++) {
        char id[8];
        snprintf(id, sizeof id, "r%d", i);
        world_ask(world, id);
    }
    world_run_for(world, 8000);
    int64_t first = w1->worker.engine.turns.owner;
    int64_t second = w2->worker.engine.turns.owner;
    tables_away(world, 60000);
    world_run_for(world, 90000);
    assert_int_equal(w1->worker.engine.turns.owner, first);
    assert_int_equal(w2->worker.engine.turns.owner, second);
    assert_int_equal(times_told(world, "is dead"), 0);
    until_closed(world, 3 * MINUTE_MS);
    assert_int_equal(times_told(world, "completed\n"), 30);
    assert_int_equal(world->provider->sales_len, 30);
    end_scene(world, w1, w2);
}

/** Workers that come back one after the other bury nobody. */
TEST_CASE(a_store__away__nobody_alive_is_buried)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct world *world = world_open(seed);
        struct node *nodes[6];
        char names[6][4];
        for (int i = 0; i < 6; i++) {
            snprintf(names[i], sizeof names[i], "w%d", i + 1);
            nodes[i] = node_start(world, names[i], NULL);
        }
        world_run_for(world, 15000);
        tables_away(world, 12000 * (int64_t)seed);
        world_run_for(world, 12000 * (int64_t)seed + 3000);
        /* Half of them stand still for more than a lease. */
        for (int i = 0; i < 3; i++) {
            node_freeze(nodes[i], 6500);
        }
        world_run_for(world, 40000);
        assert_int_equal(times_told(world, "is dead"), 0);
        for (int i = 0; i < 6; i++) {
            node_free(nodes[i]);
        }
        close_world(world);
    }
}

/** An outage within a lease is no cut: who counts from its end must still let
 * those come back that come later. */
TEST_CASE(a_store__away_for_a_moment__nobody_alive_is_buried)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct world *world = world_open(seed);
        struct node *nodes[6];
        char names[6][4];
        for (int i = 0; i < 6; i++) {
            snprintf(names[i], sizeof names[i], "w%d", i + 1);
            nodes[i] = node_start(world, names[i], NULL);
        }
        world_run_for(world, 15000);
        const int64_t away_ms = 1500 + 500 * (int64_t)seed;
        tables_away(world, away_ms);
        world_run_for(world, away_ms);
        for (int i = 0; i < 3; i++) {
            node_freeze(nodes[i], 3500);
        }
        world_run_for(world, 20000);
        assert_int_equal(times_told(world, "is dead"), 0);
        for (int i = 0; i < 6; i++) {
            node_free(nodes[i]);
        }
        close_world(world);
    }
}

/** A busy machine: the heir's loop stands still for most of a lease, right when
 * the other one dies. It is late, not cut off. */
TEST_CASE(a_dead_worker__whose_heir_was_late__is_buried_in_time)
{
    struct world *world = world_open(8);
    struct node *w1 = node_start(world, "w1", NULL);
    struct node *w2 = node_start(world, "w2", NULL);
    world_run_for(world, 15000);
    node_kill(w1);
    node_freeze(w2, 3000);
    world_run_for(world, 10000);
    assert_int_equal(times_told(world, "is dead"), 1);
    end_scene(world, w1, w2);
}

static bool is_adopted(void *context)
{
    const struct record_of *record = context;
    return record->row.fence > 1;
}

/** The only one is killed and started again: 2 * LEASE_MS after it has joined
 * it has what it left, and not a beat later, however the answers fall. */
TEST_CASE(a_lone_worker__killed_and_started_again__waits_no_beat_more)
{
    for (uint32_t seed = 1; seed <= 12; seed++) {
        struct world *world = world_open(seed);
        struct node *w1 = node_start(world, "w1", NULL);
        world_ask(world, "a");
        until_state(world, "a", RUNNING, MINUTE_MS);
        const struct record_of *record = tables_find(world->tables, "a");
        assert_int_equal(record->row.fence, 1);
        node_kill(w1);
        struct node *w2 = node_start(world, "w2", NULL);
        const int64_t started_ms = world->now_ms;
        assert_true(world_run_until(world, is_adopted,
                                    (void *)(uintptr_t)record, MINUTE_MS));
        assert_in_range(world->now_ms - started_ms, 10000, 10500);
        node_free(w1);
        node_free(w2);
        close_world(world);
    }
}

/** Numbers that stand still look like a fleet at rest. */
TEST_CASE(a_fleet__that_nobody_can_count__is_told_once_and_when_it_is_over)
{
    struct world *world = world_open(14);
    struct node *w1 = node_start(world, "w1", NULL);
    struct node *w2 = node_start(world, "w2", NULL);
    world_run_for(world, 10000);
    world->heard = " counted";
    world->tables->uncountable = true;
    world_run_for(world, 50000);
    assert_int_equal(times_told(world, "can't be counted"), 0);
    world_run_for(world, 5 * MINUTE_MS);
    assert_int_equal(times_told(world, "the fleet can't be counted"), 1);
    assert_int_equal(times_told(world, "it takes too long"), 1);
    assert_int_equal(times_told(world, "is counted again"), 0);
    world->tables->uncountable = false;
    world_run_for(world, 10000);
    assert_int_equal(times_told(world, "the fleet is counted again"), 1);
    end_scene(world, w1, w2);
}

/** How many tasks in flight are that worker's. */
static int tasks_of(const struct world *world, const struct node *node)
{
    int n = 0;
    for (size_t i = 0; i < world->tables->len; i++) {
        const struct record_of *record = world->tables->records[i];
        n += record->row.state == RUNNING &&
             record->row.owner == node->worker.engine.turns.owner;
    }
    return n;
}

static bool is_any_adopted(void *context)
{
    const struct world *world = context;
    bool any = false;
    for (size_t i = 0; i < world->tables->len; i++) {
        any = any || world->tables->records[i]->row.fence > 1;
    }
    return any;
}

/** The walk of its heir begins where that one's own tasks do, and goes around.
 */
TEST_CASE(a_dead_worker__with_tasks_on_both_sides_of_ours__leaves_none)
{
    const int n = 24;
    struct world *world = world_open(11);
    struct node *w1 = node_start(world, "w1", NULL);
    struct node *w2 = node_start(world, "w2", NULL);
    world_run_for(world, 11000);
    for (int i = 0; i < n; i++) {
        char id[8];
        snprintf(id, sizeof id, "r%02d", i);
        world_ask(world, id);
        until_state(world, id, RUNNING, MINUTE_MS);
    }
    const struct record_of *first = tables_find(world->tables, "r00");
    const bool w1_first = first->row.owner == w1->worker.engine.turns.owner;
    struct node *dead = w1_first ? w1 : w2;
    struct node *heir = w1_first ? w2 : w1;
    assert_true(tasks_of(world, dead) > 1 && tasks_of(world, heir) > 1);
    node_kill(dead);
    const int64_t died_ms = world->now_ms;
    assert_true(world_run_until(world, is_any_adopted, world, 10000));
    assert_int_equal(first->row.fence, 1); /* it lies before */
    world_run_for(world, died_ms + 10000 - world->now_ms);
    assert_int_equal(tasks_of(world, heir), n);
    world_run_for(world, 5000); /* a bump later, and the walk is over */
    for (size_t i = 0; i < world->tables->leases_len; i++) {
        assert_true(world->tables->leases[i].forgotten ==
                    world->tables->leases[i].dead);
    }
    until_closed(world, 5 * MINUTE_MS);
    end_scene(world, w1, w2);
}

/** Seven of eight die in one moment: all their tasks are adopted within ten
 * seconds. */
TEST_CASE(many_dead__at_once__are_all_replaced_in_ten_seconds)
{
    struct world *world = world_open(7);
    struct node *nodes[8];
    char names[8][4];
    for (int i = 0; i < 8; i++) {
        snprintf(names[i], sizeof names[i], "w%d", i + 1);
        nodes[i] = node_start(world, names[i], NULL);
    }
    world_run_for(world, 15000);
    for (int i = 1; i < 8; i++) {
        node_kill(nodes[i]);
    }
    world_run_for(world, 10000);
    assert_int_equal(times_told(world, "is dead"), 7);
    for (size_t i = 0; i < world->tables->leases_len; i++) {
        assert_true(world->tables->leases[i].forgotten ==
                    world->tables->leases[i].dead);
    }
    for (int i = 0; i < 8; i++) {
        node_free(nodes[i]);
    }
    close_world(world);
}

/** Its time for an answer is over when it is taken over, and keys are not
 * honoured; but its owner was only frozen, and has the answer. */
TEST_CASE(a_doubt__taken_over_from_a_living_owner__is_not_settled)
{
    struct world *world = world_open(9);
    struct stage_options options = node_options();
    options.submit_doubt = DOUBT_SETTLE;
    options.submit_timeout_ms = 3000;
    struct node *nodes[] = {node_start(world, "w1", &options),
                            node_start(world, "w2", &options)};
    world_run_for(world, 15000);
    world_ask(world, "a");
    while (world->provider->sales_len == 0) {
        assert_true(world_turn(world));
    }
    /* Accepted; the reply is in its owner's socket. */
    const struct record_of *record = tables_find(world->tables, "a");
    bool first = record->row.owner == nodes[0]->worker.engine.turns.owner;
    node_freeze(nodes[first ? 0 : 1], 18000);
    until_closed(world, 5 * MINUTE_MS);
    assert_int_equal(times_told(world, "is dead"), 1);
    assert_int_equal(times_told(world, "event a submit_unknown"), 0);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    assert_int_equal(provider_sold(world->provider, "a"), 1);
    node_free(nodes[0]);
    node_free(nodes[1]);
    close_world(world);
}

TESTS_RUN(NULL, NULL)
