#include "core/source.h"
#include "lib/check.h"

#include <string.h>

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 4096, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static void joins(const char *body, const char *id, const char *expected)
{
    struct str sent = source_join(str_of(body), id, &arena);
    if (!str_eq(sent, str_of(expected))) {
        fail_msg("%.*s, not %s", (int)sent.len, sent.at, expected);
    }
}

#define TEMPLATE(name)                                                         \
    "{\"model\":\"m\",\"prompt\":\"a\",\"extend_from_request_id\":\"" name "\"}"

TEST_CASE_WITH(source_join__a_template__has_the_providers_id, set_up, tear_down)
{
    joins(TEMPLATE("r-1"), "task_1",
          "{\"model\":\"m\",\"prompt\":\"a\","
          "\"extend_from_task_id\":\"task_1\"}");
    joins(TEMPLATE("r-1"), "t\"a\\b",
          "{\"model\":\"m\",\"prompt\":\"a\","
          "\"extend_from_task_id\":\"t\\\"a\\\\b\"}");
    struct str one = source_join(STR(TEMPLATE("r")), "t", &arena);
    struct str two = source_join(STR(TEMPLATE("r")), "t", &arena);
    assert_true(str_eq(one, two));
}

TEST_CASE_WITH(source_join__no_template__is_the_body_as_it_is, set_up,
               tear_down)
{
    static const char *const bodies[] = {
        "{\"model\":\"m\",\"prompt\":\"a\"}",
        "{\"prompt\":\",\\\"extend_from_request_id\\\":\\\"r\\\"}\"}",
        "{\"prompt\":\"\\\",\\\"extend_from_request_id\\\":\\\"r\"}",
        "{\"prompt\":\"a\",\"extend_from_task_id\":\"t\"}",
        "{\"prompt\":\"a\",\"duration\":5}",
        "{}",
        "\"}",
        "",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        joins(bodies[i], NULL, bodies[i]);
        joins(bodies[i], "task_1", bodies[i]);
    }
}

/** It would be bought as a text without a source. */
TEST_CASE_WITH(source_join__a_template_without_an_id__must_not_leave, set_up,
               tear_down)
{
    assert_null(source_join(STR(TEMPLATE("r")), NULL, &arena).at);
    assert_null(source_join(STR(TEMPLATE("r")), "", &arena).at);
}

TESTS_RUN(NULL, NULL)
