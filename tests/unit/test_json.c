#include "core/json.h"

#include "lib/check.h"

/** The value's one text; the caller's. */
static struct buf canonical_of(const char *text)
{
    struct buf buf;
    bool no_memory = false;
    json_t *value = json_read(str_of(text), &no_memory);
    assert_non_null(value);
    buf_init(&buf, 0);
    json_write_canonical(&buf, value);
    json_decref(value);
    buf_add_char(&buf, '\0');
    assert_false(buf.failed);
    return buf;
}

TEST_CASE(canonical__equal_numbers__have_one_text)
{
    static const struct {
        const char *text;
        const char *canonical;
    } rows[] = {
        {"[1, 1.0, 1e0, 10e-1]", "[1,1,1,1]"},
        {"[0, -0, -0.0, 0e9]", "[0,0,0,0]"},
        {"[0.5, 5e-1]", "[0.5,0.5]"},
        {"[-12.0, -1.2e1]", "[-12,-12]"},
        /* Beyond 2^53 a double's value has other digits than its text. */
        {"[9007199254740993e0]", "[9007199254740992]"},
        {"[9.1e17, 910000000000000000]",
         "[910000000000000000,910000000000000000]"},
        {"[-1.2e18, -1200000000000000000]",
         "[-1200000000000000000,-1200000000000000000]"},
        {"[1e30]", "[1e30]"}, /* no integer of ours */
        {"[18446744073709551616.0]", "[1.8446744073709552e19]"},
        {"[9223372036854775807, 9223372036854775808]",
         "[9223372036854775807,9223372036854775808]"},
        {"[18446744073709551615,-9223372036854775808]",
         "[18446744073709551615,-9223372036854775808]"},
        {"[1e19, 10000000000000000000]",
         "[10000000000000000000,10000000000000000000]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf buf = canonical_of(rows[i].text);
        assert_string_equal(buf.bytes, rows[i].canonical);
        buf_done(&buf);
    }
}

TEST_CASE(canonical__read_again__has_the_same_text)
{
    static const char *const texts[] = {
        "[1.8e16]",
        "[9.223372036854775e18, -9.223372036854775e18]",
        "[1234567890123456789.0, 4611686018427387905.0]",
        "[-9.223372036854775808e18, 1.8446744073709551e19]",
        "[13027471883475847893]",
        "{\"b\": [1.5, true, null], \"a\": {\"z\": \"\\u00e9\", \"y\": 1e3}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buf once = canonical_of(texts[i]);
        struct buf twice = canonical_of(once.bytes);
        assert_string_equal(twice.bytes, once.bytes);
        buf_done(&twice);
        buf_done(&once);
    }
}

TEST_CASE(canonical__an_object__is_sorted_without_spaces)
{
    struct buf buf =
        canonical_of("{ \"b\" : 1, \"a\" : { \"d\":2, \"c\":3 } }");
    assert_string_equal(buf.bytes, "{\"a\":{\"c\":3,\"d\":2},\"b\":1}");
    buf_done(&buf);
}

TEST_CASE(json_read__beyond_64_bits__is_refused)
{
    static const char *const texts[] = {
        "18446744073709551616",
        "[99999999999999999999]",
        "[-9223372036854775809]",
        "[-13027471883475847893]",
        "[013027471883475847893]",
        "[00027471883475847893]",
        "{13027471883475847893:1}",
        "[1 13027471883475847893]",
        "[13027471883475847893x]",
        "[13027471883475847893,\"\\u0000\"]",
        "[\"\\u00001302747188347584789\"]",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        bool no_memory = true;
        json_t *value = json_read(str_of(texts[i]), &no_memory);
        if (value || no_memory) {
            fail_msg("%s was read", texts[i]);
        }
    }
}

TEST_CASE(json_read__a_big_integer__is_echoed_digit_by_digit)
{
    static const char text[] =
        "{\"z\":13027471883475847893,\"a\":[18446744073709551615,"
        "9223372036854775808,\"13027471883475847893\",\"\\\\u0000\"],"
        "\"s\":\"{13027471883475847893\"}";
    bool no_memory = false;
    json_t *value = json_read(STR(text), &no_memory);
    assert_non_null(value);
    assert_true(json_is_big(json_object_get(value, "z")));
    assert_false(json_is_big(json_object_get(value, "s")));
    int64_t whole = 0;
    assert_int_equal(json_to_i64(json_object_get(value, "z"), &whole),
                     JSON_WHOLE_TOO_BIG);
    struct buf buf;
    buf_init(&buf, 0);
    json_write(&buf, value);
    json_decref(value);
    buf_add_char(&buf, '\0');
    assert_string_equal(buf.bytes, text);
    buf_done(&buf);
}

TEST_CASE(json_to_amount__numbers_and_texts__none_below_zero)
{
    static const struct {
        const char *json;
        double amount; /* -1: none */
    } rows[] = {
        {"0", 0},
        {"0.2", 0.2},
        {"\"0\"", 0},
        {"\"0.2\"", 0.2},
        {"\" 1.50 \"", 1.5},
        {"\"1e-1\"", 0.1},
        {"\"2E+2\"", 200},
        {"\"00.5\"", 0.5},
        {"-0.0", 0},
        {"-0.2", -1},
        {"\"-0.2\"", -1},
        {"\"-0\"", -1},
        {"\"\"", -1},
        {"\" \"", -1},
        {"\"free\"", -1},
        {"\"nan\"", -1},
        {"\"inf\"", -1},
        {"\"1e999\"", -1},
        {"\"0x10\"", -1},
        {"\"1,5\"", -1},
        {"\"$0.20\"", -1},
        {"\"0.2 USD\"", -1},
        {"\".5\"", -1},
        {"\"5.\"", -1},
        {"\"1e\"", -1},
        {"\"1e+-2\"", -1},
        {"\"+1\"", -1},
        {"null", -1},
        {"true", -1},
        {"[1]", -1},
        {"{}", -1},
        {"13027471883475847893", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool no_memory = false;
        double amount = -1;
        json_t *value = json_read(str_of(rows[i].json), &no_memory);
        assert_non_null(value);
        const bool is = json_to_amount(value, &amount);
        if (is != (rows[i].amount >= 0) || amount != rows[i].amount) {
            fail_msg("%s: %g", rows[i].json, amount);
        }
        json_decref(value);
    }
}

TEST_CASE(json_read_where__what_is_wrong__is_said_with_its_place)
{
    const struct {
        struct str text;
        const char *where;
    } cases[] = {
        {STR(""), "the message is empty"},
        {STR("{\"a\":1,\n \"b\":}"), "line 2, byte 6: unexpected token"},
        {STR("{\"a\":1,\n\"b\":\"\xff\"}"),
         "line 2, byte 6: bytes that are not UTF-8"},
        {STR("\xe8\xa7"), "line 1, byte 1: bytes that are not UTF-8"},
        {STR("\xe8\xa7\x86\x80"), "line 1, byte 4: bytes that are not UTF-8"},
        {STR("{\"a\":1\0}"), "line 1, byte 7: a NUL byte"},
        {STR("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]"),
         "line 1, byte 33: nested more than 32 deep"},
        {STR("{\"a\":1,\"a\":2}"), "line 1, byte 10: duplicate object key"},
        {STR("{\"a\":\"b\\u0000\"}"), "line 1, byte 6: an escaped NUL"},
        {STR("[18446744073709551615,\n18446744073709551615, x]"),
         "line 2, byte 23: invalid token"},
        {STR("{\"a\":1} x"), "line 1, byte 9: end of file expected"},
        {STR("{\"secret\": sk-live}"), "line 1, byte 13: invalid token"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool no_memory;
        char where[JSON_WHERE_BYTES];
        assert_null(json_read_where(cases[i].text, &no_memory, where));
        assert_false(no_memory);
        assert_string_equal(where, cases[i].where);
    }
}

TESTS_RUN(NULL, NULL)
