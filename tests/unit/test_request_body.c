#include "core/request_body.h"
#include "unit/arena.h"

#include <stdio.h>
#include <string.h>

static struct request_body read_body(const char *json, struct reading *reading)
{
    bool no_memory = false;
    *reading = (struct reading){.arena = &arena};
    json_t *body = json_read(str_of(json), &no_memory);
    assert_non_null(body);
    struct request_body request = body_read(reading, body);
    json_decref(body);
    return request;
}

TEST_CASE(body_read__what_is_there__tells_the_mode)
{
    static const struct {
        const char *json;
        enum request_mode mode;
    } rows[] = {
        {"{\"prompt\":\"a\"}", MODE_TEXT},
        {"{\"prompt\":\"a\",\"image_urls\":[\"https://e.com/a.png\"]}",
         MODE_IMAGE},
        {"{\"prompt\":\"a\",\"first_frame_image\":\"https://e.com/a.png\","
         "\"last_frame_image\":\"https://e.com/b.png\"}",
         MODE_TRANSITION},
        {"{\"prompt\":\"a\",\"extend_from_task_id\":\"task_1\"}", MODE_EXTEND},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct reading reading;
        struct request_body request = read_body(rows[i].json, &reading);
        if (reading.faults.len) {
            fail_msg("%s: %.*s", rows[i].json,
                     (int)reading.faults.items[0].message.len,
                     reading.faults.items[0].message.at);
        }
        assert_int_equal(request.mode, rows[i].mode);
        assert_true(request.text.len > 0);
    }
}

TEST_CASE(body_read__what_a_price_depends_on__defaults_filled_in)
{
    struct reading reading;
    struct price_like like = read_body("{\"prompt\":\"a\"}", &reading).like;
    assert_int_equal(like.mode, MODE_TEXT);
    assert_int_equal(like.resolution, 540);
    assert_int_equal(like.duration, 5);
    assert_false(like.audio);
    like = read_body("{\"prompt\":\"a\",\"resolution\":\"1080p\","
                     "\"duration\":8.0,\"audio\":true,"
                     "\"extend_from_task_id\":\"task_1\"}",
                     &reading)
               .like;
    assert_int_equal(like.mode, MODE_EXTEND);
    assert_int_equal(like.resolution, 1080);
    assert_int_equal(like.duration, 8);
    assert_true(like.audio);
}

TEST_CASE(body_read__two_modes_or_half_a_pair__is_a_fault)
{
    static const char *const rows[][2] = {
        {"{\"prompt\":\"a\",\"image_urls\":[\"https://e.com/a.png\"],"
         "\"extend_from_task_id\":\"task_1\"}",
         "conflict"},
        {"{\"prompt\":\"a\",\"first_frame_image\":\"https://e.com/a.png\"}",
         "incomplete_pair"},
        {"{\"prompt\":\"a\",\"promt\":\"b\"}", "unknown_field"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct reading reading;
        struct request_body request = read_body(rows[i][0], &reading);
        (void)request;
        assert_true(reading.faults.len > 0);
        assert_string_equal(reading.faults.items[0].code, rows[i][1]);
    }
}

TESTS_RUN(arena_begin, arena_end)
