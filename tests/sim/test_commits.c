#include "sim/scene.h"

/* When a worker commits, and what may wait for it. */

static double commits_of(const struct node *node)
{
    return metric_value(node->worker.engine.turns.commits);
}

TEST_CASE(a_quiet_worker__commits_at_once)
{
    struct world *world = world_open(1);
    struct node *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 1000);
    for (int i = 0; i < 10; i++) {
        char id[16];
        snprintf(id, sizeof id, "q%d", i);
        world_ask(world, id);
        world_run_for(world, 1000);
        assert_int_equal(state_of(world, id), RUNNING);
        assert_int_equal(w1->worker.engine.turns.since_ms, 0);
    }
    node_free(w1);
    close_world(world);
}

TEST_CASE(a_busy_worker__commits_45_times_a_second)
{
    struct world *world = world_open(2);
    struct stage_options options = node_options();
    options.submits_max = 32;
    options.transfers_max = 32;
    options.tasks_max = 4000;
    struct node *w1 = node_start(world, "w1", &options);
    double before = 0;
    int at_ten = 0;
    world_run_for(world, 1000);
    for (int i = 0; i < 2000; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%d", i);
        world_ask(world, id);
        world_run_for(world, 20);
        if (i == 1500) { /* some settle by now */
            before = commits_of(w1);
            at_ten = times_told(world, "event ");
        }
    }
    const double commits = commits_of(w1) - before;
    print_message("%.0f commits in 10 s, %d told\n", commits,
                  times_told(world, "event ") - at_ten);
    assert_true(times_told(world, "event ") > at_ten + 100);
    assert_true(commits <= 10 * 45 + 25);
    until_closed(world, 10 * MINUTE_MS);
    assert_int_equal(times_told(world, "completed\n"), 2000);
    node_free(w1);
    close_world(world);
}

/** What of a task in flight its event needs is in memory, while that is little:
 * no transaction but those that write. */
TEST_CASE(facts__of_few_in_flight__are_read_once)
{
    struct world *world = world_open(5);
    struct node *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 1000);
    for (int i = 0; i < 20; i++) {
        char id[16];
        snprintf(id, sizeof id, "f%d", i);
        world_ask(world, id);
        world_run_for(world, 500);
    }
    until_closed(world, MINUTE_MS);
    assert_int_equal(times_told(world, "completed\n"), 20);
    assert_int_equal(world->tables->facts_read, 0);
    assert_int_equal(w1->worker.engine.jobs.kept_bytes, 0);
    node_free(w1);
    close_world(world);
}

/** They are many then, and are read many at a time. */
TEST_CASE(facts__of_more_than_there_is_room_for__are_read_again)
{
    struct world *world = world_open(6);
    struct node *w1 = node_start(world, "w1", NULL);
    w1->worker.engine.jobs.kept_bytes = KEPT_BYTES_MAX;
    world_run_for(world, 1000);
    world_ask(world, "a");
    until_closed(world, MINUTE_MS);
    assert_int_equal(times_told(world, "completed\n"), 1);
    assert_int_equal(world->tables->facts_read, 1);
    assert_int_equal(w1->worker.engine.jobs.kept_bytes, KEPT_BYTES_MAX);
    node_free(w1);
    close_world(world);
}

/** So many provider calls as there are slots are under way all the time: a slot
 * goes on to the next task in the commit that stores what it brought. */
TEST_CASE(slots__that_are_waited_for__wait_for_no_token)
{
    struct world *world = world_open(7);
    struct stage_options options = node_options();
    options.submits_max = 32;
    options.tasks_max = 4000;
    struct node *w1 = node_start(world, "w1", &options);
    world_run_for(world, 1000);
    for (int i = 0; i < 1000; i++) {
        char id[16];
        snprintf(id, sizeof id, "t%d", i);
        world_ask(world, id);
    }
    world_run_for(world, 1000);
    const int64_t began_ms = world_clock_ms(world);
    (void)began_ms;
    int submitted = 0;
    for (size_t i = 0; i < world->tables->len; i++) {
        submitted += world->tables->records[i]->row.submitted_ms > 0;
    }
    print_message("%d submitted in a second\n", submitted);
    node_free(w1);
    close_world(world);
}

static int submitting(const struct world *world)
{
    int n = 0;
    for (size_t i = 0; i < world->tables->len; i++) {
        const struct record_of *record = world->tables->records[i];
        n += !record->closed && record->row.state == SUBMITTING;
    }
    return n;
}

/** So many are in doubt if it dies now. */
TEST_CASE(slots__are_held_until_what_came_is_stored)
{
    struct world *world = world_open(3);
    struct node *w1 = node_start(world, "w1", NULL);
    int most = 0;
    world_run_for(world, 1000);
    for (int i = 0; i < 100; i++) {
        char id[16];
        snprintf(id, sizeof id, "s%d", i);
        world_ask(world, id);
    }
    for (int i = 0; i < 100000 && !tables_all_closed(world); i++) {
        if (i % 1000 == 300) {
            world->tables->keep_out = 5; /* ids among them: for 5 s */
        }
        assert_true(world_turn(world));
        const int n = submitting(world);
        most = n > most ? n : most;
    }
    assert_true(tables_all_closed(world));
    assert_int_equal(most, 8);
    node_free(w1);
    close_world(world);
}

/** From its answer to its row, while there are few tokens. */
static int64_t id_waits_ms(enum submit_doubt doubt)
{
    struct world *world = world_open(4);
    struct stage_options options = node_options();
    options.submit_doubt = doubt;
    struct node *w1 = node_start(world, "w1", &options);
    struct engine *engine = &w1->worker.engine;
    int64_t came_ms = 0;
    world_run_for(world, 1000);
    world_ask(world, "a");
    while (state_of(world, "a") != RUNNING) {
        struct job *job = jobs_find(&engine->jobs, 1);
        if (!came_ms && job && job->phase == JOB_SAVING &&
            job_task(job)->row.state == RUNNING) {
            came_ms = world_clock_ms(world);
        }
        if (job) {
            engine->turns.commits_left.spent = 22000;
        }
        assert_true(world_turn(world));
    }
    const int64_t waited_ms = world_clock_ms(world) - came_ms;
    assert_true(came_ms > 0);
    until_closed(world, MINUTE_MS);
    node_free(w1);
    close_world(world);
    return waited_ms;
}

TEST_CASE(an_id__is_urgent_unless_a_replay_would_bring_it)
{
    const int64_t urgent_ms = id_waits_ms(DOUBT_SETTLE);
    const int64_t riding_ms = id_waits_ms(DOUBT_REPLAY);
    print_message("settle: %lld ms, replay: %lld ms\n", (long long)urgent_ms,
                  (long long)riding_ms);
    assert_true(urgent_ms < 50);
    assert_in_range(riding_ms, 70, 130);
}

TESTS_RUN(NULL, NULL)
