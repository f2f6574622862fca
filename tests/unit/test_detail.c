#include "core/detail.h"
#include "unit/arena.h"

#include <string.h>

static void expect_json(const struct details *details, const char *wanted)
{
    struct str got = details_to_json(details, &arena);
    assert_int_equal(got.len, strlen(wanted));
    assert_memory_equal(got.at, wanted, got.len);
}

TEST_CASE(details_to_json__none__is_an_empty_array)
{
    expect_json(&(struct details){0}, "[]");
}

TEST_CASE(details_to_json__some__stand_in_their_order_and_quoted)
{
    struct detail items[] = {
        {STR("seed"), "out_of_range", STR("seed is -1")},
        {STR("prompt"), "blank", STR("a \"b\"\n")},
    };
    expect_json(&(struct details){items, 2},
                "[{\"field\":\"seed\",\"code\":\"out_of_range\","
                "\"message\":\"seed is -1\"},"
                "{\"field\":\"prompt\",\"code\":\"blank\","
                "\"message\":\"a \\\"b\\\"\\n\"}]");
}

TESTS_RUN(arena_begin, arena_end)
