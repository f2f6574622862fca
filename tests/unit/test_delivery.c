#include "core/delivery.h"
#include "core/request_fields.h"
#include "lib/check.h"

#include <stdio.h>
#include <string.h>

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 4096, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static struct stored_video video(int32_t width, int32_t height, int64_t ms,
                                 enum media_audio audio)
{
    return (struct stored_video){.media = {.width = width,
                                           .height = height,
                                           .duration_ms = ms,
                                           .audio = audio}};
}

/** The codes of what differs, and whether the warnings agree. */
static const char *codes_of(const char *body, enum request_mode mode,
                            struct stored_video one)
{
    static char text[300];
    unsigned differs = 99;
    struct details warnings;
    assert_true(delivery_compare(str_of(body), mode, &one, 1, &differs,
                                 &warnings, &arena));
    text[0] = '\0';
    size_t told = 0;
    for (int i = 0; i < DELIVERY_DIFFERENCES_LEN; i++) {
        if (differs & DELIVERY_BIT(i)) {
            const char *code = delivery_code((enum delivery_difference)i);
            assert_true(told < warnings.len);
            assert_string_equal(warnings.items[told].code, code);
            assert_non_null(
                field_find(&body_fields, warnings.items[told].field));
            told++;
            strcat(strcat(text, text[0] ? " " : ""), code);
        }
    }
    assert_int_equal(told, warnings.len);
    return text;
}

#define NONE MEDIA_AUDIO_NONE
#define THERE MEDIA_AUDIO_THERE

/* clang-format off */
static const struct row {
    const char *body;
    enum request_mode mode;
    int32_t width, height;
    int64_t ms;
    enum media_audio audio;
    const char *differs;
} rows[] = {
    /* as ordered, by the documented defaults: 540p, 5 s, 16:9, silent */
    {"{}", MODE_TEXT, 960, 540, 5000, NONE, ""},
    {"{}", MODE_TEXT, 1024, 576, 5042, NONE, ""},
    {"{}", MODE_TEXT, 640, 360, 5000, NONE, "resolution_differs"},
    {"{}", MODE_TEXT, 1280, 720, 5000, NONE, "resolution_differs"},
    {"{}", MODE_TEXT, 540, 960, 5000, NONE, "aspect_differs"},
    {"{}", MODE_TEXT, 960, 540, 4000, NONE, "duration_differs"},
    {"{}", MODE_TEXT, 960, 540, 6000, NONE, "duration_differs"},
    {"{}", MODE_TEXT, 960, 540, 5500, NONE, ""},
    {"{}", MODE_TEXT, 960, 540, 5501, NONE, "duration_differs"},
    {"{}", MODE_TEXT, 960, 540, 4499, NONE, "duration_differs"},
    {"{}", MODE_TEXT, 960, 540, 5000, THERE, "audio_unasked"},
    {"{\"audio\":true}", MODE_TEXT, 960, 540, 5000, NONE, "audio_missing"},
    {"{\"audio\":true}", MODE_TEXT, 960, 540, 5000, THERE, ""},
    {"{\"resolution\":\"1080p\"}", MODE_TEXT, 1920, 1088, 5000, NONE, ""},
    {"{\"resolution\":\"720p\",\"size\":\"21:9\"}", MODE_TEXT, 1680, 720, 5000, NONE, ""},
    {"{\"resolution\":\"720p\",\"size\":\"21:9\"}", MODE_TEXT, 1728, 720, 5000, NONE, ""},
    {"{\"size\":\"4:3\"}", MODE_FUSION, 810, 540, 5000, NONE, "aspect_differs"},
    {"{\"size\":\"9:16\"}", MODE_TEXT, 540, 960, 5000, NONE, ""},
    {"{\"size\":\"1:1\",\"resolution\":\"360p\"}", MODE_TEXT, 360, 360, 5000, NONE, ""},
    {"{\"duration\":8}", MODE_TEXT, 960, 540, 8030, NONE, ""},
    /* where the shape is that of images, none was ordered */
    {"{}", MODE_IMAGE, 540, 720, 5000, NONE, ""},
    {"{}", MODE_TRANSITION, 540, 540, 5000, NONE, ""},
    {"{}", MODE_IMAGE, 360, 720, 5000, NONE, "resolution_differs"},
    /* an extended film may hold what it extends */
    {"{}", MODE_EXTEND, 540, 540, 13000, THERE, ""},
    {"{}", MODE_EXTEND, 960, 540, 4000, NONE, "duration_differs"},
    {"{\"audio\":true}", MODE_EXTEND, 960, 540, 9000, NONE, "audio_missing"},
    /* what isn't known differs from nothing */
    {"{\"audio\":true}", MODE_TEXT, 0, 0, 0, MEDIA_AUDIO_UNKNOWN, ""},
    {"", MODE_TEXT, 1, 1, 1, THERE, ""},
    {"[]", MODE_TEXT, 1, 1, 1, THERE, ""},
    {"{\"resolution\":5,\"duration\":\"x\",\"size\":\"16\",\"audio\":1}", MODE_TEXT, 1, 1, 1, THERE, ""},
    {"{\"resolution\":\"p\",\"duration\":-1,\"size\":\"0:9\",\"audio\":null}", MODE_TEXT, 1, 1, 1, THERE, ""},
    {"{\"resolution\":\"360p\",\"duration\":2,\"audio\":true}", MODE_TEXT, 540, 960, 5000, NONE,
     "resolution_differs duration_differs aspect_differs audio_missing"},
};
/* clang-format on */

TEST_CASE_WITH(delivery_compare__each_field__within_its_tolerance, set_up,
               tear_down)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        const char *found =
            codes_of(row->body, row->mode,
                     video(row->width, row->height, row->ms, row->audio));
        if (strcmp(found, row->differs) != 0) {
            fail_msg("row %zu (%s): \"%s\", not \"%s\"", i, row->body, found,
                     row->differs);
        }
    }
}

TEST_CASE_WITH(delivery_compare__many_videos__one_warning_of_each_kind, set_up,
               tear_down)
{
    const struct stored_video all[] = {
        video(960, 540, 5000, NONE),
        video(640, 360, 5000, NONE),
        video(640, 360, 3042, NONE),
    };
    unsigned differs = 0;
    struct details warnings;
    assert_true(delivery_compare(STR("{}"), MODE_TEXT, all, 3, &differs,
                                 &warnings, &arena));
    const struct str json = details_to_json(&warnings, &arena);
    assert_true(str_eq(
        json,
        STR("[{\"field\":\"resolution\",\"code\":\"resolution_differs\","
            "\"message\":\"videos[1] is 640x360, ordered: 540p; and 1 more\"},"
            "{\"field\":\"duration\",\"code\":\"duration_differs\","
            "\"message\":\"videos[2] lasts 3.042 seconds, ordered: 5\"}]")));
}

TEST_CASE_WITH(delivery_compare__no_video__nothing_differs, set_up, tear_down)
{
    unsigned differs = 1;
    struct details warnings = {.len = 1};
    assert_true(delivery_compare(STR("{"), MODE_TEXT, NULL, 0, &differs,
                                 &warnings, &arena));
    assert_int_equal(differs, 0);
    assert_int_equal(warnings.len, 0);
}

TESTS_RUN(NULL, NULL)
