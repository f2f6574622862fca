#include <string.h>

#include "lib/check.h"
#include "base/buf.h"
#include "base/log.h"

static struct buf seen;

static void keep(const char *line, size_t len, void *context)
{
    (void)context;
    buf_add(&seen, line, len);
}

static int set_up(void **state)
{
    (void)state;
    buf_reset(&seen);
    log_redirect(keep, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    log_redirect(NULL, NULL);
    buf_done(&seen);
    return 0;
}

static void log_line__as_json__is_one_object_with_every_field(void **state)
{
    (void)state;
    log_open(LOG_INFO, true);
    log_at(LOG_WARN, "a \"b\"\n", LOG_TEXT("name", "v\n"), LOG_I64("n", -5),
           LOG_BOOL("yes", true), LOG_TEXT("none", NULL));
    assert_memory_equal(seen.bytes, "{\"time\":\"20", 11);
    assert_string_equal(strstr(seen.bytes, ",\"level\""),
                        ",\"level\":\"warn\",\"message\":\"a \\\"b\\\"\\n\","
                        "\"name\":\"v\\n\",\"n\":-5,\"yes\":true,\"none\":\"\""
                        "}\n");
}

static void log_line__as_text__never_breaks_the_line(void **state)
{
    (void)state;
    log_open(LOG_INFO, false);
    log_at(LOG_ERROR, "two\nlines", LOG_TEXT("plain", "a-b"),
           LOG_TEXT("odd", "a b\nERROR"), LOG_BOOL("no", false));
    assert_string_equal(
        seen.bytes + 25,
        "ERROR two lines plain=a-b odd=\"a b\\nERROR\" no=false\n");
}

static void log_line__below_the_least_level__writes_nothing(void **state)
{
    (void)state;
    log_open(LOG_WARN, false);
    assert_false(log_wants(LOG_INFO));
    log_at(LOG_INFO, "quiet");
    assert_int_equal(seen.len, 0);
    log_at(LOG_WARN, "loud");
    assert_true(seen.len > 0);
}

static void log_level_parse__words__known_ones_only(void **state)
{
    (void)state;
    enum log_level level = LOG_ERROR;
    assert_true(log_level_parse(STR("debug"), &level));
    assert_int_equal(level, LOG_DEBUG);
    assert_false(log_level_parse(STR("DEBUG"), &level));
    assert_false(log_level_parse(STR(""), &level));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            log_line__as_json__is_one_object_with_every_field, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            log_line__as_text__never_breaks_the_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            log_line__below_the_least_level__writes_nothing, set_up, tear_down),
        cmocka_unit_test(log_level_parse__words__known_ones_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
