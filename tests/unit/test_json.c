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

static void canonical__equal_numbers__have_one_text(void **state)
{
    (void)state;
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
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf buf = canonical_of(rows[i].text);
        assert_string_equal(buf.bytes, rows[i].canonical);
        buf_done(&buf);
    }
}

static void canonical__read_again__has_the_same_text(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "[1.8e16]",
        "[9.223372036854775e18, -9.223372036854775e18]",
        "[1234567890123456789.0, 4611686018427387905.0]",
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

static void canonical__an_object__is_sorted_without_spaces(void **state)
{
    (void)state;
    struct buf buf = canonical_of("{ \"b\" : 1, \"a\" : { \"d\":2, \"c\":3 } }");
    assert_string_equal(buf.bytes, "{\"a\":{\"c\":3,\"d\":2},\"b\":1}");
    buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical__equal_numbers__have_one_text),
        cmocka_unit_test(canonical__read_again__has_the_same_text),
        cmocka_unit_test(canonical__an_object__is_sorted_without_spaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
