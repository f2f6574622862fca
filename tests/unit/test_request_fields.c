#include "core/request_fields.h"
#include "unit/arena.h"

#include <stdio.h>
#include <string.h>

/** The code of the only fault; null: none. */
static const char *judge(const char *name, const char *json)
{
    struct reading reading = {.arena = &arena};
    bool no_memory = false;
    char text[400];
    snprintf(text, sizeof text, "{\"%s\": %s}", name, json);
    json_t *root = json_read(str_of(text), &no_memory);
    assert_non_null(root);
    const struct field *field = field_find(&body_fields, str_of(name));
    assert_non_null(field);
    bool good = field_judge(&reading, field, json_object_get(root, name));
    json_decref(root);
    assert_int_equal(good, reading.faults.len == 0);
    return good ? NULL : reading.faults.items[0].code;
}

TEST_CASE(field_judge__limits__on_both_sides)
{
    assert_null(judge("duration", "1"));
    assert_null(judge("duration", "15"));
    assert_non_null(judge("duration", "0"));
    assert_non_null(judge("duration", "16"));
    assert_non_null(judge("duration", "\"5\""));
    assert_non_null(judge("duration", "5.5"));
    assert_null(judge("prompt", "\"a cat\""));
    assert_non_null(judge("prompt", "\"\""));
    assert_non_null(judge("prompt", "7"));
    assert_null(judge("first_frame_image", "\"https://example.com/a.png\""));
    assert_non_null(judge("first_frame_image", "\"https://127.0.0.1/a.png\""));
}

TEST_CASE(field_find__its_table__and_no_other)
{
    for (size_t i = 0; i < body_fields.len; i++) {
        const struct field *field = &body_fields.fields[i];
        assert_ptr_equal(field_find(&body_fields, str_of(field->name)), field);
        assert_null(field_find(&envelope_fields, str_of(field->name)));
    }
    assert_null(field_find(&body_fields, STR("")));
    assert_null(field_find(&body_fields, STR("Prompt")));
}

TEST_CASE(field_nearest__a_slip__names_what_was_meant)
{
    assert_string_equal(field_nearest(&body_fields, STR("promt")), "prompt");
    assert_string_equal(field_nearest(&body_fields, STR("Duration")),
                        "duration");
    assert_null(field_nearest(&body_fields, STR("colour_of_the_sky")));
}

TEST_CASE(reading_fault__past_the_limit__is_only_counted)
{
    struct reading reading = {.arena = &arena};
    for (size_t i = 0; i < REQUEST_DETAILS_MAX + 20; i++) {
        reading_fault(&reading, STR("a"), "not_allowed", "number %zu", i);
    }
    assert_true(reading_is_full(&reading));
    assert_true(reading.faults.len <= REQUEST_DETAILS_MAX);
    assert_int_equal(reading.faults_all, REQUEST_DETAILS_MAX + 20);
}

TESTS_RUN(arena_begin, arena_end)
