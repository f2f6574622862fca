#include "core/span.h"

#include "lib/check.h"

#include <jansson.h>

#define PARENT "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
#define UNSAMPLED "00-0123456789abcdef0123456789abcdef-0123456789abcdef-00"

static struct task_row row;
static struct buf out;

static struct span_request request_of(const char *traceparent)
{
    row = (struct task_row){
        .state = CLOSED,
        .received_ms = 1000,
        .first_sent_ms = 2000,
        .submitted_ms = 3000,
        .generated_ms = 60000,
        .stored_ms = 61000,
        .settled_ms = 61500,
        .sends = 1,
    };
    snprintf(row.provider_task_id, sizeof row.provider_task_id, "task_1");
    return (struct span_request){
        .row = &row,
        .request_id = STR("order \"1\""),
        .tenant = STR("studio"),
        .traceparent = str_of(traceparent),
        .now_ms = 62000,
    };
}

/** As a message, whole; the caller's. */
static json_t *message_of(const struct span_request *request, int spans)
{
    struct buf all;
    struct buf some;
    buf_init(&all, 0);
    buf_init(&some, 0);
    assert_int_equal(span_write(request, SAMPLER_PARENT_ALWAYS_ON, 1, &some),
                     spans);
    span_begin("svc", STR("a=b%20c, x , k=\"q\",service.name=no"), &all);
    buf_add_str(&all, buf_str(&some));
    span_end(&all);
    json_t *message = json_loadb(all.bytes, all.len, 0, NULL);
    assert_non_null(message);
    buf_done(&all);
    buf_done(&some);
    return message;
}

static json_t *spans_of(json_t *message)
{
    json_t *resource =
        json_array_get(json_object_get(message, "resourceSpans"), 0);
    return json_object_get(
        json_array_get(json_object_get(resource, "scopeSpans"), 0), "spans");
}

static const char *text(const json_t *span, const char *name)
{
    const char *value = json_string_value(json_object_get(span, name));
    return value ? value : "";
}

TEST_CASE(span_write__a_whole_way__is_linked_to_its_producer)
{
    static const char *const names[] = {"video.generation", "queue",
                                        "submit",           "generate",
                                        "transfer",         "announce"};
    static const char *const from[] = {"1000000000",  "1000000000",
                                       "2000000000",  "3000000000",
                                       "60000000000", "61500000000"};
    static const char *const to[] = {"62000000000", "2000000000",
                                     "3000000000",  "60000000000",
                                     "61000000000", "62000000000"};
    struct span_request request = request_of(PARENT);
    request.tracestate = STR("v=1");
    json_t *message = message_of(&request, 6);
    const json_t *spans = spans_of(message);
    const json_t *root = json_array_get(spans, 0);
    assert_int_equal(json_array_size(spans), 6);
    for (size_t i = 0; i < 6; i++) {
        const json_t *span = json_array_get(spans, i);
        assert_string_equal(text(span, "name"), names[i]);
        assert_string_equal(text(span, "traceId"),
                            "0123456789abcdef0123456789abcdef");
        assert_int_equal(strlen(text(span, "spanId")), 16);
        assert_string_equal(text(span, "parentSpanId"),
                            i ? text(root, "spanId") : "0123456789abcdef");
        assert_string_equal(text(span, "startTimeUnixNano"), from[i]);
        assert_string_equal(text(span, "endTimeUnixNano"), to[i]);
        assert_string_equal(text(span, "traceState"), "v=1");
        assert_null(json_object_get(span, "status"));
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(text(span, "spanId"),
                                    text(json_array_get(spans, j), "spanId"));
        }
    }
    json_decref(message);
}

/** Whoever tells it, and however often, tells the same. */
TEST_CASE(span_write__no_producers_trace__has_one_of_its_own)
{
    struct span_request request = request_of("");
    json_t *one = message_of(&request, 6);
    json_t *two = message_of(&request, 6);
    assert_true(json_equal(one, two));
    const json_t *root = json_array_get(spans_of(one), 0);
    assert_null(json_object_get(root, "parentSpanId"));
    assert_int_equal(strlen(text(root, "traceId")), 32);
    row.submission = 1;
    json_t *again = message_of(&request, 6);
    assert_string_not_equal(
        text(root, "traceId"),
        text(json_array_get(spans_of(again), 0), "traceId"));
    json_decref(one);
    json_decref(two);
    json_decref(again);
}

TEST_CASE(span_write__what_it_never_came_to__has_no_span)
{
    struct span_request request = request_of(PARENT);
    row.first_sent_ms = row.submitted_ms = row.generated_ms = 0;
    row.stored_ms = 0;
    row.kind = 1;
    json_t *message = message_of(&request, 2);
    const json_t *root = json_array_get(spans_of(message), 0);
    const json_t *status = json_object_get(root, "status");
    assert_int_equal(json_integer_value(json_object_get(status, "code")), 2);
    assert_string_equal(text(status, "message"), failure_kind_name(1));
    assert_string_equal(text(json_array_get(spans_of(message), 1), "name"),
                        "announce");
    json_decref(message);
}

static void assert_made(int64_t generated_ms, const char *ns)
{
    struct span_request request = request_of(PARENT);
    row.generated_ms = generated_ms;
    json_t *message = message_of(&request, 6);
    const json_t *spans = spans_of(message);
    assert_string_equal(text(json_array_get(spans, 3), "startTimeUnixNano"),
                        "3000000000");
    assert_string_equal(text(json_array_get(spans, 3), "endTimeUnixNano"), ns);
    assert_string_equal(text(json_array_get(spans, 4), "startTimeUnixNano"),
                        ns);
    assert_string_equal(text(json_array_get(spans, 4), "endTimeUnixNano"),
                        "61000000000");
    json_decref(message);
}

/** The provider's clock is behind ours, or ahead. */
TEST_CASE(span_write__the_providers_time__is_put_between_ours)
{
    assert_made(2500, "3000000000");
    assert_made(70000, "61000000000");
    assert_made(50000, "50000000000");
}

TEST_CASE(span_write__samplers__decide)
{
    static const struct {
        enum span_sampler sampler;
        double ratio;
        const char *parent;
        int spans;
    } rows[] = {
        {SAMPLER_PARENT_ALWAYS_ON, 1, PARENT, 6},
        {SAMPLER_PARENT_ALWAYS_ON, 1, UNSAMPLED, 0},
        {SAMPLER_PARENT_ALWAYS_ON, 0, "", 6},
        {SAMPLER_PARENT_ALWAYS_OFF, 1, PARENT, 6},
        {SAMPLER_PARENT_ALWAYS_OFF, 1, "", 0},
        {SAMPLER_PARENT_RATIO, 0, PARENT, 6},
        {SAMPLER_PARENT_RATIO, 1, UNSAMPLED, 0},
        {SAMPLER_PARENT_RATIO, 1, "", 6},
        {SAMPLER_PARENT_RATIO, 0, "", 0},
        {SAMPLER_ALWAYS_ON, 0, UNSAMPLED, 6},
        {SAMPLER_ALWAYS_OFF, 1, PARENT, 0},
        {SAMPLER_RATIO, 1, UNSAMPLED, 6},
        {SAMPLER_RATIO, 0, PARENT, 0},
        /* its last 7 bytes are 0xabcdef… / 2^56: 0.6712 */
        {SAMPLER_RATIO, 0.68,
         "00-0000000000000000ffabcdef01234567-0123456789abcdef-01", 6},
        {SAMPLER_RATIO, 0.66,
         "00-0000000000000000ffabcdef01234567-0123456789abcdef-01", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct span_request request = request_of(rows[i].parent);
        buf_init(&out, 0);
        if (span_write(&request, rows[i].sampler, rows[i].ratio, &out) !=
            rows[i].spans) {
            fail_msg("row %zu", i);
        }
        assert_int_equal(out.len > 0, rows[i].spans > 0);
        buf_done(&out);
    }
}

TEST_CASE(span_begin__attributes__are_decoded)
{
    struct span_request request = request_of("");
    json_t *message = message_of(&request, 6);
    const json_t *resource = json_object_get(
        json_array_get(json_object_get(message, "resourceSpans"), 0),
        "resource");
    char *all = json_dumps(json_object_get(resource, "attributes"),
                           JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(
        all, "[{\"key\":\"a\",\"value\":{\"stringValue\":\"b c\"}},"
             "{\"key\":\"k\",\"value\":{\"stringValue\":\"\\\"q\\\"\"}},"
             "{\"key\":\"service.name\",\"value\":{\"stringValue\":\"svc\"}},"
             "{\"key\":\"service.version\",\"value\":{\"stringValue\":"
             "\"" PROGRAM_VERSION "\"}}]");
    free(all);
    json_decref(message);
}

TEST_CASE(span_next_header__pairs__become_lines)
{
    char line[100];
    struct str list =
        STR("api-key=se%20cret, x y=z,broken,b=%0aevil,Authorization=Basic a=");
    assert_true(span_next_header(&list, line, sizeof line));
    assert_string_equal(line, "api-key: se cret");
    assert_true(span_next_header(&list, line, sizeof line));
    assert_string_equal(line, "Authorization: Basic a=");
    assert_false(span_next_header(&list, line, sizeof line));
    list = STR("abcdefgh=ijklmnop,a=b");
    assert_true(span_next_header(&list, line, 8));
    assert_string_equal(line, "a: b");
}

TESTS_RUN(NULL, NULL)
