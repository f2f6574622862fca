#include "sim/scene.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What /metrics says of tasks, and that asking changes nothing. */

#define HOUR_MS INT64_C(3600000)

/** The value of a series as a scrape shows it; NaN: it is not there. */
static double scraped(struct node *node, const char *series)
{
    struct buf out;
    buf_init(&out, 0);
    struct admin_answer answer = {.body = &out};
    worker_answer(&node->worker, STR("/metrics"), &answer);
    buf_add_char(&out, '\0');
    char line[160];
    snprintf(line, sizeof line, "\n%s ", series);
    const char *at = strstr(out.bytes, line);
    const double value = at ? strtod(at + strlen(line), NULL) : NAN;
    buf_done(&out);
    return value;
}

TEST_CASE(a_completed_task__its_time_and_cost_are_told)
{
    struct world *world = world_open(1);
    struct node *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 1000);
    assert_true(scraped(w1, "pixverse_ready") == 1);
    assert_true(scraped(w1, "pixverse_build_info{version=\"" PROGRAM_VERSION
                            "\"}") == 1);
    assert_true(scraped(w1, "process_open_fds") > 0);
    assert_true(isinf(scraped(w1, "pixverse_video_expiry_seconds")));
    world_ask(world, "a");
    until_closed(world, MINUTE_MS);
    for (int i = 0; i < 2; i++) { /* the second scrape sees the same */
        assert_true(
            scraped(w1, "pixverse_settle_seconds_count{end=\"completed\"}") ==
            1);
        assert_true(
            scraped(w1, "pixverse_settle_seconds_sum{end=\"completed\"}") > 0);
        assert_true(
            scraped(w1, "pixverse_settle_seconds_count{end=\"failed\"}") == 0);
        assert_true(scraped(w1, "pixverse_cost_total") > 0);
        assert_true(scraped(w1, "pixverse_cost_unknown_total") == 0);
        assert_true(
            scraped(w1,
                    "pixverse_submit_seconds_count{outcome=\"ACCEPTED\"}") ==
            1);
        assert_true(scraped(w1, "pixverse_provider_replies_total{effect="
                                "\"submit\",status=\"2xx\"}") == 1);
        assert_true(scraped(w1, "pixverse_poll_seconds_count") ==
                    scraped(w1, "pixverse_polls_total"));
    }
    end_scene(world, w1, NULL);
}

TEST_CASE(a_doubt__its_age_grows)
{
    struct world *world = world_open(2);
    world->provider->told = KEYS_TOLD_NOTHING;
    struct node *w1 = node_start(world, "w1", NULL);
    provider_script(world, "a", "lost_reply");
    world_ask(world, "a");
    world_run_for(world, HOUR_MS);
    assert_true(scraped(w1, "pixverse_tasks_in_doubt") == 1);
    const double age = scraped(w1, "pixverse_doubt_age_seconds");
    assert_true(age > 3500 && age <= 3600);
    assert_true(
        scraped(w1, "pixverse_submit_seconds_count{outcome=\"UNANSWERED\"}") ==
        1);
    assert_true(scraped(w1, "pixverse_provider_replies_total{effect=\"submit\","
                            "status=\"none\"}") == 1);
    end_scene(world, w1, NULL);
}

TEST_CASE(a_video__not_home_yet__its_expiry_comes_nearer)
{
    struct world *world = world_open(3);
    struct node *w1 = node_start(world, "w1", NULL);
    world->provider->hosts_away = true;
    world_ask(world, "a");
    until_state(world, "a", READY, MINUTE_MS);
    const double before = scraped(w1, "pixverse_video_expiry_seconds");
    assert_true(before > 60 && !isinf(before));
    world_run_for(world, MINUTE_MS);
    const double after = scraped(w1, "pixverse_video_expiry_seconds");
    assert_true(before - after > 59 && before - after < 61);
    world->provider->hosts_away = false;
    until_closed(world, 10 * MINUTE_MS);
    assert_true(isinf(scraped(w1, "pixverse_video_expiry_seconds")));
    end_scene(world, w1, NULL);
}

TEST_CASE(a_dead_worker__the_takeover_is_timed)
{
    struct world *world = world_open(4);
    struct node *w1 = node_start(world, "w1", NULL);
    struct node *w2 = node_start(world, "w2", NULL);
    world_run_for(world, 11000);
    world_ask(world, "a");
    until_state(world, "a", RUNNING, MINUTE_MS);
    const bool first = tables_find(world->tables, "a")->row.owner ==
                       w1->worker.engine.turns.owner;
    struct node *heir = first ? w2 : w1;
    node_kill(first ? w1 : w2);
    world_run_for(world, 10000);
    assert_true(scraped(heir, "pixverse_taken_over_total") == 1);
    assert_true(scraped(heir, "pixverse_takeover_seconds_count") == 1);
    const double took = scraped(heir, "pixverse_takeover_seconds_sum");
    assert_true(took >= 5 && took < 10);
    until_closed(world, MINUTE_MS);
    end_scene(world, w1, w2);
}

TEST_CASE(a_row__that_somebody_wrote__its_save_is_counted_as_fenced)
{
    struct world *world = world_open(5);
    struct node *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 1000);
    world_ask(world, "a");
    until_state(world, "a", RUNNING, MINUTE_MS);
    assert_true(scraped(w1, "pixverse_store_fenced_total") == 0);
    world->tables->records[0]->row.version++;
    until_closed(world, MINUTE_MS);
    assert_true(scraped(w1, "pixverse_store_fenced_total") >= 1);
    end_scene(world, w1, NULL);
}

TEST_CASE(a_queue__that_waits__has_an_oldest)
{
    struct world *world = world_open(6);
    world->provider->away = true;
    struct node *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 1000);
    world_ask(world, "a");
    world_run_for(world, 10 * MINUTE_MS);
    const double age = scraped(w1, "pixverse_fleet_oldest_queued_seconds");
    assert_true(age > 500 && age <= 601);
    world->provider->away = false;
    until_closed(world, 60 * MINUTE_MS);
    world_run_for(world, MINUTE_MS);
    assert_true(scraped(w1, "pixverse_fleet_oldest_queued_seconds") == 0);
    end_scene(world, w1, NULL);
}

TESTS_RUN(NULL, NULL)
