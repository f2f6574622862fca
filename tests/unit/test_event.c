#include "lib/check.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/event.h"

#define RECEIVED_MS INT64_C(1795327200123) /* 2026-11-22T06:00:00.123Z */
#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

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

static struct facts some_facts(void)
{
    return (struct facts){
        .request_id = STR("order-1234.clip-1"),
        .tenant = STR("studio-a"),
        .mode = MODE_TEXT,
        .metadata = STR("{\"a\":null,\"b\":[1,2.5]}"),
        .warnings = STR("[]"),
        .received_ms = RECEIVED_MS,
    };
}

static struct task_row completed_row(void)
{
    return (struct task_row){
        .state = SUCCEEDED,
        .provider_task_id = "task_01J",
        .received_ms = RECEIVED_MS,
        .submitted_ms = RECEIVED_MS + 1000,
        .generated_ms = RECEIVED_MS + 60000,
        .stored_ms = RECEIVED_MS + 61000,
        .settled_ms = RECEIVED_MS + 61005,
        .has_cost = true,
        .cost = 0.2,
        .credits_cost = 2,
    };
}

static const struct stored_video one_video[] = {{
    .uri = {"s3://bucket/prefix/studio-a/0.mp4", 33},
    .bytes = 5242880,
    .sha256 = SHA,
}};

static void assert_text(struct str text, const char *expected)
{
    if (!str_eq(text, str_of(expected))) {
        fail_msg("\n%.*s\n  is not\n%s", (int)text.len, text.at ? text.at : "",
                 expected);
    }
}

static struct event opened(const char *stored)
{
    struct event event;
    assert_non_null(stored);
    assert_true(str_is_utf8(str_of(stored)));
    assert_true(event_open(str_of(stored), &event));
    return event;
}

static void assert_headers(const struct event *event,
                           const char *const (*expected)[2], size_t len)
{
    assert_int_equal(event->headers_len, len);
    for (size_t i = 0; i < len; i++) {
        assert_text(event->headers[i].name, expected[i][0]);
        assert_text(event->headers[i].value, expected[i][1]);
    }
}

TEST_CASE_WITH(event_render__completed__is_the_contract_to_the_letter, set_up,
               tear_down)
{
    const struct task_row row = completed_row();
    struct facts facts = some_facts();
    facts.traceparent =
        STR("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    facts.tracestate = STR("congo=t61rcWkgMzE");
    const struct event event = opened(
        event_render(&row, &facts, NULL, NULL, one_video, 1, NULL, &arena));
    static const char *const headers[][2] = {
        {"ce_specversion", "1.0"},
        {"ce_type", "video.generation.completed"},
        {"ce_source", "/pixverse-worker"},
        {"ce_id", "5b0089cf-1ced-5b9b-bb31-351a1b8b08cf"},
        {"ce_subject", "order-1234.clip-1"},
        {"ce_time", "2026-11-22T06:01:01.128Z"},
        {"content-type", "application/json"},
        {"traceparent",
         "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        {"tracestate", "congo=t61rcWkgMzE"},
    };
    assert_text(event.key, "order-1234.clip-1");
    assert_headers(&event, headers, 9);
    assert_text(event.value,
                "{\"request_id\":\"order-1234.clip-1\",\"tenant\":\"studio-a\","
                "\"status\":\"completed\",\"mode\":\"text_to_video\","
                "\"provider\":\"apimart\",\"model\":\"pixverse-v6\","
                "\"provider_task_id\":\"task_01J\","
                "\"videos\":[{\"uri\":\"s3://bucket/prefix/studio-a/0.mp4\","
                "\"bytes\":5242880,\"sha256\":\"" SHA "\","
                "\"content_type\":\"video/mp4\"}],"
                "\"cost\":0.2,\"credits_cost\":2,\"billed\":\"yes\","
                "\"times\":{\"received\":\"2026-11-22T06:00:00.123Z\","
                "\"submitted\":\"2026-11-22T06:00:01.123Z\","
                "\"generated\":\"2026-11-22T06:01:00.123Z\","
                "\"stored\":\"2026-11-22T06:01:01.123Z\","
                "\"settled\":\"2026-11-22T06:01:01.128Z\"},"
                "\"warnings\":[],\"metadata\":{\"a\":null,\"b\":[1,2.5]}}");
}

static struct str media_in(const struct media *media)
{
    const struct task_row row = completed_row();
    const struct facts facts = some_facts();
    struct stored_video video = one_video[0];
    video.media = *media;
    const struct str value =
        opened(event_render(&row, &facts, NULL, NULL, &video, 1, NULL, &arena))
            .value;
    const char *at = strstr(value.at, "\"video/mp4\"");
    assert_non_null(at);
    at += strlen("\"video/mp4\"");
    return (struct str){at, (size_t)(strstr(at, "],\"cost") - at)};
}

TEST_CASE_WITH(event_render__media__says_what_is_known, set_up, tear_down)
{
    struct media media = {.width = 960,
                          .height = 540,
                          .duration_ms = 5042,
                          .frame_rate_milli = 23976,
                          .audio = MEDIA_AUDIO_THERE,
                          .codecs = {"avc1.64001f", "mp4a.40.2"}};
    assert_text(media_in(&media),
                ",\"media\":{\"width\":960,\"height\":540,\"duration\":5.042,"
                "\"frame_rate\":23.976,\"codecs\":[\"avc1.64001f\","
                "\"mp4a.40.2\"],\"audio\":true}}");
    media = (struct media){.duration_ms = 8000, .audio = MEDIA_AUDIO_NONE};
    assert_text(media_in(&media),
                ",\"media\":{\"duration\":8,\"audio\":false}}");
    media = (struct media){0};
    assert_text(media_in(&media), "}");
}

TEST_CASE_WITH(event_render__what_differs__is_told_behind_the_warnings, set_up,
               tear_down)
{
    static const char *const own[][2] = {
        {"[]", "["},
        {"[ ]", "["},
        {"", "["},
        {"[{\"field\":\"size\"}] ", "[{\"field\":\"size\"},"},
    };
    const struct task_row row = completed_row();
    struct detail item = {STR("audio"), "audio_missing", STR("none came")};
    const struct details differs = {&item, 1};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        struct facts facts = some_facts();
        char expected[300];
        facts.warnings = str_of(own[i][0]);
        facts.metadata = (struct str){0};
        snprintf(
            expected, sizeof expected,
            "\"warnings\":%s{\"field\":\"audio\",\"code\":\"audio_missing\","
            "\"message\":\"none came\"}]}",
            own[i][1]);
        const struct event event = opened(event_render(
            &row, &facts, NULL, NULL, one_video, 1, &differs, &arena));
        assert_true(str_ends(event.value, str_of(expected)));
    }
}

TEST_CASE_WITH(event_render__twice__gives_the_same_bytes, set_up, tear_down)
{
    const struct task_row row = completed_row();
    const struct facts facts = some_facts();
    assert_string_equal(
        event_render(&row, &facts, NULL, NULL, one_video, 1, NULL, &arena),
        event_render(&row, &facts, NULL, NULL, one_video, 1, NULL, &arena));
}

TEST_CASE_WITH(event_render__late__says_so, set_up, tear_down)
{
    struct task_row row = completed_row();
    const struct facts facts = some_facts();
    row.late = true;
    const struct event event = opened(
        event_render(&row, &facts, NULL, NULL, one_video, 1, NULL, &arena));
    assert_true(str_find_nocase(event.value, STR(",\"late\":true,")) > 0);
}

TEST_CASE_WITH(event_render__ordered_again__has_an_id_of_its_own, set_up,
               tear_down)
{
    struct task_row row = completed_row();
    const struct facts facts = some_facts();
    row.submission = 2;
    const struct event event = opened(
        event_render(&row, &facts, NULL, NULL, one_video, 1, NULL, &arena));
    assert_text(event.headers[3].value, "0f9181cf-1dcf-5c70-a2d6-1005ecc25bd9");
}

TEST_CASE_WITH(event_render__our_validation__tells_every_fault, set_up,
               tear_down)
{
    struct task_row row = {
        .state = FAILED,
        .received_ms = RECEIVED_MS,
        .settled_ms = RECEIVED_MS,
        .kind = FAILURE_INVALID_REQUEST,
    };
    struct detail items[] = {
        {STR("duration"), "out_of_range",
         STR("duration is 20, allowed: 1..15")},
        {STR("image_urls[1]"), "bad_url", STR("not a \"URL\"")},
    };
    const struct details details = {items, 2};
    const struct failure failure = {.kind = FAILURE_INVALID_REQUEST};
    struct facts facts = {
        .request_id = STR("order-1234.clip-1"),
        .warnings = STR("[{\"field\":\"size\",\"code\":\"no_effect\","
                        "\"message\":\"m\"}]"),
    };
    const struct event event = opened(
        event_render(&row, &facts, &failure, &details, NULL, 0, NULL, &arena));
    assert_text(event.headers[1].value, "video.generation.failed");
    assert_text(event.headers[3].value, "81c69295-bbcf-55fd-a615-ff1ef076b213");
    assert_int_equal(event.headers_len, 7);
    assert_text(
        event.value,
        "{\"request_id\":\"order-1234.clip-1\",\"status\":\"failed\","
        "\"provider\":\"apimart\",\"model\":\"pixverse-v6\","
        "\"error\":{\"kind\":\"invalid_request\","
        "\"message\":\"duration is 20, allowed: 1..15\",\"retry_safe\":true,"
        "\"details\":[{\"field\":\"duration\",\"code\":\"out_of_range\","
        "\"message\":\"duration is 20, allowed: 1..15\"},"
        "{\"field\":\"image_urls[1]\",\"code\":\"bad_url\","
        "\"message\":\"not a \\\"URL\\\"\"}]},"
        "\"billed\":\"no\","
        "\"times\":{\"received\":\"2026-11-22T06:00:00.123Z\","
        "\"settled\":\"2026-11-22T06:00:00.123Z\"},"
        "\"warnings\":[{\"field\":\"size\",\"code\":\"no_effect\","
        "\"message\":\"m\"}]}");
}

TEST_CASE_WITH(event_render__provider_failed__tells_what_it_said, set_up,
               tear_down)
{
    struct task_row row = completed_row();
    row.state = FAILED;
    row.kind = FAILURE_PROVIDER_FAILED;
    row.stored_ms = 0;
    row.cost = 0;
    row.credits_cost = 0;
    struct facts facts = some_facts();
    facts.metadata = (struct str){0};
    facts.warnings = (struct str){0};
    const struct failure failure = {
        .kind = FAILURE_PROVIDER_FAILED,
        .message = STR("pixverse error 500069: \xff high\nload"),
        .http_status = 200,
        .provider_code = STR("500069"),
    };
    const struct event event = opened(
        event_render(&row, &facts, &failure, NULL, NULL, 0, NULL, &arena));
    assert_text(event.value,
                "{\"request_id\":\"order-1234.clip-1\",\"tenant\":\"studio-a\","
                "\"status\":\"failed\",\"mode\":\"text_to_video\","
                "\"provider\":\"apimart\",\"model\":\"pixverse-v6\","
                "\"provider_task_id\":\"task_01J\","
                "\"error\":{\"kind\":\"provider_failed\","
                "\"message\":\"pixverse error 500069: \xef\xbf\xbd high load\","
                "\"retry_safe\":true,\"http_status\":200,"
                "\"provider_code\":\"500069\"},"
                "\"cost\":0,\"credits_cost\":0,\"billed\":\"no\","
                "\"times\":{\"received\":\"2026-11-22T06:00:00.123Z\","
                "\"submitted\":\"2026-11-22T06:00:01.123Z\","
                "\"generated\":\"2026-11-22T06:01:00.123Z\","
                "\"settled\":\"2026-11-22T06:01:01.128Z\"},"
                "\"warnings\":[]}");
}

/* clang-format off */
/** CONTRACT's table of kinds, as events show it. */
static const struct kind_row {
    enum failure_kind kind;
    const char *id;    /* empty: never accepted */
    bool doubt;
    double cost;       /* -1: not told */
    const char *billed;
    bool retry_safe;
} kind_rows[] = {
    {FAILURE_INVALID_REQUEST, "",  false, -1,  "no",      true},
    {FAILURE_SUBMIT_REFUSED,  "",  false, -1,  "no",      true},
    {FAILURE_MODERATION,      "",  false, -1,  "no",      false},
    {FAILURE_MODERATION,      "t", false, 0,   "no",      false},
    {FAILURE_MODERATION,      "t", false, 0.2, "yes",     false},
    {FAILURE_MODERATION,      "t", false, -1,  "unknown", false},
    {FAILURE_PROVIDER_FAILED, "t", false, 0,   "no",      true},
    {FAILURE_PROVIDER_FAILED, "t", false, 0.2, "yes",     false},
    {FAILURE_PROVIDER_FAILED, "t", false, -1,  "unknown", false},
    {FAILURE_CANCELLED,       "",  false, -1,  "no",      true},
    {FAILURE_CANCELLED,       "",  true,  -1,  "unknown", false},
    {FAILURE_CANCELLED,       "t", false, -1,  "unknown", false},
    {FAILURE_CANCELLED,       "t", false, 0,   "no",      true},
    {FAILURE_TIMED_OUT,       "",  false, -1,  "no",      true},
    {FAILURE_TIMED_OUT,       "t", false, -1,  "unknown", false},
    {FAILURE_SUBMIT_UNKNOWN,  "",  true,  -1,  "unknown", false},
    {FAILURE_TASK_LOST,       "t", false, -1,  "unknown", false},
    {FAILURE_ASSET_EXPIRED,   "t", false, 0.2, "yes",     false},
    {FAILURE_ASSET_UNUSABLE,  "t", false, -1,  "yes",     false},
    {FAILURE_SOURCE_FAILED,   "",  false, -1,  "no",      true},
};
/* clang-format on */

TEST_CASE_WITH(event_render__each_kind__says_how_payment_stands, set_up,
               tear_down)
{
    const struct facts facts = some_facts();
    for (size_t i = 0; i < sizeof kind_rows / sizeof *kind_rows; i++) {
        const struct kind_row *kind = &kind_rows[i];
        struct task_row row = {
            .state = FAILED,
            .kind = kind->kind,
            .doubt = kind->doubt,
            .has_cost = kind->cost >= 0,
            .cost = kind->cost >= 0 ? kind->cost : 0,
            .settled_ms = RECEIVED_MS,
        };
        strcpy(row.provider_task_id, kind->id);
        const struct failure failure = {.kind = kind->kind,
                                        .message = STR("x")};
        const struct event event = opened(
            event_render(&row, &facts, &failure, NULL, NULL, 0, NULL, &arena));
        json_t *root = json_loadb(event.value.at, event.value.len, 0, NULL);
        assert_non_null(root);
        const json_t *error = json_object_get(root, "error");
        assert_string_equal(json_string_value(json_object_get(error, "kind")),
                            failure_kind_name(kind->kind));
        if (strcmp(json_string_value(json_object_get(root, "billed")),
                   kind->billed) != 0 ||
            json_is_true(json_object_get(error, "retry_safe")) !=
                kind->retry_safe) {
            fail_msg("row %zu: %.*s", i, (int)event.value.len, event.value.at);
        }
        assert_null(json_object_get(root, "videos"));
        json_decref(root);
    }
}

TEST_CASE_WITH(event_render__traces_that_no_row_can_hold__are_left_out, set_up,
               tear_down)
{
    const struct task_row row = completed_row();
    struct facts facts = some_facts();
    facts.traceparent = STR("a\0b");
    facts.tracestate = STR("\xff");
    const struct event event = opened(
        event_render(&row, &facts, NULL, NULL, one_video, 1, NULL, &arena));
    assert_int_equal(event.headers_len, 7);
}

TEST_CASE_WITH(event_render__everything_at_its_limit__is_within_the_bound,
               set_up, tear_down)
{
    struct task_row row = {.state = FAILED, .settled_ms = RECEIVED_MS};
    char *wide = malloc(400001);
    assert_non_null(wide);
    memset(wide, 'x', 400000);
    wide[400000] = '\0';
    static struct detail items[REQUEST_DETAILS_MAX];
    for (size_t i = 0; i < REQUEST_DETAILS_MAX; i++) {
        items[i] = (struct detail){{wide, 400}, "unknown_field", {wide, 900}};
    }
    const struct details details = {items, REQUEST_DETAILS_MAX};
    char *metadata = malloc(16 * 1024 + 1);
    assert_non_null(metadata);
    memset(metadata, ' ', 16 * 1024);
    metadata[0] = '{';
    metadata[16 * 1024 - 1] = '}';
    struct facts facts = some_facts();
    facts.metadata = (struct str){metadata, 16 * 1024};
    struct event event = opened(
        event_render(&row, &facts, NULL, &details, NULL, 0, NULL, &arena));
    assert_in_range(event.value.len, 100000, EVENT_BYTES_MAX);

    /* Details beyond all bounds: the event still ends within it. */
    for (size_t i = 0; i < REQUEST_DETAILS_MAX; i++) {
        items[i].message.len = 400000;
    }
    event = opened(
        event_render(&row, &facts, NULL, &details, NULL, 0, NULL, &arena));
    assert_in_range(event.value.len, 2000, 20000);
    free(wide);
    free(metadata);
}

TEST_CASE_WITH(event_render__stored_json_is_broken__is_left_out, set_up,
               tear_down)
{
    static const char *const broken[] = {"", "{\"a", "[", "7", "null", "{},"};
    const struct task_row row = completed_row();
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        struct facts facts = some_facts();
        facts.metadata = str_of(broken[i]);
        facts.warnings = str_of(broken[i]);
        struct event event = opened(
            event_render(&row, &facts, NULL, NULL, one_video, 1, NULL, &arena));
        assert_true(str_ends(event.value, STR("\"warnings\":[]}")));
    }
}

TEST_CASE_WITH(event_open__cut_or_changed__is_refused_or_whole, set_up,
               tear_down)
{
    const struct task_row row = completed_row();
    const struct facts facts = some_facts();
    const char *stored =
        event_render(&row, &facts, NULL, NULL, one_video, 1, NULL, &arena);
    const size_t len = strlen(stored);
    struct event event;
    for (size_t cut = 0; cut < len; cut++) {
        char *piece = malloc(cut + 1);
        assert_non_null(piece);
        memcpy(piece, stored, cut);
        assert_false(event_open((struct str){piece, cut}, &event));
        free(piece);
    }
    uint32_t random = 7;
    char *copy = malloc(len);
    assert_non_null(copy);
    for (int round = 0; round < 20000; round++) {
        memcpy(copy, stored, len);
        for (int i = 0; i < 3; i++) {
            random = random * 1664525 + 1013904223;
            copy[(random >> 8) % len] = (char)(random >> 24);
        }
        if (event_open((struct str){copy, len}, &event)) {
            assert_true(event.value.at + event.value.len <= copy + len);
            assert_true(event.headers_len <= EVENT_HEADERS_MAX);
        }
    }
    free(copy);
    assert_false(event_open((struct str){0}, &event));
}

TEST_CASE_WITH(event_progress__with_and_without_a_number__is_whole, set_up,
               tear_down)
{
    const struct task_row row = completed_row();
    const struct facts facts = some_facts();
    unsigned char random[16];
    memset(random, 0xff, sizeof random);
    struct event event;
    assert_true(event_progress(&row, &facts, STR("processing"), 45, RECEIVED_MS,
                               random, &arena, &event));
    static const char *const headers[][2] = {
        {"ce_specversion", "1.0"},
        {"ce_type", "video.generation.progress"},
        {"ce_source", "/pixverse-worker"},
        {"ce_id", "ffffffff-ffff-4fff-bfff-ffffffffffff"},
        {"ce_subject", "order-1234.clip-1"},
        {"ce_time", "2026-11-22T06:00:00.123Z"},
        {"content-type", "application/json"},
    };
    assert_headers(&event, headers, 7);
    assert_text(event.key, "order-1234.clip-1");
    assert_text(event.value,
                "{\"request_id\":\"order-1234.clip-1\","
                "\"tenant\":\"studio-a\",\"provider_task_id\":\"task_01J\","
                "\"status\":\"processing\",\"progress\":45}");
    assert_true(event_progress(&row, &facts, STR("queued"), -1, RECEIVED_MS,
                               random, &arena, &event));
    assert_true(str_ends(event.value, STR("\"status\":\"queued\"}")));
}

TEST_CASE_WITH(event_accepted__of_what_is_stored__is_the_same_each_time, set_up,
               tear_down)
{
    struct facts facts = some_facts();
    struct event event;
    struct event again;
    facts.received_ms = RECEIVED_MS;
    facts.warnings = STR("[{\"field\":\"size\"}]");
    facts.metadata = STR("{\"a\":1}");
    assert_true(event_accepted(&facts, &arena, &event));
    assert_true(event_accepted(&facts, &arena, &again));
    assert_text(event.key, "order-1234.clip-1");
    assert_text(event.headers[1].value, "video.generation.accepted");
    assert_text(event.headers[5].value, "2026-11-22T06:00:00.123Z");
    assert_true(str_eq(event.headers[3].value, again.headers[3].value));
    assert_true(str_eq(event.value, again.value));
    assert_text(event.value,
                "{\"request_id\":\"order-1234.clip-1\","
                "\"tenant\":\"studio-a\",\"status\":\"accepted\","
                "\"mode\":\"text_to_video\",\"provider\":\"apimart\","
                "\"model\":\"pixverse-v6\",\"times\":{\"received\":"
                "\"2026-11-22T06:00:00.123Z\"},"
                "\"warnings\":[{\"field\":\"size\"}],\"metadata\":{\"a\":1}}");
    facts.warnings = (struct str){0};
    facts.metadata = STR("broken");
    assert_true(event_accepted(&facts, &arena, &event));
    assert_true(str_ends(event.value, STR("\"warnings\":[]}")));
}

TESTS_RUN(NULL, NULL)
