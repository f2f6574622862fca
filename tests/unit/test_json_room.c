#include "core/json.h"
#include "core/json_room.h"
#include "lib/check.h"

#include <pthread.h>

static json_t *read_text(const char *text)
{
    bool no_memory = false;
    json_t *value = json_read(str_of(text), &no_memory);
    assert_non_null(value);
    return value;
}

/** The sanitizer would tell what is let go of twice, or never. */
TEST_CASE(json_room__values_of_a_text__go_with_it)
{
    json_t *before = read_text("{\"a\":[1,2]}");
    for (int i = 0; i < 3; i++) {
        json_room_begin();
        const json_t *value = read_text("{\"k\":\"\\u00e9\",\"l\":[1.5,{}]}");
        assert_string_equal(json_string_value(json_object_get(value, "k")),
                            "\xc3\xa9");
        for (int n = 0; n < 1000 * i; n++) {
            assert_int_equal(json_object_size(read_text("{\"a\":1,\"b\":2}")),
                             2);
        }
        assert_true(json_room_end());
        json_decref(read_text("{\"after\":\"it\"}"));
    }
    assert_int_equal(json_array_size(json_object_get(before, "a")), 2);
    json_decref(before);
}

static void *read_beside(void *context)
{
    (void)context;
    return read_text("{\"its\":\"own\"}");
}

TEST_CASE(json_room__another_thread__is_not_concerned)
{
    pthread_t thread;
    void *value = NULL;
    json_room_begin();
    assert_int_equal(pthread_create(&thread, NULL, read_beside, NULL), 0);
    assert_int_equal(pthread_join(thread, &value), 0);
    assert_true(json_room_end());
    assert_string_equal(
        json_string_value(json_object_get((json_t *)value, "its")), "own");
    json_decref(value);
}

TESTS_RUN(NULL, NULL)
