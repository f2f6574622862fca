#include "sim/scene.h"

#include "fake/store_call.h"
#include "flow/engine_told.h"

/* What the store answers, and answers that never come. */

static struct stage_options that_settles(void)
{
    struct stage_options options = node_options();
    options.submit_doubt = DOUBT_SETTLE;
    return options;
}

TEST_CASE(a_claim__whose_answer_is_lost__was_never_sent)
{
    struct world *world = world_open(9);
    const struct stage_options options = that_settles();
    struct node *w1 = node_start(world, "w1", &options);
    world_run_for(world, 3000);
    tables_lose(world, UNIT_CLAIM, QUEUED, true);
    w1->worker.engine.turns.claims.wanted =
        false; /* the loss is the next claim's */
    world_ask(world, "a");
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(world->tables->failed, 1);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    assert_int_equal(world->provider->posts, 1);
    end_scene(world, w1, NULL);
}

/** Leases were deleted and their numbers begin anew: another works under
 * ours. */
TEST_CASE(a_submission__of_another_under_our_number__is_in_doubt)
{
    for (int lost = 0; lost < 2; lost++) {
        struct world *world = world_open(9);
        const struct stage_options options = that_settles();
        struct node *w1 = node_start(world, "w1", &options);
        world_run_for(world, 3000);
        provider_script(world, "a", "429");
        world_ask(world, "a");
        until_state(world, "a", SUBMITTING, 5000);
        until_state(world, "a", QUEUED, 5000); /* put off */
        struct record_of *record = world->tables->records[0];
        record->waiting = false;
        record->row.state = SUBMITTING;
        record->row.owner = w1->worker.engine.turns.owner;
        record->row.fence += 1;
        record->row.version += 1;
        record->row.sends = 1;
        record->row.first_sent_ms = world_clock_ms(world);
        record->row.last_sent_ms = world_clock_ms(world);
        snprintf(record->row.account, sizeof record->row.account, "%s",
                 options.accounts.at[0].keys[0].account);
        int64_t posts = world->provider->posts;
        world_ask(world, "b");
        if (lost) {
            tables_lose(world, UNIT_CLAIM, QUEUED, true);
        } else {
            tables_lose(world, UNIT_SAVE, RUNNING, true);
        }
        until_closed(world, 5 * MINUTE_MS);
        assert_int_equal(world->tables->failed, 1);
        assert_int_equal(world->provider->posts, posts + 1); /* b's */
        assert_int_equal(times_told(world, "event a failed submit_unknown"), 1);
        assert_int_equal(times_told(world, "event b completed\n"), 1);
        node_free(w1);
        close_world(world);
    }
}

TEST_CASE(a_row__that_is_kept_out__is_saved_later)
{
    struct world *world = world_open(9);
    struct node *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 3000);
    world_ask(world, "a");
    until_state(world, "a", SUBMITTING, MINUTE_MS);
    world->tables->keep_out = 2;
    world_ask(world, "b");
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(world->tables->keep_out, 0);
    assert_int_equal(world->tables->failed, 0);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    assert_int_equal(times_told(world, "event b completed\n"), 1);
    assert_int_equal(world->provider->posts, 2);
    end_scene(world, w1, NULL);
}

TEST_CASE(what_is_unreadable__in_many_parts__is_counted_whole)
{
    struct world *world = world_open(9);
    world->tables->unreadable = 30;
    struct node *w1 = node_start(world, "w1", NULL);
    const struct unreadable *unreadable = &w1->worker.fleet.unreadable;
    world_run_for(world, 12000);
    assert_int_equal(unreadable->last.rows, 0); /* on the way */
    world_run_for(world, MINUTE_MS);
    assert_int_equal(unreadable->last.rows, 30);
    assert_true(metric_value(unreadable->gauge) == 30);
    assert_int_equal(unreadable->last.named_len, UNREADABLE_NAMED_MAX);
    assert_int_equal(unreadable->last.named[1], 2);
    assert_string_equal(unreadable->last.first, "request of a later one");
    world->tables->unreadable = 1;
    world_run_for(world, 2 * MINUTE_MS);
    assert_int_equal(unreadable->last.rows, 1);
    world->tables->unreadable_waiting = 20; /* as long as nothing is claimed */
    world_run_for(world, 2 * MINUTE_MS);
    assert_int_equal(unreadable->last.rows, 21);
    assert_int_equal(unreadable->last.named[1], 1001);
    end_scene(world, w1, NULL);
}

TEST_CASE(errors__over_a_good_connection__come_no_faster_than_that)
{
    struct world *world = world_open(9);
    struct node *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 3000);
    world_ask(world, "a");
    until_state(world, "a", QUEUED, 1000);
    world->tables->refusals = 20;
    world_run_for(world, 3000);
    assert_in_range(world->tables->failed, 3, 8);
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(world->tables->failed, 20);
    assert_int_equal(world->provider->posts, 1);
    end_scene(world, w1, NULL);
}

TEST_CASE(places__while_another_takes_some__are_asked_for_again_soon)
{
    struct world *world = world_open(9);
    struct stage_options options = node_options();
    options.generations_max = 5;
    struct node *w1 = node_start(world, "w1", &options);
    world_run_for(world, 3000);
    world->tables->taking_busy = 8;
    world_ask(world, "a");
    until_state(world, "a", SUBMITTING, 1000); /* by beats it would take 8 s */
    until_closed(world, 2 * MINUTE_MS);
    end_scene(world, w1, NULL);
}

TEST_CASE(an_answer__of_the_store_is_lost__nothing_is_done_twice)
{
    static const struct {
        enum unit unit;
        enum task_state of;
    } cases[] = {
        {UNIT_CLAIM, QUEUED},    {UNIT_SAVE, RUNNING}, {UNIT_SAVE, READY},
        {UNIT_SAVE, SUCCEEDED},  {UNIT_SAVE, CLOSED},  {UNIT_SAVE, QUEUED},
        {UNIT_SAVE, SUBMITTING}, {UNIT_JOIN, QUEUED},
    };
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        struct world *world = world_open(9);
        struct node *w1 = node_start(world, "w1", NULL);
        if (cases[i / 2].unit != UNIT_JOIN) {
            world_run_for(world, 3000);
        }
        if (cases[i / 2].of == QUEUED) {
            provider_script(world, "a", "429");
        } else if (cases[i / 2].of == SUBMITTING) {
            provider_script(world, "a", "lost_reply");
        }
        if (cases[i / 2].of == READY) {
            struct plan plan = provider_usual_plan();
            plan.cuts = 1; /* else nobody stores that it is ready */
            provider_plan(world, "a", plan);
        }
        tables_lose(world, cases[i / 2].unit, cases[i / 2].of, i % 2);
        if (cases[i / 2].unit == UNIT_CLAIM) {
            w1->worker.engine.turns.claims.wanted =
                false; /* the loss is the next claim's */
        }
        world_ask(world, "a");
        world_run_for(world, 1000);
        until_closed(world, 5 * MINUTE_MS);
        assert_int_equal(world->tables->failed, 1);
        assert_int_equal(provider_sold(world->provider, "a"), 1);
        assert_int_equal(times_told(world, "event a completed\n"), 1);
        node_free(w1);
        close_world(world);
    }
}

TEST_CASE(an_adoption__whose_answer_is_lost__is_found_again)
{
    for (int committed = 0; committed < 2; committed++) {
        struct world *world = world_open(10);
        struct node *w1 = node_start(world, "w1", NULL);
        world_ask(world, "a");
        until_state(world, "a", RUNNING, MINUTE_MS);
        node_kill(w1);
        struct node *w2 = node_start(world, "w2", NULL);
        world_run_for(world, 3000);
        tables_lose(world, UNIT_ADOPT, QUEUED, committed);
        until_closed(world, 2 * MINUTE_MS);
        assert_int_equal(world->tables->failed, 1);
        assert_int_equal(times_told(world, "event a completed\n"), 1);
        node_free(w1);
        node_free(w2);
        close_world(world);
    }
}

TEST_CASE(an_id__the_store_does_not_take__is_written_after_all)
{
    for (int committed = 0; committed < 2; committed++) {
        struct world *world = world_open(11);
        struct node *w1 = node_start(world, "w1", NULL);
        world_run_for(world, 3000);
        world_ask(world, "a");
        until_state(world, "a", SUBMITTING, MINUTE_MS);
        tables_lose(world, UNIT_SAVE, RUNNING, committed);
        until_closed(world, 5 * MINUTE_MS);
        assert_int_equal(provider_sold(world->provider, "a"), 1);
        assert_int_equal(world->provider->posts, 1);
        assert_int_equal(times_told(world, "event a completed\n"), 1);
        node_free(w1);
        close_world(world);
    }
}

/** Given back and claimed again by one commit, whose answer is lost: the row is
 * ours under another fence. */
TEST_CASE(a_task__given_back_and_claimed_in_one_commit__goes_on)
{
    struct world *world = world_open(5);
    struct node *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 3000);
    provider_script(world, "a", "429");
    world_ask(world, "a");
    until_state(world, "a", SUBMITTING, MINUTE_MS);
    tables_away(world, 20000); /* longer than it has to wait */
    tables_lose(world, UNIT_CLAIM, QUEUED, true);
    until_closed(world, 5 * MINUTE_MS);
    assert_int_equal(times_told(world, "w1: a submitting > queued"), 1);
    assert_int_equal(world->provider->posts, 2);
    assert_int_equal(provider_sold(world->provider, "a"), 1);
    end_scene(world, w1, NULL);
}

/** A claim of the lease that is lost is answered when there is a new one. */
TEST_CASE(a_claim__of_a_lost_lease__says_nothing_of_the_new_one)
{
    struct world *world = world_open(11);
    struct node *w1 = node_start(world, "w1", NULL);
    struct node *w2 = node_start(world, "w2", NULL);
    world_run_for(world, 15000);
    /* What goes out on the data lane comes late: a turn that takes. */
    int64_t lost = w1->worker.engine.turns.owner;
    w1->edges.store->free_ms[LANE_DATA] = world->now_ms + 16000;
    engine_want_adopts(&w1->worker.engine);
    world_run_for(world, 100);
    node_freeze(w1, 13000);
    world_run_for(world, 15000);
    assert_int_equal(times_told(world, "is dead"), 1);
    int64_t next = w1->worker.engine.turns.owner;
    assert_true(next > lost);
    world_ask(world, "a");
    until_closed(world, 10 * MINUTE_MS);
    assert_int_equal(w1->worker.engine.turns.owner, next);
    end_scene(world, w1, w2);
}

/** Claims begin behind what was taken last. What lies before that, and whose
 * time comes later, is claimed from the start, though no beat calls for it. */
TEST_CASE(what_went_back__before_what_was_taken__waits_for_no_beat)
{
    struct world *world = world_open(9);
    struct stage_options options = node_options();
    struct node *w1 = node_start(world, "w1", &options);
    world_run_for(world, 3000);
    provider_script(world, "a", "429");
    world_ask(world, "a");
    until_state(world, "a", SUBMITTING, 1000);
    until_state(world, "a", QUEUED, 1000);
    node_kill(w1);
    struct record_of *a = world->tables->records[0];
    a->waits_until_ms = world_clock_ms(world) + HOUR_MS;
    options.lease_ms = 600000; /* a beat in two minutes */
    struct node *w2 = node_start(world, "w2", &options);
    world_run_for(world, 20000);
    world_ask(world, "b");
    until_state(world, "b", SUBMITTING, 2000);
    world_ask(world, "c");
    until_state(world, "c", SUBMITTING, 2000);
    a->waits_until_ms = world_clock_ms(world);
    assert_int_equal(state_of(world, "a"), QUEUED);
    until_state(world, "a", RUNNING, 8000);
    end_scene(world, w1, w2);
}

TESTS_RUN(NULL, NULL)
