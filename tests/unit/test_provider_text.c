#include "core/provider_text.h"
#include "unit/arena.h"

#include <string.h>

static void expect(const char *text, const char *wanted)
{
    struct str got = provider_text(str_of(text), 100, &arena);
    if (!str_eq(got, str_of(wanted))) {
        fail_msg("%s: %.*s, not %s", text, (int)got.len, got.at, wanted);
    }
}

TEST_CASE(provider_text__secrets__are_dots)
{
    expect("no route", "no route");
    expect("  \n", "");
    expect("a\nb\tc\x7f"
           "d",
           "a b c d");
    expect("see https://h/v.mp4?sig=abc&x=1 now", "see https://h/v.mp4... now");
    expect("what? no URL", "what? no URL");
    expect("key sk-abcdefghijkl is wrong", "key ... is wrong");
    expect("key SK-abcdefghijkl", "key ...");
    expect("sk-short", "sk-short"); /* somebody's word */
    expect("task-abcdefghijklmnop", "task-abcdefghijklmnop");
}

TEST_CASE(provider_text__too_long__is_cut_between_letters)
{
    struct str got = provider_text(STR("视频视频"), 3, &arena);
    assert_true(str_eq(got, STR("视频视")));
    got = provider_text(STR("ab   cd"), 4, &arena);
    assert_true(str_eq(got, STR("ab")));
}

TEST_CASE(provider_json__any_bytes__are_made_utf8)
{
    struct str got = provider_json(STR("\xef\xbb\xbf{}"), &arena);
    assert_true(str_eq(got, STR("{}")));
    got = provider_json(STR("{\"a\":\"\xff\xe8\xa7\"}"), &arena);
    assert_true(str_is_utf8(got));
    assert_true(str_starts(got, STR("{\"a\":\"\xef\xbf\xbd")));
    got = provider_json(STR(""), &arena);
    assert_int_equal(got.len, 0);
}

TEST_CASE(provider_json__no_numbers__are_null)
{
    struct str got = provider_json(
        STR("{\"a\":NaN,\"NaN\":[-Infinity,Infinity],\"b\":\"\\\"NaN\"}"),
        &arena);
    assert_true(str_eq(got, STR("{\"a\":null,\"NaN\":[null,null],"
                                "\"b\":\"\\\"NaN\"}")));
    got = provider_json(STR("{\"a\":\"nan\\"), &arena);
    assert_true(str_eq(got, STR("{\"a\":\"nan\\")));
}

TESTS_RUN(arena_begin, arena_end)
