#include "sim/scene.h"

/* Requests that extend others of ours: in any order, over failures and kills.
 */

static struct world *begin(struct node **w1)
{
    struct world *world = world_open(1);
    *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 1000);
    return world;
}

static void end(struct world *world, struct node *w1)
{
    node_free(w1);
    close_world(world);
}

/** It was bought once, from the video of that one. */
static void extends(struct world *world, const char *id, const char *source)
{
    const struct sale *sale = sale_named(world, id);
    assert_int_equal(provider_sold(world->provider, id), 1);
    assert_string_equal(sale->source, sale_named(world, source)->id);
    assert_non_null(strstr(event_of(world, id), "\"status\":\"completed\""));
    assert_non_null(strstr(event_of(world, id), "\"mode\":\"extend\""));
}

static bool is_blocked_one(void *context)
{
    const struct wanted *wanted = context;
    const struct record_of *record =
        tables_find(wanted->world->tables, wanted->id);
    return record && is_blocked(record);
}

static void until_blocked(struct world *world, const char *id)
{
    struct wanted wanted = {world, id, QUEUED};
    assert_true(world_run_until(world, is_blocked_one, &wanted, 10000));
}

static void failed_so(struct world *world, const char *id, const char *kind)
{
    char words[60];
    snprintf(words, sizeof words, "\"kind\":\"%s\"", kind);
    assert_non_null(strstr(event_of(world, id), words));
    assert_non_null(strstr(event_of(world, id), "\"billed\":\"no\""));
    assert_non_null(strstr(event_of(world, id), "\"retry_safe\":true"));
    assert_int_equal(provider_sold(world->provider, id), 0);
}

TEST_CASE(the_source_comes_later__it_waits__and_goes_on_from_its_video)
{
    struct node *w1;
    struct world *world = begin(&w1);
    world_extend(world, "b", "a", "");
    until_blocked(world, "b");
    world_run_for(world, 2 * MINUTE_MS);
    assert_int_equal(state_of(world, "b"), QUEUED);
    assert_int_equal(world->provider->posts, 0);
    world_ask(world, "a");
    until_closed(world, 5 * MINUTE_MS);
    extends(world, "b", "a");
    end(world, w1);
}

TEST_CASE(the_source_is_finished__it_waits_for_nothing)
{
    struct node *w1;
    struct world *world = begin(&w1);
    world_ask(world, "a");
    until_closed(world, 5 * MINUTE_MS);
    world_extend(world, "b", "a", "");
    until_state(world, "b", SUBMITTING, 2000);
    until_closed(world, 5 * MINUTE_MS);
    extends(world, "b", "a");
    end(world, w1);
}

/** It is finished upstream: that its own storage is full is no matter. */
TEST_CASE(the_source_is_ready__it_waits_no_longer)
{
    struct node *w1;
    struct world *world = begin(&w1);
    world_extend(world, "b", "a", "");
    world_ask(world, "a");
    until_state(world, "a", RUNNING, 10000);
    world->provider->hosts_away = true;
    until_state(world, "b", RUNNING, 2 * MINUTE_MS);
    assert_int_equal(state_of(world, "a"), READY);
    world->provider->hosts_away = false;
    until_closed(world, HOUR_MS);
    extends(world, "b", "a");
    end(world, w1);
}

TEST_CASE(a_chain_of_fifty__last_one_first__runs_in_its_order)
{
    struct node *w1;
    struct world *world = begin(&w1);
    char id[16];
    char source[16];
    for (int i = 49; i > 0; i--) {
        snprintf(id, sizeof id, "r%d", i);
        snprintf(source, sizeof source, "r%d", i - 1);
        world_extend(world, id, source, "");
    }
    world_ask(world, "r0");
    until_closed(world, 2 * HOUR_MS);
    assert_int_equal(world->provider->sales_len, 50);
    for (int i = 1; i < 50; i++) {
        snprintf(id, sizeof id, "r%d", i);
        snprintf(source, sizeof source, "r%d", i - 1);
        extends(world, id, source);
    }
    end(world, w1);
}

TEST_CASE(a_fan_of_many__all_go_when_the_source_is_there)
{
    struct node *w1;
    struct world *world = begin(&w1);
    char id[16];
    for (int i = 0; i < 200; i++) {
        snprintf(id, sizeof id, "f%d", i);
        world_extend(world, id, "a", "");
    }
    world_ask(world, "a");
    until_closed(world, HOUR_MS);
    for (int i = 0; i < 200; i++) {
        snprintf(id, sizeof id, "f%d", i);
        extends(world, id, "a");
    }
    end(world, w1);
}

TEST_CASE(the_source_fails__so_do_all_behind_it)
{
    struct node *w1;
    struct world *world = begin(&w1);
    struct plan plan = provider_usual_plan();
    plan.end = "failed";
    provider_plan(world, "a", plan);
    world_extend(world, "d", "c", "");
    world_extend(world, "c", "b", "");
    world_extend(world, "b", "a", "");
    world_ask(world, "a");
    until_closed(world, 5 * MINUTE_MS);
    failed_so(world, "b", "source_failed");
    failed_so(world, "c", "source_failed");
    failed_so(world, "d", "source_failed");
    assert_int_equal(times_told(world, "failed source_failed"), 3);
    world_extend(world, "e", "d", ""); /* it comes when all is over */
    until_state(world, "e", CLOSED, MINUTE_MS);
    failed_so(world, "e", "source_failed");
    end(world, w1);
}

TEST_CASE(the_source_is_at_fault__it_fails)
{
    struct node *w1;
    struct world *world = begin(&w1);
    world_extend(world, "b", "a", "");
    until_blocked(world, "b");
    kafka_request(world, "{\"request_id\":\"a\",\"request\":{\"prompt\":1}}");
    until_closed(world, MINUTE_MS);
    failed_so(world, "b", "source_failed");
    end(world, w1);
}

TEST_CASE(the_source_is_late__it_waits_for_the_video)
{
    struct node *w1;
    struct world *world = begin(&w1);
    struct plan plan = provider_usual_plan();
    plan.run_ms = 10 * MINUTE_MS;
    provider_plan(world, "a", plan);
    world_extend(world, "b", "a", "");
    world_extend(world, "c", "a", ",\"deadline_seconds\":300");
    world_ask_with(world, "a", ",\"deadline_seconds\":60");
    until_state(world, "a", LATE, 2 * MINUTE_MS);
    until_state(world, "c", CLOSED, 6 * MINUTE_MS);
    failed_so(world, "c", "timed_out");
    assert_int_equal(state_of(world, "b"), QUEUED);
    until_closed(world, HOUR_MS);
    extends(world, "b", "a");
    end(world, w1);
}

TEST_CASE(a_late_source_brings_nothing__it_fails)
{
    struct node *w1;
    struct world *world = begin(&w1);
    struct plan plan = provider_usual_plan();
    plan.run_ms = 10 * MINUTE_MS;
    plan.end = "failed";
    provider_plan(world, "a", plan);
    world_extend(world, "b", "a", "");
    world_ask_with(world, "a", ",\"deadline_seconds\":60");
    until_closed(world, HOUR_MS);
    failed_so(world, "b", "source_failed");
    end(world, w1);
}

TEST_CASE(the_source_is_another_tenants__it_fails_like_any_other)
{
    struct node *w1;
    struct world *world = begin(&w1);
    world_ask_with(world, "a", ",\"tenant\":\"one\"");
    until_closed(world, 5 * MINUTE_MS);
    world_extend(world, "b", "a", ",\"tenant\":\"two\"");
    world_extend(world, "c", "a", ",\"tenant\":\"one\"");
    until_state(world, "b", CLOSED, MINUTE_MS);
    until_state(world, "c", CLOSED, 5 * MINUTE_MS);
    failed_so(world, "b", "source_failed");
    assert_null(strstr(event_of(world, "b"), "\"a\""));
    extends(world, "c", "a");
    end(world, w1);
}

TEST_CASE(itself__is_an_invalid_request)
{
    struct node *w1;
    struct world *world = begin(&w1);
    world_extend(world, "a", "a", "");
    until_closed(world, MINUTE_MS);
    failed_so(world, "a", "invalid_request");
    assert_non_null(
        strstr(event_of(world, "a"), "\"field\":\"extend_from_request_id\""));
    end(world, w1);
}

/** Nobody is first: the longest wait ends it, and then the others. */
TEST_CASE(a_cycle__waits_for_itself__and_ends)
{
    struct stage_options options = node_options();
    options.chain_wait_ms = HOUR_MS;
    struct world *world = world_open(1);
    struct node *w1 = node_start(world, "w1", &options);
    world_extend(world, "a", "c", "");
    world_run_for(world, MINUTE_MS);
    world_extend(world, "b", "a", "");
    world_extend(world, "c", "b", "");
    world_run_for(world, 58 * MINUTE_MS);
    assert_int_equal(state_of(world, "a"), QUEUED);
    until_closed(world, 3 * MINUTE_MS);
    failed_so(world, "a", "source_failed");
    failed_so(world, "b", "source_failed");
    failed_so(world, "c", "source_failed");
    assert_non_null(strstr(event_of(world, "a"), "CHAIN_WAIT_MS"));
    end(world, w1);
}

/** What stores the end does not see who waits, nor the other way round. */
TEST_CASE(both_are_stored_at_once__a_look_at_all_finds_it)
{
    struct node *w1;
    struct world *world = begin(&w1);
    world->tables->blind = 1000;
    world_ask(world, "a");
    until_closed(world, 5 * MINUTE_MS);
    world_extend(world, "b", "a", "");
    until_state(world, "b", SUBMITTING, 15000);
    until_closed(world, 5 * MINUTE_MS);
    extends(world, "b", "a");
    const int looks = world->tables->looks;
    world_run_for(world, HOUR_MS);
    assert_int_equal(world->tables->looks, looks); /* nothing waits */
    end(world, w1);
}

TEST_CASE(its_answer_is_lost__every_send_has_the_same_bytes)
{
    struct node *w1;
    struct world *world = begin(&w1);
    provider_script(world, "b", "unsent 429 lost_reply");
    world_extend(world, "b", "a", "");
    world_ask(world, "a");
    until_closed(world, 10 * MINUTE_MS);
    extends(world, "b", "a");
    assert_int_equal(sale_named(world, "b")->replays, 1);
    end(world, w1);
}

TEST_CASE(its_worker_dies_in_the_send__another_sends_the_same)
{
    struct node *w1;
    struct world *world = begin(&w1);
    provider_script(world, "b", "slow");
    world_extend(world, "b", "a", "");
    world_ask(world, "a");
    until_state(world, "b", SUBMITTING, 5 * MINUTE_MS);
    world_run_for(world, 1000);
    node_kill(w1);
    struct node *w2 = node_start(world, "w2", NULL);
    until_closed(world, HOUR_MS);
    extends(world, "b", "a");
    assert_int_equal(sale_named(world, "b")->replays, 1);
    node_free(w2);
    end(world, w1);
}

TEST_CASE(a_retry__finds_its_source_anew)
{
    struct node *w1;
    struct world *world = begin(&w1);
    struct plan plan = provider_usual_plan();
    world_ask(world, "a");
    until_closed(world, 5 * MINUTE_MS);
    plan.end = "failed";
    provider_plan(world, "b", plan);
    world_extend(world, "b", "a", "");
    until_state(world, "b", CLOSED, 5 * MINUTE_MS);
    assert_string_equal(sale_named(world, "b")->source,
                        sale_named(world, "a")->id);

    assert_true(tables_retry(world, "a"));
    assert_true(tables_retry(world, "b"));
    provider_plan(world, "b", provider_usual_plan());
    until_closed(world, 10 * MINUTE_MS);
    assert_int_equal(provider_sold(world->provider, "a"), 2);
    assert_int_equal(provider_sold(world->provider, "b"), 2);
    assert_string_equal(sale_named(world, "b")->source,
                        sale_named(world, "a")->id);
    end(world, w1);
}

TEST_CASE(a_cancel__of_one_that_waits__is_told_unpaid)
{
    struct node *w1;
    struct world *world = begin(&w1);
    world_extend(world, "b", "a", "");
    until_blocked(world, "b");
    assert_true(tables_cancel(world, "b"));
    until_closed(world, 10000);
    failed_so(world, "b", "cancelled");
    end(world, w1);
}

/** They have a bound of their own, and stop no other before it. */
TEST_CASE(more_wait_for_a_source_than_may__consumption_pauses)
{
    struct node *w1;
    struct world *world = begin(&w1);
    char id[16];
    w1->worker.intake.options.backlog_max = 20;
    for (int i = 0; i < 150; i++) {
        snprintf(id, sizeof id, "f%d", i);
        world_extend(world, id, "a", "");
    }
    world_run_for(world, 30000);
    assert_false(w1->worker.intake.paused);
    assert_int_equal(world->tables->blocked, 150);
    world_ask(world, "x");
    until_state(world, "x", CLOSED, 5 * MINUTE_MS);
    for (int i = 150; i < 400; i++) {
        snprintf(id, sizeof id, "f%d", i);
        world_extend(world, id, "a", "");
    }
    world_run_for(world, 30000);
    assert_true(w1->worker.intake.paused);
    struct buf body;
    struct admin_answer answer = {.body = &body};
    buf_init(&body, 0);
    worker_answer(&w1->worker, STR("/readyz"), &answer);
    assert_int_equal(answer.status, 200);
    assert_non_null(
        strstr(body.bytes, "wait for the request that they extend"));
    assert_non_null(strstr(
        body.bytes, "most of them for what requests of tenant default extend"));
    buf_done(&body);
    end(world, w1);
}

/* ---- a look at all, part by part ---- */

static struct unblocked found(int64_t looked, const char *last, int64_t freed)
{
    struct unblocked unblocked = {.looked = looked, .freed = freed};
    snprintf(unblocked.last, sizeof unblocked.last, "%s", last);
    return unblocked;
}

static struct turn next_part(struct chains *chains)
{
    struct turn turn = {0};
    chains_gather(chains, &turn);
    return turn;
}

TEST_CASE(chains__a_look__goes_on_to_the_last_source)
{
    struct chains chains = {.wanted = true};
    struct unblocked news = found(SOURCES_MAX, "m", 5);
    assert_string_equal(next_part(&chains).chains_after, "");
    chains_lost(&chains);
    assert_true(next_part(&chains).chains);
    chains_came(&chains, &news);
    assert_string_equal(next_part(&chains).chains_after, "m");
    news = found(SOURCES_MAX - 1, "z", 0);
    chains_came(&chains, &news);
    assert_false(next_part(&chains).chains);
    news = found(0, "", 7); /* the saves' own */
    chains_came(&chains, &news);
    assert_false(chains.wanted);
}

TEST_CASE(chains__as_many_as_one_statement_frees__there_may_be_more)
{
    struct chains chains = {0};
    struct unblocked news = found(0, "", UNBLOCK_MAX);
    assert_false(next_part(&chains).chains);
    chains_came(&chains, &news);
    assert_true(next_part(&chains).chains);
    news = found(3, "c", UNBLOCK_MAX);
    chains_came(&chains, &news);
    assert_true(chains.wanted);
    assert_string_equal(next_part(&chains).chains_after, "");
    news = found(3, "c", 0);
    chains_came(&chains, &news);
    assert_false(chains.wanted);
}

TESTS_RUN(NULL, NULL)
