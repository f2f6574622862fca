#include "sim/scene.h"

/* What the provider may say to a submission, and what it may leave unsaid. */

/** One request and one worker; the POSTs go as `fates` say. */
static struct world *one(const char *fates, struct node **w1)
{
    struct world *world = world_open(1);
    *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 1000);
    provider_script(world, "a", fates);
    world_ask(world, "a");
    return world;
}

static void end(struct world *world, struct node *w1)
{
    node_free(w1);
    close_world(world);
}

TEST_CASE(a_refusal__for_good__fails_it_unpaid)
{
    static const struct {
        const char *fate;
        const char *kind;
    } cases[] = {{"400", "invalid_request"}, {"403", "submit_refused"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct node *w1;
        struct world *world = one(cases[i].fate, &w1);
        until_closed(world, MINUTE_MS);
        char expected[300];
        snprintf(expected, sizeof expected,
                 "w1: a > queued\n"
                 "w1: a queued > submitting (CLAIMED)\n"
                 "w1: a submitting > failed (REFUSED)\n"
                 "event a failed %s\n"
                 "w1: a failed > closed (ANNOUNCED)\n",
                 cases[i].kind);
        told(world, expected);
        const char *value = world->kafka->records[0].value;
        assert_non_null(strstr(value, "\"billed\":\"no\""));
        assert_non_null(strstr(value, "\"retry_safe\":true"));
        end(world, w1);
    }
}

TEST_CASE(not_now__goes_back_to_the_queue__and_is_made_later)
{
    static const struct {
        const char *fates;
        const char *outcome;
    } cases[] = {
        {"429", "PUT_OFF"}, {"503", "PUT_OFF"}, {"unsent", "NOT_SENT"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct node *w1;
        struct world *world = one(cases[i].fates, &w1);
        until_closed(world, 2 * MINUTE_MS);
        char expected[600];
        snprintf(expected, sizeof expected,
                 "w1: a > queued\n"
                 "w1: a queued > submitting (CLAIMED)\n"
                 "w1: a submitting > queued (%s)\n"
                 "w1: a queued > submitting (CLAIMED)\n"
                 "provider takes a as task_1\n"
                 "w1: a submitting > running (ACCEPTED)\n"
                 "w1: a running > ready (FINISHED)\n"
                 "stored default/a/0.mp4\n"
                 "w1: a ready > succeeded (STORED)\n"
                 "event a completed\n"
                 "w1: a succeeded > closed (ANNOUNCED)\n",
                 cases[i].outcome);
        told(world, expected);
        end(world, w1);
    }
}

TEST_CASE(an_empty_balance__holds_the_fleet__until_it_is_filled)
{
    struct node *w1;
    struct world *world = one("", &w1);
    struct node *w2 = node_start(world, "w2", NULL);
    world->provider->balance_empty = true;
    world_run_for(world, 10 * MINUTE_MS);
    assert_int_equal(times_told(world, "hold balance"), 1);
    assert_int_equal(world->provider->posts, 1);
    world_ask(world, "b");
    world_run_for(world, 10 * MINUTE_MS);
    assert_int_equal(world->provider->posts, 1);
    world->provider->balance_empty = false;
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(times_told(world, "lifted balance"), 1);
    assert_int_equal(times_told(world, "completed\n"), 2);
    node_free(w2);
    end(world, w1);
}

TEST_CASE(a_refused_key__holds_the_account__until_it_works)
{
    struct node *w1;
    struct world *world = one("", &w1);
    world->provider->key_refused = true;
    world_run_for(world, 10 * MINUTE_MS);
    assert_int_equal(times_told(world, "hold auth"), 1);
    assert_int_equal(world->provider->posts, 1);
    world->provider->key_refused = false;
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(times_told(world, "completed\n"), 1);
    end(world, w1);
}

/** Not the provider's word: nothing fails for it, and who met it steps back. */
TEST_CASE(a_firewalls_page__holds_the_channel__not_the_queue)
{
    struct node *w1;
    struct world *world = one("403_page 403_page 403_page", &w1);
    world_run_for(world, 2000);
    assert_int_equal(times_told(world, "hold channel"), 1);
    world_ask(world, "b");
    until_closed(world, 10 * MINUTE_MS);
    assert_int_equal(times_told(world, "failed"), 0);
    assert_int_equal(times_told(world, "lifted channel"), 3);
    assert_int_equal(provider_sold(world->provider, "a"), 1);
    /* At the first lift the others go, not who met it. */
    const char *taken = strstr(world->transcript.bytes, "provider takes b");
    const char *again =
        strstr(world->transcript.bytes, "w1: a queued > submitting");
    again = strstr(again + 1, "w1: a queued > submitting");
    assert_true(taken && again && taken < again);
    end(world, w1);
}

TEST_CASE(an_id_at_the_top__is_taken)
{
    struct node *w1;
    struct world *world = one("top_id", &w1);
    until_closed(world, MINUTE_MS);
    assert_int_equal(world->provider->posts, 1);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    end(world, w1);
}

TEST_CASE(a_lost_reply__where_keys_are_honoured__is_replayed)
{
    static const char *const fates[] = {"lost_reply", "slow", "500_taken",
                                        "stuck", "no_id"};
    for (size_t i = 0; i < sizeof fates / sizeof *fates; i++) {
        struct node *w1;
        struct world *world = one(fates[i], &w1);
        until_closed(world, 5 * MINUTE_MS);
        assert_int_equal(provider_sold(world->provider, "a"), 1);
        /* What got stuck may have come in or not. */
        assert_int_equal(times_told(world, "provider takes a as task_1"), 1);
        assert_true(times_told(world, "provider replays task_1") == 1 ||
                    strcmp(fates[i], "stuck") == 0);
        assert_int_equal(times_told(world, "event a completed\n"), 1);
        assert_int_equal(world->provider->posts, 2);
        end(world, w1);
    }
}

TEST_CASE(a_doubt__told_all_kinds_of_no__stays_a_doubt)
{
    struct node *w1;
    struct world *world =
        one("lost_reply 429 400 503 401 running 402 403 ok", &w1);
    until_closed(world, 8 * HOUR_MS);
    assert_int_equal(provider_sold(world->provider, "a"), 1);
    assert_int_equal(times_told(world, "a submitting >"), 1);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    end(world, w1);
}

TEST_CASE(a_doubt__three_replays_without_answer__is_settled)
{
    struct node *w1;
    struct world *world =
        one("lost_request lost_request lost_request lost_request", &w1);
    until_closed(world, 24 * HOUR_MS);
    told(world, "w1: a > queued\n"
                "w1: a queued > submitting (CLAIMED)\n"
                "w1: a submitting > failed (TIME_UP)\n"
                "event a failed submit_unknown\n"
                "w1: a failed > closed (ANNOUNCED)\n");
    assert_int_equal(world->provider->posts, 4);
    end(world, w1);
}

TEST_CASE(a_doubt__where_keys_are_not_honoured__is_settled)
{
    struct world *world = world_open(1);
    struct node *w1 = node_start(world, "w1", NULL);
    world->provider->told = KEYS_TOLD_NO;
    world->provider->honours_keys = false;
    provider_script(world, "a", "lost_reply");
    world_ask(world, "a");
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(world->provider->posts, 1);
    assert_int_equal(times_told(world, "event a failed submit_unknown"), 1);
    const char *value = world->kafka->records[0].value;
    assert_non_null(strstr(value, "\"billed\":\"unknown\""));
    assert_non_null(strstr(value, "\"retry_safe\":false"));
    end(world, w1);
}

TEST_CASE(a_doubt__in_settle_mode__waits_for_the_timeout_only)
{
    struct world *world = world_open(1);
    struct stage_options options = node_options();
    options.submit_doubt = DOUBT_SETTLE;
    struct node *w1 = node_start(world, "w1", &options);
    provider_script(world, "a", "lost_request");
    world_ask(world, "a");
    world_run_for(world, 44000);
    assert_int_equal(state_of(world, "a"), SUBMITTING);
    until_closed(world, 5000);
    assert_int_equal(world->provider->posts, 1);
    end(world, w1);
}

TEST_CASE(a_doubt__no_word_on_keys__waits_for_their_lifetime)
{
    struct world *world = world_open(1);
    world->provider->told = KEYS_TOLD_NOTHING;
    struct node *w1 = node_start(world, "w1", NULL);
    provider_script(world, "a", "lost_reply");
    world_ask(world, "a");
    world_run_for(world, 19 * HOUR_MS + 59 * MINUTE_MS);
    assert_int_equal(state_of(world, "a"), SUBMITTING);
    assert_int_equal(world->provider->posts, 1);
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a failed submit_unknown"), 1);
    end(world, w1);
}

TEST_CASE(a_doubt__the_word_on_keys_comes_late__is_replayed)
{
    struct world *world = world_open(1);
    world->provider->told = KEYS_TOLD_NOTHING;
    struct node *w1 = node_start(world, "w1", NULL);
    provider_script(world, "a", "lost_reply");
    world_ask(world, "a");
    world_run_for(world, HOUR_MS);
    assert_int_equal(world->provider->posts, 1);
    world->provider->told = KEYS_TOLD_YES;
    until_closed(world, 10 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    assert_int_equal(provider_sold(world->provider, "a"), 1);
    end(world, w1);
}

/** The same URL, another key. */
static struct stage_options other_account(void)
{
    struct stage_options options = node_options();
    accounts_one(options.accounts.at[0].keys[0].base_url, STR("sk-other"),
                 &options.accounts);
    return options;
}

TEST_CASE(a_doubt__of_another_account__is_never_replayed)
{
    struct node *w1;
    struct world *world = one("slow", &w1);
    const struct stage_options other = other_account();
    world_run_for(world, 1000);
    node_kill(w1);
    struct node *w2 = node_start(world, "w2", &other);
    world_run_for(world, 19 * HOUR_MS);
    assert_int_equal(world->provider->posts, 1);
    assert_int_equal(state_of(world, "a"), SUBMITTING);
    until_closed(world, 2 * HOUR_MS);
    assert_int_equal(world->provider->posts, 1);
    assert_int_equal(times_told(world, "event a failed submit_unknown"), 1);
    node_free(w2);
    end(world, w1);
}

TEST_CASE(a_task__of_another_account__is_polled_all_the_same)
{
    struct node *w1;
    struct world *world = one("", &w1);
    const struct stage_options other = other_account();
    until_state(world, "a", RUNNING, MINUTE_MS);
    node_kill(w1);
    struct node *w2 = node_start(world, "w2", &other);
    until_closed(world, 2 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    node_free(w2);
    end(world, w1);
}

TEST_CASE(a_task__denied_to_another_account__is_not_lost)
{
    struct node *w1;
    struct world *world = one("", &w1);
    const struct stage_options other = other_account();
    struct plan plan = provider_usual_plan();
    plan.unknown = true;
    provider_plan(world, "a", plan);
    until_state(world, "a", RUNNING, MINUTE_MS);
    node_kill(w1);
    struct node *w2 = node_start(world, "w2", &other);
    world_run_for(world, HOUR_MS);
    assert_int_equal(state_of(world, "a"), RUNNING);
    assert_int_equal(times_told(world, "event"), 0);
    until_closed(world, 30 * HOUR_MS);
    assert_int_equal(times_told(world, "event a failed timed_out"), 1);
    node_free(w2);
    end(world, w1);
}

/** Another's task may have the same id there. */
TEST_CASE(a_video__of_another_url__is_not_asked_for_here)
{
    struct node *w1;
    struct world *world = one("", &w1);
    struct stage_options other = node_options();
    accounts_one(STR("https://elsewhere.example"),
                 other.accounts.at[0].keys[0].key, &other.accounts);
    struct plan plan = provider_usual_plan();
    plan.videos = 0; /* completed, and a fresh poll has to bring the URL */
    provider_plan(world, "a", plan);
    until_state(world, "a", READY, 5 * MINUTE_MS);
    node_kill(w1);
    struct node *w2 = node_start(world, "w2", &other);
    world_run_for(world, HOUR_MS);
    assert_int_equal(state_of(world, "a"), READY);
    until_closed(world, 30 * HOUR_MS);
    assert_true(metric_value(w2->worker.engine.stage.metrics.polls) == 0);
    assert_int_equal(times_told(world, "event a failed asset_unusable"), 1);
    node_free(w2);
    end(world, w1);
}

TEST_CASE(a_result__called_indeterminate__is_settled)
{
    struct node *w1;
    struct world *world = one("indeterminate", &w1);
    until_closed(world, 5 * MINUTE_MS);
    assert_int_equal(world->provider->posts, 1);
    assert_int_equal(times_told(world, "event a failed submit_unknown"), 1);
    end(world, w1);
}

TEST_CASE(a_provider__that_is_away__costs_nothing_but_time)
{
    struct node *w1;
    struct world *world = one("", &w1);
    world->provider->away = true;
    world_run_for(world, HOUR_MS);
    assert_int_equal(times_told(world, "event"), 0);
    world->provider->away = false;
    until_closed(world, 5 * MINUTE_MS);
    assert_int_equal(times_told(world, "event a completed\n"), 1);
    end(world, w1);
}

TEST_CASE(the_fleet__at_its_limit_of_generations__waits)
{
    struct world *world = world_open(9);
    struct stage_options options = node_options();
    options.generations_max = 2;
    struct node *w1 = node_start(world, "w1", &options);
    struct node *w2 = node_start(world, "w2", &options);
    for (int i = 0; i < 10; i++) {
        char id[8];
        snprintf(id, sizeof id, "r%d", i);
        world_ask(world, id);
    }
    world_run_for(world, 10000);
    assert_int_equal(world->provider->sales_len, 2);
    until_closed(world, 5 * MINUTE_MS);
    assert_int_equal(times_told(world, "completed\n"), 10);
    node_free(w2);
    end(world, w1);
}

TESTS_RUN(NULL, NULL)
