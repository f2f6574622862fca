#include <string.h>

#include "lib/check.h"
#include "base/buf.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

static const char *double_text(double value)
{
    static struct buf buf;
    buf_reset(&buf);
    buf_add_double(&buf, value);
    return buf.bytes;
}

TEST_CASE(buf_add_double__known_values__take_the_fewest_digits)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0, "0"},
        {-0.0, "-0"},
        {0.2, "0.2"},
        {0.1 + 0.2, "0.30000000000000004"},
        {100, "100"},
        {-12.5, "-12.5"},
        {1e21, "1e21"},
        {1.5e-7, "1.5e-7"},
        {0.00015, "0.00015"},
        {1e-6, "1e-6"},
        {9.5e-6, "9.5e-6"},
        {9.9e-7, "9.9e-7"},
        {1e-5, "0.00001"},
        {99999999.999999, "99999999.999999"},
        {1e8, "100000000"},
        {100000000.000001, "100000000.000001"},
        {5e-324, "5e-324"},
        {DBL_MAX, "1.7976931348623157e308"},
        {9007199254740993.0, "9007199254740992"},
        {NAN, "null"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_string_equal(double_text(rows[i].value), rows[i].text);
    }
}

/** Prices and times are such, and have a way of their own. */
TEST_CASE(buf_add_double__whole_millionths__take_the_fewest_digits)
{
    uint64_t seed = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        const uint64_t millionths =
            i < 2000 ? (uint64_t)i + 10
                     : 10 + (seed >> (i % 50)) % UINT64_C(100000000000000);
        char text[40];
        size_t len =
            (size_t)snprintf(text, sizeof text, "%llu.%06llu",
                             (unsigned long long)(millionths / 1000000),
                             (unsigned long long)(millionths % 1000000));
        while (text[len - 1] == '0') {
            text[--len] = '\0';
        }
        if (text[len - 1] == '.') {
            text[--len] = '\0';
        }
        const double value = (double)millionths / 1e6;
        assert_string_equal(double_text(value), text);
        assert_true(strtod(double_text(nextafter(value, 1e9)), NULL) > value);
        assert_true(strtod(double_text(nextafter(value, 0)), NULL) < value);
    }
}

TEST_CASE(buf_add_double__any_value__reads_back_the_same)
{
    uint64_t seed = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        double value;
        memcpy(&value, &seed, sizeof value);
        if (isfinite(value)) {
            assert_true(strtod(double_text(value), NULL) == value);
        }
        double small = ((double)(seed % 2000001) - 1000000.0) / 1000.0;
        assert_true(strtod(double_text(small), NULL) == small);
        assert_true(strlen(double_text(small)) <= 8);
    }
}

TEST_CASE(buf_add_json__odd_bytes__are_escaped_or_replaced)
{
    struct buf buf;
    buf_init(&buf, 0);
    buf_add_json(&buf, STR("a\"\\\n\t\x01\xc3\xa9\xff\xed\xa0\x80z"));
    assert_string_equal(buf.bytes,
                        "\"a\\\"\\\\\\n\\t\\u0001\xc3\xa9\xef\xbf\xbd\xef\xbf"
                        "\xbd\xef\xbf\xbd\xef\xbf\xbdz\"");
    buf_reset(&buf);
    buf_add_json(&buf, (struct str){0});
    assert_string_equal(buf.bytes, "\"\"");
    buf_done(&buf);
}

TEST_CASE(buf_add_i64__the_ends__are_exact)
{
    struct buf buf;
    buf_init(&buf, 0);
    buf_add_i64(&buf, INT64_MIN);
    buf_add_char(&buf, ' ');
    buf_add_i64(&buf, INT64_MAX);
    buf_add_char(&buf, ' ');
    buf_add_i64(&buf, 0);
    buf_printf(&buf, " %s", "end");
    assert_string_equal(buf.bytes,
                        "-9223372036854775808 9223372036854775807 0 end");
    buf_done(&buf);
}

TEST_CASE(buf_add__over_the_limit__fails_for_good)
{
    struct buf buf;
    buf_init(&buf, 10);
    buf_add(&buf, "1234567890", 10);
    assert_false(buf.failed);
    buf_add_char(&buf, 'x');
    assert_true(buf.failed);
    assert_string_equal(buf.bytes, "1234567890");
    buf_reset(&buf);
    buf_add_text(&buf, "y");
    assert_string_equal(buf.bytes, "y");
    buf_printf(&buf, "%20d", 1);
    assert_true(buf.failed);
    assert_null(buf_take(&buf));
    buf_done(&buf);
}

TEST_CASE(buf_take__an_empty_buffer__gives_an_empty_text)
{
    struct buf buf;
    buf_init(&buf, 0);
    assert_int_equal(buf_str(&buf).len, 0);
    char *text = buf_take(&buf);
    assert_string_equal(text, "");
    free(text);
    memcpy(buf_room(&buf, 3), "abc", 3);
    buf_took(&buf, 3);
    text = buf_take(&buf);
    assert_string_equal(text, "abc");
    free(text);
    assert_null(buf.bytes);
}

TESTS_RUN(NULL, NULL)
