#include "sim/scene.h"

#include "flow/engine_told.h"

/* Tenants that share: who occupies what, over weights, caps, deaths. */

static void ask_of(struct world *world, const char *tenant, int from, int to,
                   int priority)
{
    for (int i = from; i < to; i++) {
        char id[40];
        char more[80];
        snprintf(id, sizeof id, "%s-%d", tenant, i);
        snprintf(more, sizeof more, ",\"tenant\":\"%s\",\"priority\":%d",
                 tenant, priority);
        world_ask_with(world, id, more);
    }
}

/** What each of these occupies, looked at every second of so many. */
static void watch(struct world *world, const char *const *tenants, size_t len,
                  int seconds, double *sums)
{
    for (int i = 0; i < seconds; i++) {
        world_run_for(world, 1000);
        for (size_t k = 0; k < len; k++) {
            sums[k] += tables_occupied(world, tenants[k]);
        }
    }
}

static void check_parts(const double *sums, const int *weights, size_t len)
{
    double all = 0;
    int whole = 0;
    for (size_t i = 0; i < len; i++) {
        all += sums[i];
        whole += weights[i];
    }
    for (size_t i = 0; i < len; i++) {
        const double part = (double)weights[i] / whole;
        const double had = sums[i] / all;
        if (had < part * 0.95 || had > part * 1.05) {
            fail_msg("%zu occupied %.3f, not %.3f", i, had, part);
        }
    }
}

static struct stage_options of_slots(int generations_max)
{
    struct stage_options options = node_options();
    options.generations_max = generations_max;
    return options;
}

/** All but the neighbour's. */
static bool are_done(void *context)
{
    const struct world *world = context;
    bool done = true;
    for (size_t i = 0; i < world->tables->len && done; i++) {
        const struct record_of *record = world->tables->records[i];
        done = record->closed || str_eq(record->request.tenant, STR("most"));
    }
    return done;
}

/** A neighbour sends nine of ten, and of the highest priority. */
TEST_CASE(shares__beside_a_neighbour_with_most_requests__are_the_weights)
{
    static const char *const tenants[] = {"most", "few", "heavy"};
    static const int weights[] = {1, 1, 3};
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct world *world = world_open(seed);
        const struct stage_options options = of_slots(20);
        struct node *w1 = node_start(world, "w1", &options);
        struct node *w2 = node_start(world, "w2", &options);
        double sums[3] = {0};
        tables_tenant(world, "heavy", 3, 0);
        world_run_for(world, 4000);
        ask_of(world, "most", 0, 700, 9);
        ask_of(world, "few", 0, 110, 0);
        ask_of(world, "heavy", 0, 200, 5);
        world_run_for(world, 60000);
        watch(world, tenants, 3, 120, sums);
        check_parts(sums, weights, 3);
        /* What is left when the others are done is the neighbour's. */
        assert_true(world_run_until(world, are_done, world, HOUR_MS));
        world_run_for(world, 30000);
        double alone = 0;
        watch(world, tenants, 1, 30, &alone);
        assert_true(alone / 30 > 17);
        end_scene(world, w1, w2);
    }
}

/** The request of one who has none under way has the next slot. */
TEST_CASE(a_request__behind_many_of_another__waits_for_one_slot)
{
    struct world *world = world_open(4);
    const struct stage_options options = of_slots(4);
    struct node *w1 = node_start(world, "w1", &options);
    tables_tenant(world, "many", 1, 0);
    world_run_for(world, 4000);
    ask_of(world, "many", 0, 400, 9);
    world_run_for(world, 30000);
    assert_int_equal(tables_occupied(world, "many"), 4);
    const size_t sold = world->provider->sales_len;
    ask_of(world, "one", 0, 1, 0);
    until_state(world, "one-0", RUNNING, 2 * MINUTE_MS);
    assert_true(world->provider->sales_len <= sold + 3);
    end_scene(world, w1, NULL);
}

#define ROUNDS 6

/** Without any limit of slots, too. */
TEST_CASE(caps__over_deaths_and_lost_answers__are_never_exceeded)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct world *world = world_open(seed);
        const struct stage_options options = of_slots(seed % 2 ? 8 : 0);
        struct node *nodes[3];
        struct node *dead[ROUNDS];
        char name[8];
        world->tables->caps_hold = true;
        tables_tenant(world, "a", 1, 3);
        tables_tenant(world, "b", 5, 1);
        for (int i = 0; i < 3; i++) {
            snprintf(name, sizeof name, "w%d", i);
            nodes[i] = node_start(world, name, &options);
        }
        ask_of(world, "a", 0, 40, 5);
        ask_of(world, "b", 0, 15, 5);
        ask_of(world, "c", 0, 20, 5);
        for (int round = 0; round < ROUNDS; round++) {
            world_run_for(world, 15000);
            const unsigned which = (unsigned)round % 3;
            world->tables->chaos = round % 2 ? 20 : 0;
            world->tables->caps_busy = 2;
            node_kill(nodes[which]);
            dead[round] = nodes[which];
            snprintf(name, sizeof name, "x%d", round);
            nodes[which] = node_start(world, name, &options);
        }
        world->tables->chaos = 0;
        until_closed(world, 2 * HOUR_MS);
        for (int i = 0; i < 3; i++) {
            node_free(nodes[i]);
        }
        for (int i = 0; i < ROUNDS; i++) {
            node_free(dead[i]);
        }
        close_world(world);
    }
}

/** Caps come while all claims by priority, and go again. */
TEST_CASE(sharing__that_begins_and_ends__loses_nothing)
{
    struct world *world = world_open(9);
    const struct stage_options options = of_slots(6);
    struct node *w1 = node_start(world, "w1", &options);
    struct node *w2 = node_start(world, "w2", &options);
    world_run_for(world, 4000);
    ask_of(world, "a", 0, 60, 9);
    ask_of(world, "b", 0, 20, 0);
    world_run_for(world, 20000);
    assert_int_equal(tables_occupied(world, "a"), 6); /* by priority */
    assert_int_equal(world->tables->uses_len, 0);
    tables_tenant(world, "a", 1, 2);
    world_run_for(world, 60000);
    assert_true(tables_occupied(world, "a") <= 2);
    assert_int_equal(tables_occupied(world, "b"), 4);
    tables_tenant_unset(world, "a");
    world_run_for(world, 5000);
    assert_int_equal(world->tables->uses_len, 0);
    until_closed(world, HOUR_MS);
    end_scene(world, w1, w2);
}

/** That a worker occupies nothing by tenants any more is told again where that
 * was lost: what stands there would count when somebody shares again. */
TEST_CASE(sharing__ends_while_units_are_lost__leaves_nothing)
{
    struct world *world = world_open(10);
    const struct stage_options options = of_slots(6);
    struct node *w1 = node_start(world, "w1", &options);
    struct node *w2 = node_start(world, "w2", &options);
    tables_tenant(world, "a", 1, 2);
    world_run_for(world, 4000);
    ask_of(world, "a", 0, 30, 9);
    ask_of(world, "b", 0, 30, 0);
    world_run_for(world, 20000);
    assert_true(world->tables->uses_len > 0);
    world->tables->refusals = 1000;
    tables_tenant_unset(world, "a");
    world_run_for(world, 10000);
    world->tables->refusals = 0;
    world_run_for(world, 30000);
    assert_int_equal(world->tables->uses_len, 0);
    until_closed(world, HOUR_MS);
    end_scene(world, w1, w2);
}

TESTS_RUN(NULL, NULL)
