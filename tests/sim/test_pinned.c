#include "sim/accounts.h"

/* What extends a task goes to the account that has it. */

static void extend_task(struct world *world, const char *id, const char *task,
                        const char *more)
{
    char text[400];
    snprintf(text, sizeof text,
             "{\"request_id\":\"%s\",\"request\":{\"prompt\":\"%s\","
             "\"extend_from_task_id\":\"%s\"}%s}",
             id, id, task, more);
    kafka_request(world, text);
}

static void name_pair(char id[16], char source[16], int i)
{
    snprintf(id, 16, "x%d", i);
    snprintf(source, 16, "r%d", i);
}

/** By its own id, or by the provider's. */
TEST_CASE(what_extends__goes_to_the_account_that_has_it)
{
    char id[16];
    char source[16];
    struct node *w1;
    struct world *world = begin(&w1, THREE);
    world_run_for(world, 2000);
    ask_many(world, 0, 20);
    for (int i = 0; i < 20; i += 2) {
        name_pair(id, source, i);
        world_extend(world, id, source, "");
    }
    until_closed(world, HOUR_MS);
    for (int i = 1; i < 20; i += 2) {
        name_pair(id, source, i);
        extend_task(world, id, sale_named(world, source)->id, "");
    }
    world_run_for(world, 2000);
    until_closed(world, HOUR_MS);
    assert_int_equal(times_told(world, "completed\n"), 40);
    for (int i = 0; i < 20; i++) {
        name_pair(id, source, i);
        assert_int_equal(provider_sold(world->provider, id), 1);
        assert_string_equal(sale_named(world, id)->bearer,
                            sale_named(world, source)->bearer);
    }
    end(world, w1);
}

/** In a queue of its own: no other account buys it, and nobody waits for it. */
TEST_CASE(what_extends__waits_for_its_account__in_nobodys_way)
{
    char id[16];
    char source[16];
    struct node *w1;
    struct world *world = begin(&w1, THREE);
    world_run_for(world, 2000);
    world_ask(world, "r0");
    until_closed(world, HOUR_MS);
    char account[2] = {sale_named(world, "r0")->bearer[0], '\0'};
    snprintf(world->provider->broke, sizeof world->provider->broke, "%s",
             account);
    for (int i = 0; i < 5; i++) {
        name_pair(id, source, i);
        world_extend(world, id, "r0", i ? ",\"priority\":9" : "");
    }
    ask_many(world, 1, 60);
    world_run_for(world, 5 * MINUTE_MS);
    assert_int_equal(times_told(world, "completed\n"), 60);
    for (int i = 0; i < 5; i++) {
        name_pair(id, source, i);
        assert_int_equal(state_of(world, id), QUEUED);
        assert_null(sale_named(world, id));
    }
    world->provider->broke[0] = '\0';
    until_closed(world, HOUR_MS);
    assert_int_equal(times_told(world, "completed\n"), 65);
    assert_int_equal(strncmp(sale_named(world, "x0")->bearer, account, 1), 0);
    end(world, w1);
}

/** The claims of the other accounts find nothing of its tenant. */
TEST_CASE(what_extends__alone_among_tenants_that_share__is_soon_bought)
{
    static const char *const accounts[] = {"c", "b", "a"};
    struct node *w1;
    struct world *world = begin(&w1, THREE);
    tables_tenant(world, "someone", 2, 0);
    world_run_for(world, 5000);
    for (int i = 0; i < 3; i++) {
        char id[16];
        char more[40];
        snprintf(id, sizeof id, "only-%s", accounts[i]);
        snprintf(more, sizeof more, ",\"account\":\"%s\"", accounts[i]);
        extend_task(world, id, "task_x", more);
        world_run_for(world, 10000);
        assert_non_null(sale_named(world, id));
        assert_string_equal(sale_named(world, id)->bearer, accounts[i]);
    }
    end(world, w1);
}

TEST_CASE(what_extends_a_foreign_task__goes_where_it_says_or_to_the_default)
{
    struct node *w1;
    struct world *world =
        begin(&w1, "[{\"name\":\"a\",\"key\":\"a\",\"weight\":9},"
                   "{\"name\":\"default\",\"key\":\"d\"}]");
    world_run_for(world, 2000);
    world_ask(world, "r0");
    until_closed(world, HOUR_MS);
    extend_task(world, "usual", "task_x", "");
    extend_task(world, "said", "task_x", ",\"account\":\"a\"");
    extend_task(world, "none", "task_x", ",\"account\":\"b\"");
    extend_task(world, "ours", "task_1", ",\"account\":\"default\"");
    kafka_request(world, "{\"request_id\":\"plain\",\"request\":{\"prompt\":"
                         "\"plain\"},\"account\":\"a\"}");
    world_run_for(world, 2000);
    until_closed(world, HOUR_MS);
    assert_string_equal(sale_named(world, "usual")->bearer, "d");
    assert_string_equal(sale_named(world, "said")->bearer, "a");
    assert_null(sale_named(world, "plain"));
    assert_non_null(strstr(event_of(world, "plain"), "\"field\":\"account\""));
    assert_null(sale_named(world, "none"));
    assert_int_equal(times_told(world, "event none failed invalid_request\n"),
                     1);
    assert_non_null(strstr(event_of(world, "none"), "\"field\":\"account\""));
    assert_string_equal(sale_named(world, "ours")->bearer,
                        sale_named(world, "r0")->bearer);
    assert_non_null(strstr(event_of(world, "ours"), "\"no_effect\""));
    end(world, w1);
}

TEST_CASE(what_extends_a_foreign_task__without_a_default__has_to_say_where)
{
    struct node *w1;
    struct world *world = begin(&w1, THREE);
    world_run_for(world, 2000);
    extend_task(world, "none", "task_x", "");
    extend_task(world, "said", "task_x", ",\"account\":\"c\"");
    world_run_for(world, 2000);
    until_closed(world, HOUR_MS);
    assert_null(sale_named(world, "none"));
    assert_non_null(strstr(event_of(world, "none"), "\"code\":\"required\""));
    assert_string_equal(sale_named(world, "said")->bearer, "c");
    end(world, w1);
    world = begin(&w1, "[{\"name\":\"b\",\"key\":\"b\"}]");
    world_run_for(world, 2000);
    extend_task(world, "only", "task_x", "");
    world_run_for(world, 2000);
    until_closed(world, HOUR_MS);
    assert_string_equal(sale_named(world, "only")->bearer, "b");
    end(world, w1);
}

TESTS_RUN(NULL, NULL)
