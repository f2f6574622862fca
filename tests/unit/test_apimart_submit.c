#include "lib/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/provider_reply.h"

#define ID200                                                                  \
    "{\"code\":200,\"data\":[{\"status\":\"submitted\",\"task_id\":\"task_"    \
    "1\"}]}"

static struct outcome read_submit(const struct reply *reply)
{
    struct outcome outcome;
    apimart_read_submit(reply, NOW_MS, &arena, &outcome);
    assert_true(str_is_utf8(outcome.message));
    assert_true(str_code_points(outcome.message) <= 2000);
    return outcome;
}

static const char *kind_of(const struct outcome *outcome)
{
    return outcome_kind_name(outcome->kind);
}

/* clang-format off */
static const struct submit_row {
    const char *row; /* of lib/core/apimart.md */
    int status;
    const char *body;
    enum outcome_kind kind;
    enum hold_reason hold;
    enum failure_kind failure;
} submit_rows[] = {
    {"S5", 200, ID200, OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 201", 201, "{\"code\":201,\"data\":{\"task_id\":\"task_1\"}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 202", 202, "{\"data\":{\"id\":\"task_1\",\"poll_url\":\"/v1/tasks/task_1\"}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 data[0].id", 200, "{\"code\":200,\"data\":[{\"id\":\"task_1\"}]}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 both names", 200, "{\"data\":[{\"id\":\"task_1\",\"task_id\":\"task_1\"}]}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 twice the same", 200, "{\"data\":[{\"id\":\"task_1\"},{\"id\":\"task_1\"}]}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 code 0", 200, "{\"code\":0,\"data\":{\"id\":\"task_1\"}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 empty error", 200, "{\"error\":{},\"data\":{\"id\":\"task_1\"}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 null error", 200, "{\"error\":null,\"data\":{\"id\":\"task_1\"}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 duplicate name", 200, "{\"code\":1,\"code\":200,\"data\":{\"id\":\"task_1\"}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 NUL elsewhere", 200, "{\"x\":\"\\u0000\",\"data\":{\"id\":\"task_1\"}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 huge number", 200, "{\"x\":123456789012345678901234,\"data\":{\"id\":\"task_1\"}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 not UTF-8 elsewhere", 200, "{\"x\":\"\xff\",\"data\":{\"id\":\"task_1\"}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 byte order mark", 200, "\xef\xbb\xbf{\"data\":{\"id\":\"task_1\"}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 id beside an error", 200, "{\"error\":{\"code\":400},\"data\":{\"id\":\"task_1\"}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S6 error object", 200, ERROR("invalid_request_error", "400", "invalid duration"), OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S6 code as text", 200, ERROR("", "\"401\"", "bad key"), OUTCOME_PUT_OFF, HOLD_AUTH, FAILURE_NONE},
    {"S6 by type", 200, ERROR("payment_required", "\"\"", "top up"), OUTCOME_PUT_OFF, HOLD_BALANCE, FAILURE_NONE},
    {"S6 by word", 200, ERROR("x", "\"quota_not_enough\"", "no"), OUTCOME_PUT_OFF, HOLD_BALANCE, FAILURE_NONE},
    {"S6 body code", 200, "{\"code\":429,\"message\":\"slow\"}", OUTCOME_PUT_OFF, HOLD_THROTTLE, FAILURE_NONE},
    {"S6 body code 422", 200, "{\"code\":422,\"data\":null}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S6 body code 500", 200, "{\"code\":500,\"message\":\"oops\"}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S6 unknown code", 200, ERROR("what", "\"ever\"", "hm"), OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S6 outer code", 200, "{\"code\":403,\"error\":{\"code\":\"nope\",\"message\":\"no\"}}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_SUBMIT_REFUSED},
    {"S7 unparsable", 200, "{\"code\":200,\"data\":[{\"task_id\":\"ta", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 empty", 200, "", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 HTML", 200, "<html>hello</html>", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 no id", 200, "{\"code\":200,\"data\":[]}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 two ids", 200, "{\"data\":[{\"task_id\":\"a\"},{\"task_id\":\"b\"}]}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 two names", 200, "{\"data\":[{\"task_id\":\"a\",\"id\":\"b\"}]}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 blank id", 200, "{\"data\":{\"task_id\":\"\"}}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 id with a space", 200, "{\"data\":{\"task_id\":\"a b\"}}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 id not ASCII", 200, "{\"data\":{\"task_id\":\"t\\u00e4sk\"}}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 id with a NUL", 200, "{\"data\":{\"task_id\":\"a\\u0000\"}}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 id a number", 200, "{\"data\":{\"task_id\":5}}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 an array", 200, "[1,2]", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S8 301", 301, "", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S8 307", 307, "<html>", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S9 400", 400, ERROR("invalid_request_error", "400", "invalid duration 20, allowed range: 1-15 seconds"), OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S9 405", 405, "", OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S9 411", 411, "", OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S9 413", 413, "<html>", OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S9 414", 414, "", OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S9 415", 415, "", OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S9 422", 422, "", OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S9 431", 431, "", OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S9 moderation", 400, ERROR("invalid_request_error", "400", "prompt failed Moderation"), OUTCOME_REFUSED, HOLD_NONE, FAILURE_MODERATION},
    {"S9 moderation by code", 400, ERROR("", "400063", "no"), OUTCOME_REFUSED, HOLD_NONE, FAILURE_MODERATION},
    {"S9 moderation in Chinese", 422, ERROR("", "\"\"", "\xe5\x86\x85\xe5\xae\xb9\xe5\xae\xa1\xe6\xa0\xb8\xe6\x9c\xaa\xe9\x80\x9a\xe8\xbf\x87"), OUTCOME_REFUSED, HOLD_NONE, FAILURE_MODERATION},
    {"S10", 404, "not found", OUTCOME_REFUSED, HOLD_NONE, FAILURE_SUBMIT_REFUSED},
    {"S11", 401, ERROR("apimart_error", "\"\"", "invalid API key"), OUTCOME_PUT_OFF, HOLD_AUTH, FAILURE_NONE},
    {"S11 HTML", 401, "<html>", OUTCOME_PUT_OFF, HOLD_AUTH, FAILURE_NONE},
    {"S12 402", 402, "", OUTCOME_PUT_OFF, HOLD_BALANCE, FAILURE_NONE},
    {"S12 type", 403, ERROR("quota_not_enough", "403", "no"), OUTCOME_PUT_OFF, HOLD_BALANCE, FAILURE_NONE},
    {"S12 text", 403, ERROR("", "\"\"", "Insufficient quota: balance=0, required=0.25"), OUTCOME_PUT_OFF, HOLD_BALANCE, FAILURE_NONE},
    {"S12 Chinese", 403, ERROR("", "\"\"", "\xe4\xbd\x99\xe9\xa2\x9d\xe4\xb8\x8d\xe8\xb6\xb3"), OUTCOME_PUT_OFF, HOLD_BALANCE, FAILURE_NONE},
    {"S13", 403, ERROR("permission_error", "403", "not allowed"), OUTCOME_REFUSED, HOLD_NONE, FAILURE_SUBMIT_REFUSED},
    {"S13 moderation", 403, ERROR("permission_error", "403", "content moderation"), OUTCOME_REFUSED, HOLD_NONE, FAILURE_MODERATION},
    {"S14", 429, ERROR("rate_limit_error", "429", "slow down"), OUTCOME_PUT_OFF, HOLD_THROTTLE, FAILURE_NONE},
    {"S15", 409, ERROR("idempotency_in_progress", "409", "wait"), OUTCOME_PUT_OFF, HOLD_THROTTLE, FAILURE_NONE},
    {"S15 in a 200", 200, ERROR("", "\"idempotency_in_progress\"", "wait"), OUTCOME_PUT_OFF, HOLD_THROTTLE, FAILURE_NONE},
    {"S16", 409, ERROR("conflict", "\"idempotency_key_reused\"", "other bytes"), OUTCOME_INDETERMINATE, HOLD_NONE, FAILURE_NONE},
    {"S17", 409, ERROR("conflict", "\"idempotency_result_indeterminate\"", "stop"), OUTCOME_INDETERMINATE, HOLD_NONE, FAILURE_NONE},
    {"S18", 409, ERROR("conflict", "409", "something else"), OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S19", 503, ERROR("service_unavailable", "\"idempotency_unavailable\"", "not executed"), OUTCOME_PUT_OFF, HOLD_THROTTLE, FAILURE_NONE},
    {"S20", 500, ERROR("server_error", "500", "build_request_failed: invalid size: 3:5, allowed: 1:1"), OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S20 only mentioned", 500, ERROR("server_error", "500", "after build_request_failed we went on"), OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S20 as 502", 502, ERROR("server_error", "500", "build_request_failed: x"), OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S21", 503, ERROR("service_unavailable", "503", "no available channel"), OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S22 500", 500, ERROR("server_error", "500", "moderation service is down"), OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S22 502", 502, "<html>502</html>", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S22 503", 503, "", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S22 504", 504, "", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S22 408", 408, "", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S22 425", 425, "", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S22 520", 520, "", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S22 524", 524, "", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S23 521", 521, "<html>", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S23 530", 530, "<html>", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"410", 410, "", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"451", 451, "", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
};
/* clang-format on */

static void apimart_read_submit__each_answer__has_its_outcome(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(submit_rows); i++) {
        const struct submit_row *row = &submit_rows[i];
        const struct reply reply = whole(row->status, row->body);
        const struct outcome outcome = read_submit(&reply);
        if (outcome.kind != row->kind || outcome.hold != row->hold ||
            outcome.failure != row->failure) {
            fail_msg("%s: %s, hold '%s', failure '%s'", row->row,
                     kind_of(&outcome), hold_reason_name(outcome.hold),
                     failure_kind_name(outcome.failure));
        }
        assert_int_equal(outcome.http_status, row->status);
        if (row->kind == OUTCOME_ACCEPTED) {
            assert_text(outcome.provider_task_id, "task_1");
        } else {
            assert_int_equal(outcome.provider_task_id.len, 0);
            assert_true(outcome.message.len > 0);
        }
        assert_int_equal(outcome.key_running, strncmp(row->row, "S15", 3) == 0);
        assert_true(step_is_possible(SUBMITTING, outcome.kind));
    }
}

static void
apimart_read_submit__transport_ends__by_whether_it_was_sent(void **state)
{
    (void)state;
    static const struct {
        enum reply_end end;
        bool sent;
        enum outcome_kind kind;
        enum hold_reason hold;
    } rows[] = {
        {REPLY_UNRESOLVED, false, OUTCOME_NOT_SENT, HOLD_NONE},
        {REPLY_UNREACHED, false, OUTCOME_NOT_SENT, HOLD_NONE},
        {REPLY_UNTRUSTED, false, OUTCOME_NOT_SENT, HOLD_CHANNEL},
        {REPLY_TIMED_OUT, false, OUTCOME_NOT_SENT, HOLD_NONE},
        {REPLY_CANCELLED, false, OUTCOME_NOT_SENT, HOLD_NONE},
        {REPLY_BROKEN, false, OUTCOME_NOT_SENT, HOLD_NONE},
        {REPLY_TIMED_OUT, true, OUTCOME_UNANSWERED, HOLD_NONE},
        {REPLY_BROKEN, true, OUTCOME_UNANSWERED, HOLD_NONE},
        {REPLY_TOO_LARGE, true, OUTCOME_UNANSWERED, HOLD_NONE},
        {REPLY_CANCELLED, true, OUTCOME_UNANSWERED, HOLD_NONE},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        const struct reply reply = {
            .end = rows[i].end, .sent = rows[i].sent, .why = "library's words"};
        const struct outcome outcome = read_submit(&reply);
        assert_int_equal(outcome.kind, rows[i].kind);
        assert_int_equal(outcome.hold, rows[i].hold);
        assert_true(str_find_nocase(outcome.message, STR("library's")) >= 0);
    }
}

static void apimart_read_submit__broken_after_a_refusal__is_doubt(void **state)
{
    (void)state;
    struct reply reply = whole(400, "{\"error\":{\"mess");
    reply.end = REPLY_BROKEN;
    assert_int_equal(read_submit(&reply).kind, OUTCOME_UNANSWERED);
}

static void
apimart_read_submit__broken_behind_the_id__keeps_the_id(void **state)
{
    (void)state;
    struct reply reply = whole(200, ID200);
    reply.end = REPLY_BROKEN;
    const struct outcome outcome = read_submit(&reply);
    assert_int_equal(outcome.kind, OUTCOME_ACCEPTED);
    assert_text(outcome.provider_task_id, "task_1");
}

static void apimart_read_submit__id_lengths__1_to_128(void **state)
{
    (void)state;
    for (size_t len = 127; len <= 130; len++) {
        char body[256] = "{\"data\":[{\"task_id\":\"";
        memset(body + strlen(body), 'x', len);
        strcat(body, "\"}]}");
        const struct reply reply = whole(200, body);
        const struct outcome outcome = read_submit(&reply);
        assert_int_equal(outcome.kind,
                         len <= 128 ? OUTCOME_ACCEPTED : OUTCOME_UNANSWERED);
        assert_int_equal(outcome.provider_task_id.len, len <= 128 ? len : 0);
    }
}

static void
apimart_read_submit__refusal__tells_what_the_provider_said(void **state)
{
    (void)state;
    struct reply reply =
        whole(400, ERROR("invalid_request_error", "\"bad_duration\"",
                         "invalid duration 20\\u0000,\\nallowed: 1-15"));
    struct outcome outcome = read_submit(&reply);
    assert_text(outcome.message, "invalid duration 20 , allowed: 1-15");
    assert_text(outcome.provider_code, "bad_duration");
    reply.body = STR(ERROR("", "400", "PixVerse error 400017: invalid"));
    outcome = read_submit(&reply);
    assert_text(outcome.provider_code, "400017");
    reply.body = STR(ERROR("", "\"\"", "x"));
    assert_int_equal(read_submit(&reply).provider_code.len, 0);
    reply.body = STR(ERROR("", "400", "x"));
    assert_text(read_submit(&reply).provider_code, "400");
    reply.body = STR("{\"error\":\"just words\"}");
    assert_text(read_submit(&reply).message, "just words");
    reply.body = STR("<html>");
    assert_text(read_submit(&reply).message,
                "the provider answered with HTTP status 400");
}

static void
apimart_read_submit__secrets_in_a_message__are_left_out(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"Incorrect API key provided: sk-abcDEF123456-789.",
         "Incorrect API key provided: ...."},
        {"key SK-abcDEF123456-789 is off", "key ... is off"},
        {"can't fetch https://a/b.png?X-Sig=1&b=2 (403)?",
         "can't fetch https://a/b.png... (403)?"},
        {"url 'http://a/?token=12345', size", "url 'http://a/...', size"},
        {"is this right? task-01J9ABCDEFGH risk-averse sk-1",
         "is this right? task-01J9ABCDEFGH risk-averse sk-1"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        char body[512];
        snprintf(body, sizeof body, "{\"error\":{\"message\":\"%s\"}}",
                 rows[i][0]);
        const struct reply reply = whole(400, body);
        const struct outcome outcome = read_submit(&reply);
        assert_text(outcome.message, rows[i][1]);
    }
}

static void
apimart_read_submit__long_message__is_cut_at_2000_points(void **state)
{
    (void)state;
    char *body = malloc(20000);
    assert_non_null(body);
    strcpy(body, "{\"error\":{\"message\":\"");
    for (int i = 0; i < 3000; i++) {
        strcat(body, "\xe5\xae\xa1");
    }
    strcat(body, "\"}}");
    const struct reply reply = whole(400, body);
    assert_int_equal(str_code_points(read_submit(&reply).message), 2000);
    free(body);
}

static void apimart_read_submit__retry_after__is_passed_on(void **state)
{
    (void)state;
    struct reply reply = whole(429, "");
    reply.retry_after = STR("12");
    assert_int_equal(read_submit(&reply).retry_after_ms, 12000);
    reply.retry_after = STR("rubbish");
    assert_int_equal(read_submit(&reply).retry_after_ms, 0);
}

static void
apimart_read_submit__mutated_replies__always_have_an_outcome(void **state)
{
    (void)state;
    uint32_t random = 20261122;
    for (int round = 0; round < 40000; round++) {
        const size_t row = next_random(&random) % LENGTH(submit_rows);
        struct reply reply =
            whole(round % 4 ? 200 : submit_rows[row].status, "");
        reply.body = mutate(submit_rows[row].body, &random);
        const struct outcome outcome = read_submit(&reply);
        assert_true(step_is_possible(SUBMITTING, outcome.kind));
        assert_int_equal(outcome.kind == OUTCOME_ACCEPTED,
                         outcome.provider_task_id.len > 0);
        free((char *)(uintptr_t)reply.body.at);
        arena_reset(&arena);
    }
}

static void apimart_read_submit__very_deep_reply__is_doubt(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    char *body = malloc(DEPTH + 1);
    assert_non_null(body);
    memset(body, '[', DEPTH);
    body[DEPTH] = '\0';
    const struct reply reply = whole(200, body);
    assert_int_equal(read_submit(&reply).kind, OUTCOME_UNANSWERED);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(apimart_read_submit__each_answer__has_its_outcome),
        TEST(apimart_read_submit__transport_ends__by_whether_it_was_sent),
        TEST(apimart_read_submit__broken_after_a_refusal__is_doubt),
        TEST(apimart_read_submit__broken_behind_the_id__keeps_the_id),
        TEST(apimart_read_submit__id_lengths__1_to_128),
        TEST(apimart_read_submit__refusal__tells_what_the_provider_said),
        TEST(apimart_read_submit__secrets_in_a_message__are_left_out),
        TEST(apimart_read_submit__long_message__is_cut_at_2000_points),
        TEST(apimart_read_submit__retry_after__is_passed_on),
        TEST(apimart_read_submit__mutated_replies__always_have_an_outcome),
        TEST(apimart_read_submit__very_deep_reply__is_doubt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
