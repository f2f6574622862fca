#include "core/reading.h"
#include "unit/arena.h"

#include <stdio.h>
#include <string.h>

TEST_CASE(reading_fault__past_the_last_place__is_only_counted)
{
    struct reading reading = {.arena = &arena};
    for (int i = 0; i < REQUEST_DETAILS_MAX + 7; i++) {
        assert_int_equal(reading_is_full(&reading), i >= REQUEST_DETAILS_MAX);
        reading_fault(&reading, STR("seed"), "out_of_range", "the %d", i);
    }
    reading_warning(&reading, STR("size"), "no_effect", "one");
    reading_count_rest(&reading);
    assert_int_equal(reading.faults.len, REQUEST_DETAILS_MAX);
    assert_int_equal(reading.faults_all, REQUEST_DETAILS_MAX + 7);
    const struct detail *last = &reading.faults.items[REQUEST_DETAILS_MAX - 1];
    assert_string_equal(last->message.at, "and 8 more faults");
    assert_int_equal(reading.warnings.len, 1);
    assert_string_equal(reading.warnings.items[0].message.at, "one");
}

TEST_CASE(reading_quote__a_url__keeps_its_secrets)
{
    struct reading reading = {.arena = &arena};
    json_t *url = json_string("https://me:secret@example.com/a?token=secret");
    const char *text = reading_quote(&reading, url);
    json_decref(url);
    assert_null(strstr(text, "secret"));
    assert_non_null(strstr(text, "example.com/a?"));
}

TEST_CASE(reading_unknown__a_near_name__is_asked_for)
{
    struct reading reading = {.arena = &arena};
    reading_unknown(&reading, STR("promt"), "prompt", NULL);
    reading_unknown(&reading, STR("tenant"), NULL, "beside \"request\"");
    assert_string_equal(reading.faults.items[0].message.at,
                        "unknown field \"promt\", did you mean \"prompt\"?");
    assert_string_equal(
        reading.faults.items[1].message.at,
        "unknown field \"tenant\", it belongs beside \"request\"");
}

TESTS_RUN(arena_begin, arena_end)
