#include "sim/scene.h"

#include "flow/status.h"

#include <stdlib.h>

/* Whatever waits for more than half a minute has its reason; what flows has
 * none. */

static struct world *world_of_one(struct node **w1)
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

static const struct reason_of *reason(struct world *world, const char *id)
{
    const struct record_of *record = tables_find(world->tables, id);
    return record && record->has_reason ? &record->reason : NULL;
}

static int rows(const struct world *world)
{
    int n = 0;
    for (size_t i = 0; i < world->tables->len; i++) {
        n += world->tables->records[i]->has_reason;
    }
    return n;
}

static const struct reason_of *shared(const struct world *world,
                                      const char *word)
{
    const struct tables *tables = world->tables;
    for (size_t i = 0; i < tables->shared_len; i++) {
        if (strcmp(tables->shared[i].word, word) == 0) {
            return &tables->shared[i];
        }
    }
    return NULL;
}

TEST_CASE(what_flows__has_no_row)
{
    struct node *w1;
    struct world *world = world_of_one(&w1);
    struct plan plan = provider_usual_plan();
    plan.run_ms = 5 * MINUTE_MS;
    provider_plan(world, "a", plan);
    world_ask(world, "a");
    until_closed(world, 10 * MINUTE_MS);
    assert_int_equal(world->tables->reasons_written, 0);
    assert_int_equal(world->tables->shared_len, 0);
    end(world, w1);
}

TEST_CASE(a_download__that_keeps_failing__says_so_until_it_works)
{
    struct node *w1;
    struct world *world = world_of_one(&w1);
    world->provider->hosts_away = true;
    world_ask(world, "a");
    until_state(world, "a", READY, MINUTE_MS);
    world_run_for(world, 20000);
    assert_null(reason(world, "a"));
    world_run_for(world, 20000);
    const struct reason_of *why = reason(world, "a");
    assert_non_null(why);
    assert_string_equal(why->word, "fetch_failed");
    assert_int_equal(why->state, READY);
    assert_true(why->tries >= 4);
    assert_true(why->answer[0] != '\0');
    assert_true(why->next_ms > why->since_ms);
    int32_t tries = why->tries;
    world_run_for(world, 5 * MINUTE_MS);
    assert_true(reason(world, "a")->tries > tries);
    /* Not one write for each try, and none for each look at it. */
    assert_true(world->tables->reasons_written < 14);
    world->provider->hosts_away = false;
    until_closed(world, 5 * MINUTE_MS);
    world_run_for(world, 1000);
    assert_int_equal(rows(world), 0);
    end(world, w1);
}

TEST_CASE(a_video__that_is_none__is_another_reason)
{
    struct node *w1;
    struct world *world = world_of_one(&w1);
    struct plan plan = provider_usual_plan();
    plan.no_video = true;
    provider_plan(world, "a", plan);
    world_ask(world, "a");
    until_state(world, "a", READY, MINUTE_MS);
    world_run_for(world, MINUTE_MS);
    assert_string_equal(reason(world, "a")->word, "unusable");
    until_closed(world, 3 * HOUR_MS);
    world_run_for(world, 1000);
    assert_int_equal(rows(world), 0);
    end(world, w1);
}

TEST_CASE(polls__that_are_missed__are_named_and_forgotten)
{
    struct node *w1;
    struct world *world = world_of_one(&w1);
    struct plan plan = provider_usual_plan();
    plan.run_ms = 10 * MINUTE_MS;
    provider_plan(world, "a", plan);
    world_ask(world, "a");
    until_state(world, "a", RUNNING, MINUTE_MS);
    world->provider->away = true;
    world_run_for(world, MINUTE_MS);
    assert_string_equal(reason(world, "a")->word, "missed");
    assert_int_equal(reason(world, "a")->state, RUNNING);
    world->provider->away = false;
    world_run_for(world, 2 * MINUTE_MS);
    assert_int_equal(state_of(world, "a"), RUNNING);
    assert_null(reason(world, "a"));
    until_closed(world, 15 * MINUTE_MS);
    end(world, w1);
}

TEST_CASE(a_doubt__says_what_was_answered)
{
    struct world *world = world_open(1);
    world->provider->told = KEYS_TOLD_NOTHING; /* no answer decides nothing */
    struct node *w1 = node_start(world, "w1", NULL);
    provider_script(world, "a", "500_taken");
    world_ask(world, "a");
    until_state(world, "a", SUBMITTING, MINUTE_MS);
    world_run_for(world, MINUTE_MS);
    const struct reason_of *why = reason(world, "a");
    assert_non_null(why);
    assert_string_equal(why->word, "unreadable");
    assert_int_equal(why->state, SUBMITTING);
    assert_non_null(strstr(why->answer, "HTTP 500"));
    end(world, w1);
}

TEST_CASE(a_provider__that_is_away__is_one_reason_for_all)
{
    struct node *w1;
    struct world *world = world_of_one(&w1);
    world->provider->away = true;
    for (int i = 0; i < 20; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%d", i);
        world_ask(world, id);
    }
    world_run_for(world, 2 * MINUTE_MS);
    assert_int_equal(rows(world), 0);
    assert_int_equal(world->tables->shared_len, 1);
    const struct reason_of *why = shared(world, "unreached");
    assert_non_null(why);
    assert_true(why->tries > 1);
    assert_true(why->answer[0] != '\0');
    world->provider->away = false;
    until_closed(world, 5 * MINUTE_MS);
    world_run_for(world, 10000);
    assert_int_equal(world->tables->shared_len, 0);
    end(world, w1);
}

TEST_CASE(generations_max__that_is_reached__is_told)
{
    struct world *world = world_open(1);
    struct stage_options options = node_options();
    options.generations_max = 1;
    struct node *w1 = node_start(world, "w1", &options);
    struct plan plan = provider_usual_plan();
    plan.run_ms = 3 * MINUTE_MS;
    provider_plan(world, "a", plan);
    world_ask(world, "a");
    world_ask(world, "b");
    world_run_for(world, MINUTE_MS);
    assert_non_null(shared(world, "generations_full"));
    assert_non_null(
        strstr(shared(world, "generations_full")->answer, "GENERATIONS_MAX=1"));
    until_closed(world, 10 * MINUTE_MS);
    world_run_for(world, 10000);
    assert_int_equal(world->tables->shared_len, 0);
    end(world, w1);
}

TEST_CASE(a_throttle__is_told)
{
    struct node *w1;
    struct world *world = world_of_one(&w1);
    provider_script(world, "a", "429 429 429 429 429 429 429 429 429 429");
    world_ask(world, "a");
    world_run_for(world, MINUTE_MS);
    assert_non_null(shared(world, "throttle"));
    assert_non_null(strstr(shared(world, "throttle")->answer, "HTTP 429"));
    until_closed(world, 30 * MINUTE_MS);
    world_run_for(world, 10000);
    assert_int_equal(world->tables->shared_len, 0);
    end(world, w1);
}

TEST_CASE(more_than_have_rows__are_one_reason)
{
    struct node *w1;
    struct world *world = world_of_one(&w1);
    for (int i = 0; i < REASONS_MAX + 20; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%d", i);
        world_ask(world, id);
    }
    world->provider->hosts_away = true;
    world_run_for(world, 3 * MINUTE_MS);
    assert_int_equal(rows(world), REASONS_MAX);
    assert_non_null(shared(world, "many"));
    world->provider->hosts_away = false;
    until_closed(world, 15 * MINUTE_MS);
    world_run_for(world, 10000);
    assert_int_equal(rows(world), 0);
    assert_int_equal(world->tables->shared_len, 0);
    end(world, w1);
}

TEST_CASE(words_of_a_dead_worker__are_swept)
{
    struct node *w1;
    struct world *world = world_of_one(&w1);
    world->provider->hosts_away = true;
    world_ask(world, "a");
    until_state(world, "a", READY, MINUTE_MS);
    world_run_for(world, MINUTE_MS);
    int32_t fence = reason(world, "a")->fence;
    node_kill(w1);
    struct node *w2 = node_start(world, "w2", NULL);
    world_run_for(world, 2 * MINUTE_MS);
    assert_int_equal(reason(world, "a")->fence, fence + 1);
    node_kill(w2);
    world->provider->hosts_away = false;
    struct node *w3 = node_start(world, "w3", NULL);
    until_closed(world, 2 * MINUTE_MS);
    world_run_for(world, 2 * MINUTE_MS);
    assert_int_equal(rows(world), 0);
    node_free(w2);
    node_free(w3);
    end(world, w1);
}

TEST_CASE(a_lost_answer__leaves_no_row_behind)
{
    struct node *w1;
    struct world *world = world_of_one(&w1);
    world->provider->hosts_away = true;
    world_ask(world, "a");
    until_state(world, "a", READY, MINUTE_MS);
    world_run_for(world, MINUTE_MS);
    assert_int_equal(rows(world), 1);
    tables_lose(world, UNIT_SAVE, SUCCEEDED, false);
    world->provider->hosts_away = false;
    until_closed(world, 5 * MINUTE_MS);
    world_run_for(world, 10000);
    assert_int_equal(rows(world), 0);
    end(world, w1);
}

/** What the probes of a worker say. */
static void probe(struct node *node, const char *path, struct buf *out)
{
    struct admin_answer answer = {.body = out};
    out->len = 0;
    worker_answer(&node->worker, str_of(path), &answer);
    buf_add_char(out, '\0');
}

TEST_CASE(the_probes__show_what_waits)
{
    struct node *w1;
    struct world *world = world_of_one(&w1);
    struct buf out;
    buf_init(&out, 0);
    world->provider->hosts_away = true;
    world_ask(world, "a");
    until_state(world, "a", READY, MINUTE_MS);
    probe(w1, "/readyz", &out);
    assert_null(strstr(out.bytes, "reason:"));
    world_run_for(world, MINUTE_MS);
    probe(w1, "/readyz", &out);
    assert_non_null(
        strstr(out.bytes, "reason: fetch_failed: 1 task, since 20"));
    assert_non_null(strstr(out.bytes, " tries, the next at 20"));
    probe(w1, "/metrics", &out);
    assert_non_null(strstr(
        out.bytes, "pixverse_tasks_waiting{reason=\"fetch_failed\"} 1\n"));
    assert_non_null(
        strstr(out.bytes, "pixverse_tasks_waiting{reason=\"missed\"} 0\n"));
    probe(w1, "/task?id=1", &out);
    assert_non_null(strstr(out.bytes, "\"request_id\":\"a\""));
    assert_non_null(strstr(out.bytes, "\"state\":\"ready\""));
    assert_non_null(strstr(out.bytes, "\"word\":\"fetch_failed\""));
    assert_non_null(strstr(out.bytes, "\"lease\":1,"));
    probe(w1, "/task?id=2", &out);
    assert_null(strstr(out.bytes, "request_id"));
    world->provider->hosts_away = false;
    until_closed(world, 5 * MINUTE_MS);
    world->provider->away = true;
    world_ask(world, "b");
    world_run_for(world, MINUTE_MS);
    probe(w1, "/readyz", &out);
    assert_non_null(
        strstr(out.bytes, "reason: unreached: all that wait for it"));
    probe(w1, "/metrics", &out);
    assert_non_null(
        strstr(out.bytes, "pixverse_shared_reason{reason=\"unreached\"} 1\n"));
    buf_done(&out);
    end(world, w1);
}

TEST_CASE(outcomes__are_counted_once)
{
    struct node *w1;
    struct world *world = world_of_one(&w1);
    struct plan plan = provider_usual_plan();
    plan.end = "failed";
    provider_plan(world, "a", plan);
    world_ask(world, "a");
    until_closed(world, MINUTE_MS);
    struct buf out;
    buf_init(&out, 0);
    metrics_write(w1->edges.metrics, &out);
    assert_non_null(strstr(
        out.bytes, "pixverse_outcomes_total{outcome=\"UPSTREAM_FAILED\"} 1\n"));
    buf_done(&out);
    end(world, w1);
}

TESTS_RUN(NULL, NULL)
