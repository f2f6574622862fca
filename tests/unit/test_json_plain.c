#include "core/json_plain.h"

#include "core/json.h"
#include "lib/check.h"

static json_t *whole_of(const char *text, size_t flags)
{
    json_error_t error;
    return json_loadb(text, strlen(text),
                      flags | JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
}

static void check_same(const char *text)
{
    for (int reals = 0; reals < 2; reals++) {
        json_t *plain =
            json_read_plain(str_of(text), JSON_DEPTH_MAX,
                            reals ? JSON_PLAIN_REALS : JSON_PLAIN_INTS);
        json_t *whole = whole_of(text, reals ? JSON_DECODE_INT_AS_REAL : 0);
        if (!plain || !whole || !json_equal(plain, whole)) {
            fail_msg("%s: %s", text, plain ? "another value" : "not read");
        }
        json_decref(plain);
        json_decref(whole);
    }
}

TEST_CASE(plain__usual_texts__are_what_jansson_reads)
{
    static const char *const texts[] = {
        "{}",
        " [ ] ",
        "0",
        "-0",
        "1.0",
        "[0.24,-12.50,-0.0,0.00000000000001,99999999999999.9]",
        "\"\"",
        "true",
        "null\n",
        "[true,false,null]",
        "{\"a\":1,\"b\":[-12, 999999999999999999,-999999999999999999],"
        "\"\":{\"c\":\"\x7f\"}}",
        "\t{\r\n\"\xe8\xa7\x86\" : \"\xf0\x9f\x98\x80 ' /\" }\n",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        check_same(texts[i]);
    }
}

TEST_CASE(plain__anything_else__is_left_to_jansson)
{
    static const char *const texts[] = {
        "1.",
        "1.e3",
        "1.5e3",
        "-.5",
        "01.5",
        "1234567890.123456",
        "1234567890123456.5",
        "1.5.5",
        "1e3",
        "[1E3]",
        "01",
        "-",
        "-a",
        "[-01]",
        "+1",
        "1000000000000000000",
        "\"\\n\"",
        "{\"\\n\":1}",
        "\"\n\"",
        "\"",
        "\"a",
        "{\"a\":1,\"a\":1}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1}",
        "{\"a\":1]",
        "[",
        "{",
        "{\"a\":1",
        "[1",
        "tru",
        "truer",
        "nul",
        "True",
        "1 2",
        "{} {}",
        " ",
        "]",
        "\xef\xbb\xbf{}",
        "'a'",
        "/* */ 1",
        "NaN",
        "[1,2",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_t *value =
            json_read_plain(str_of(texts[i]), JSON_DEPTH_MAX, JSON_PLAIN_INTS);
        if (value) {
            fail_msg("%s was read", texts[i]);
        }
    }
}

/** Each byte of a good text becomes each of those that mean something. */
TEST_CASE(plain__a_byte_changed__never_reads_what_jansson_refuses)
{
    static const char good[] =
        "{\"id\":\"a\",\"n\":[10,-2,true],\"o\":{\"b\":null,\"c\":false}}";
    static const char bytes[] = "{}[]\",:\\ 019-+.eEtfnu\n\x1f\x7f";
    size_t read = 0;
    for (size_t at = 0; at + 1 < sizeof good; at++) {
        for (const char *byte = bytes; *byte; byte++) {
            char text[sizeof good];
            memcpy(text, good, sizeof good);
            text[at] = *byte;
            json_t *plain =
                json_read_plain(STR(text), JSON_DEPTH_MAX, JSON_PLAIN_INTS);
            if (plain) {
                check_same(text);
                read++;
            }
            json_decref(plain);
        }
    }
    assert_true(read > 0);
}

TESTS_RUN(NULL, NULL)
