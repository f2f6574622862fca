#include <string.h>

#include "lib/check.h"
#include "base/str.h"

TEST_CASE(str_to_i64__texts__digits_within_the_range_only)
{
    static const struct {
        const char *text;
        int64_t min, max;
        bool fine;
        int64_t value;
    } rows[] = {
        {"0", 0, 10, true, 0},
        {"10", 0, 10, true, 10},
        {"11", 0, 10, false, 0},
        {"-1", 0, 10, false, 0},
        {"-1", -5, 10, true, -1},
        {"", 0, 10, false, 0},
        {"-", -5, 10, false, 0},
        {"+1", 0, 10, false, 0},
        {" 1", 0, 10, false, 0},
        {"1x", 0, 10, false, 0},
        {"0x1", 0, 10, false, 0},
        {"9223372036854775807", INT64_MIN, INT64_MAX, true, INT64_MAX},
        {"-9223372036854775808", INT64_MIN, INT64_MAX, true, INT64_MIN},
        {"9223372036854775808", INT64_MIN, INT64_MAX, false, 0},
        {"-9223372036854775809", INT64_MIN, INT64_MAX, false, 0},
        {"99999999999999999999", INT64_MIN, INT64_MAX, false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t value = 4711;
        bool fine =
            str_to_i64(str_of(rows[i].text), rows[i].min, rows[i].max, &value);
        assert_int_equal(fine, rows[i].fine);
        assert_int_equal(value, fine ? rows[i].value : 4711);
    }
}

TEST_CASE(str_is_utf8__byte_sequences__are_judged_by_the_standard)
{
    assert_true(str_is_utf8(STR("")));
    assert_true(str_is_utf8(STR("a\xc3\xa9\xe6\xbc\xa2\xf0\x9f\x8e\xac")));
    assert_true(str_is_utf8(STR("\xf4\x8f\xbf\xbf")));
    assert_false(str_is_utf8(STR("\x80")));
    assert_false(str_is_utf8(STR("\xc3")));
    assert_false(str_is_utf8(STR("\xc0\x80")));
    assert_false(str_is_utf8(STR("\xe0\x80\x80")));
    assert_false(str_is_utf8(STR("\xed\xa0\x80")));
    assert_false(str_is_utf8(STR("\xf0\x80\x80\x80")));
    assert_false(str_is_utf8(STR("\xf4\x90\x80\x80")));
    assert_false(str_is_utf8(STR("\xff")));
}

TEST_CASE(str_cut_points__many_byte_letters__are_never_cut_through)
{
    struct str text = STR("a\xc3\xa9\xe6\xbc\xa2z");
    assert_int_equal(str_code_points(text), 4);
    assert_int_equal(str_cut_points(text, 0).len, 0);
    assert_int_equal(str_cut_points(text, 2).len, 3);
    assert_int_equal(str_cut_points(text, 3).len, 6);
    assert_int_equal(str_cut_points(text, 4).len, 7);
    assert_int_equal(str_cut_points(text, 9).len, 7);
}

TEST_CASE(str_distance__pairs__counts_slips_and_swaps)
{
    assert_int_equal(str_distance(STR("prompt"), STR("prompt")), 0);
    assert_int_equal(str_distance(STR("promt"), STR("prompt")), 1);
    assert_int_equal(str_distance(STR("pormpt"), STR("prompt")), 1);
    assert_int_equal(str_distance(STR("sede"), STR("seed")), 1);
    assert_int_equal(str_distance(STR(""), STR("seed")), 4);
    assert_int_equal(str_distance(STR("seed"), STR("")), 4);
    assert_int_equal(str_distance(STR("kitten"), STR("sitting")), 3);
    char longer[65];
    memset(longer, 'a', sizeof longer);
    assert_int_equal(
        str_distance((struct str){longer, 64}, (struct str){longer, 64}), 64);
    assert_int_equal(
        str_distance((struct str){longer, 63}, (struct str){longer, 63}), 0);
}

/** As byte for byte, wherever what is not plain stands. */
TEST_CASE(str_plain_bytes__any_byte_anywhere__ends_there)
{
    char text[24];
    for (int c = 0; c < 256; c++) {
        const bool plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
        for (size_t at = 0; at < sizeof text; at++) {
            memset(text, at % 2 ? '~' : '#', sizeof text);
            text[at] = (char)c;
            assert_int_equal(str_plain_bytes((struct str){text, sizeof text}),
                             plain ? sizeof text : at);
            assert_int_equal(str_plain_bytes((struct str){text, at}), at);
        }
    }
    assert_int_equal(str_plain_bytes((struct str){0}), 0);
}

TEST_CASE(str_time__moments__are_rfc_3339)
{
    char text[25];
    str_time(1795327200123, text);
    assert_string_equal(text, "2026-11-22T06:00:00.123Z");
    str_time(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    str_time(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    str_time(951782400000, text);
    assert_string_equal(text, "2000-02-29T00:00:00.000Z");
    str_time(INT64_MAX, text);
    assert_string_equal(text, "0000-00-00T00:00:00.000Z");
}

TEST_CASE(str_words__small_helpers__do_as_they_say)
{
    assert_true(str_eq(str_trim(STR(" \t a b\r\n")), STR("a b")));
    assert_int_equal(str_trim(STR(" \n ")).len, 0);
    assert_true(str_eq_nocase(STR("AbC"), STR("aBc")));
    assert_false(str_eq_nocase(STR("@"), STR("`")));
    assert_true(str_starts(STR("file:///x"), STR("file://")));
    assert_false(str_starts(STR("fi"), STR("file")));
    assert_true(str_ends(STR("a.mp4"), STR(".mp4")));
    assert_false(str_ends(STR("4"), STR(".mp4")));
    assert_int_equal(str_find_nocase(STR("xxErRor"), STR("error")), 2);
    assert_int_equal(str_find_nocase(STR("xx"), STR("error")), -1);
    char hex[7];
    str_hex((const unsigned char *)"\x00\xff\x1a", 3, hex);
    assert_string_equal(hex, "00ff1a");
    char bytes[3] = {1, 2, 3};
    assert_true(str_unhex(STR("00ff1a"), bytes));
    assert_memory_equal(bytes, "\x00\xff\x1a", 3);
    assert_true(str_unhex(STR(""), bytes));
    assert_false(str_unhex(STR("0"), bytes));
    assert_false(str_unhex(STR("0g"), bytes));
    assert_false(str_unhex(STR("G0"), bytes));
    assert_false(str_unhex(STR("0A"), bytes));
}

TESTS_RUN(NULL, NULL)
