#include "lib/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/provider_reply.h"

static struct outcome read_poll(const struct reply *reply)
{
    struct outcome outcome;
    apimart_read_poll(reply, STR("task_1"), NOW_MS, &arena, &outcome);
    assert_true(str_is_utf8(outcome.message));
    assert_true(outcome.status.len < sizeof((struct task_memo *)0)->status);
    return outcome;
}

static const char *kind_of(const struct outcome *outcome)
{
    return outcome_kind_name(outcome->kind);
}

#define TASK(fields) "{\"code\":200,\"data\":{\"id\":\"task_1\"," fields "}}"

/* clang-format off */
static const struct poll_row {
    const char *row; /* of lib/core/apimart.md */
    int status;
    const char *body;
    enum outcome_kind kind;
    enum hold_reason hold;
    enum failure_kind failure;
} poll_rows[] = {
    {"P1 submitted", 200, TASK("\"status\":\"submitted\""), OUTCOME_STILL_RUNNING, HOLD_NONE, FAILURE_NONE},
    {"P1 upper case", 200, TASK("\"status\":\"PROCESSING\""), OUTCOME_STILL_RUNNING, HOLD_NONE, FAILURE_NONE},
    {"P1 another task's", 200, "{\"data\":{\"id\":\"task_2\",\"status\":\"processing\"}}", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P1 another task's", 200, "{\"data\":{\"task_id\":\"task_2\",\"status\":\"queued\",\"progress\":7}}", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P1 unknown", 200, TASK("\"status\":\"dreaming\""), OUTCOME_STILL_RUNNING, HOLD_NONE, FAILURE_NONE},
    {"P1 empty", 200, TASK("\"status\":\"\""), OUTCOME_STILL_RUNNING, HOLD_NONE, FAILURE_NONE},
    {"P1 none", 200, TASK("\"progress\":1"), OUTCOME_STILL_RUNNING, HOLD_NONE, FAILURE_NONE},
    {"P1 null", 200, TASK("\"status\":null"), OUTCOME_STILL_RUNNING, HOLD_NONE, FAILURE_NONE},
    {"P2", 200, TASK("\"status\":\"completed\",\"result\":{\"videos\":[{\"url\":[\"https://a/1\"]}]}"), OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P2 synonym", 200, TASK("\"status\":\"Succeeded\""), OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P2 synonym", 200, TASK("\"status\":\"SUCCESS\""), OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P2 array", 200, "{\"data\":[{\"id\":\"task_1\",\"status\":\"completed\"}]}", OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P2 no wrapper", 200, "{\"id\":\"task_1\",\"status\":\"completed\"}", OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P2 NaN", 200, TASK("\"status\":\"completed\",\"progress\":NaN"), OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P2 something behind", 200, TASK("\"status\":\"completed\"") "\n<!-- x -->", OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P3", 200, TASK("\"status\":\"completed\",\"result\":null"), OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P4", 200, TASK("\"status\":\"failed\",\"error\":{\"code\":\"task_failed\",\"message\":\"oops\"}"), OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_PROVIDER_FAILED},
    {"P4 bare", 200, TASK("\"status\":\"error\""), OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_PROVIDER_FAILED},
    {"P4 overload", 200, TASK("\"status\":\"failed\",\"error\":{\"code\":500069,\"message\":\"pixverse error 500069: high load\"}"), OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_PROVIDER_FAILED},
    {"P4 400063", 200, TASK("\"status\":\"failed\",\"error\":{\"message\":\"pixverse error 400063: no\"}"), OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_MODERATION},
    {"P4 500054", 200, TASK("\"status\":\"failed\",\"error\":{\"code\":500054,\"message\":\"no\"}"), OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_MODERATION},
    {"P4 500063", 200, TASK("\"status\":\"failed\",\"error\":{\"message\":\"Task: Pixverse Error 500063: no\"}"), OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_MODERATION},
    {"P4 text", 200, TASK("\"status\":\"failed\",\"error\":{\"message\":\"NSFW image\"}"), OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_MODERATION},
    {"P5", 200, TASK("\"status\":\"cancelled\""), OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_CANCELLED},
    {"P5 one l", 200, TASK("\"status\":\"canceled\",\"error\":{\"message\":\"by user\"}"), OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_CANCELLED},
    {"P6", 200, TASK("\"status\":\"expired\""), OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P6 never made", 200, TASK("\"status\":\"expired\",\"cost\":0,\"error\":{\"message\":\"waited too long\"}"), OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_PROVIDER_FAILED},
    {"P6 paid for", 200, TASK("\"status\":\"expired\",\"cost\":0.2,\"error\":{\"message\":\"link expired\"}"), OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P7 500", 500, ERROR("server_error", "500", "x"), OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P7 502", 502, "<html>", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P7 520", 520, "<html>", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P7 408", 408, "", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P7 425", 425, "", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P7 not JSON", 200, "<html>", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P7 empty", 200, "", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P7 no data", 200, "{\"code\":200}", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P7 null data", 200, "{\"code\":200,\"data\":null}", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P7 empty data", 200, "{\"code\":200,\"data\":{}}", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P7 302", 302, "", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P8", 429, ERROR("rate_limit_error", "429", "x"), OUTCOME_MISSED, HOLD_THROTTLE, FAILURE_NONE},
    {"P9 401", 401, "", OUTCOME_MISSED, HOLD_AUTH, FAILURE_NONE},
    {"P9 403", 403, ERROR("permission_error", "403", "x"), OUTCOME_MISSED, HOLD_AUTH, FAILURE_NONE},
    {"P9 in a 200", 200, ERROR("authentication_error", "401", "x"), OUTCOME_MISSED, HOLD_AUTH, FAILURE_NONE},
    {"P10 402", 402, "", OUTCOME_MISSED, HOLD_BALANCE, FAILURE_NONE},
    {"P10 403", 403, ERROR("quota_not_enough", "403", "x"), OUTCOME_MISSED, HOLD_BALANCE, FAILURE_NONE},
    {"P11 400", 400, ERROR("invalid_request_error", "400", "\xe6\x97\xa0\xe6\x95\x88\xe7\x9a\x84\xe4\xbb\xbb\xe5\x8a\xa1ID"), OUTCOME_DENIED, HOLD_NONE, FAILURE_NONE},
    {"P11 by text", 400, ERROR("apimart_error", "\"\"", "invalid task ID"), OUTCOME_DENIED, HOLD_NONE, FAILURE_NONE},
    {"P11 in a 200", 200, ERROR("invalid_request_error", "400", "invalid task id"), OUTCOME_DENIED, HOLD_NONE, FAILURE_NONE},
    {"P2 complete", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"complete\"}}", OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P2 Finished", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"Finished\"}}", OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P2 succeed", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"succeed\"}}", OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P2 DONE", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"DONE\"}}", OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P2 successful", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"successful\"}}", OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P2 finish", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"finish\"}}", OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P2 生成成功", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"生成成功\"}}", OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P4 FAILURE", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"FAILURE\"}}", OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_PROVIDER_FAILED},
    {"P4 fail", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"fail\"}}", OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_PROVIDER_FAILED},
    {"P4 Failed", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"Failed\"}}", OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_PROVIDER_FAILED},
    {"P4 errored", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"errored\"}}", OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_PROVIDER_FAILED},
    {"P4 rejected", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"rejected\"}}", OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_PROVIDER_FAILED},
    {"P4 失败", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"失败\"}}", OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_PROVIDER_FAILED},
    {"P4 moderated", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"moderation failed\"}}", OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_MODERATION},
    {"P5 cancel", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"Cancel\"}}", OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_CANCELLED},
    {"P4 fail_reason", 200, "{\"code\":\"success\",\"message\":\"\",\"data\":{\"task_id\":\"task_1\",\"status\":\"FAILURE\",\"fail_reason\":\"pixverse error 400063: no\",\"progress\":\"100%\"}}", OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_MODERATION},
    {"P4 error a text", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"failed\",\"error\":\"contains NSFW\"}}", OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_MODERATION},
    {"P4 error as text", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"failed\",\"error\":{\"message\":\"{\\\"ErrCode\\\":500063}\"}}}", OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_MODERATION},
    {"P1 running with a URL", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"In Progress\",\"result\":{\"videos\":[{\"url\":[\"https://a/1\"]}]}}}", OUTCOME_STILL_RUNNING, HOLD_NONE, FAILURE_NONE},
    {"P1 running with an error", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"RUNNING\",\"cost\":0,\"error\":{\"message\":\"first try\"}}}", OUTCOME_STILL_RUNNING, HOLD_NONE, FAILURE_NONE},
    {"P2 unknown with a URL", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"rendered\",\"result\":{\"videos\":[{\"url\":[\"https://a/1\"]}]}}}", OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P2 none with a URL", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"result\":{\"videos\":[{\"url\":[\"https://a/1\"]}]}}}", OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P2 a number with a URL", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":1,\"result\":{\"videos\":[{\"url\":[\"https://a/1\"]}]}}}", OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P2 unknown with a URL and an error", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"x\",\"cost\":0.2,\"error\":{\"message\":\"m\"},\"result\":{\"videos\":[{\"url\":[\"https://a/1\"]}]}}}", OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P4 unknown, error and cost", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"broken\",\"cost\":0,\"error\":{\"message\":\"oops\"}}}", OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_PROVIDER_FAILED},
    {"P4 unknown, error and cost as text", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"broken\",\"cost\":\"0\",\"fail_reason\":\"sensitive words\"}}", OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_MODERATION},
    {"P1 unknown, error alone", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"broken\",\"error\":{\"message\":\"oops\"}}}", OUTCOME_STILL_RUNNING, HOLD_NONE, FAILURE_NONE},
    {"P1 unknown, cost alone", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"broken\",\"cost\":0}}", OUTCOME_STILL_RUNNING, HOLD_NONE, FAILURE_NONE},
    {"P1 unknown, cost and message", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"broken\",\"cost\":0,\"message\":\"at work\"}}", OUTCOME_STILL_RUNNING, HOLD_NONE, FAILURE_NONE},
    {"P1 unknown, error without text", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"broken\",\"cost\":0,\"error\":{\"code\":7}}}", OUTCOME_STILL_RUNNING, HOLD_NONE, FAILURE_NONE},
    {"P1 unknown, blank URL", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"broken\",\"result\":{\"videos\":[{\"url\":[\"\"]}]}}}", OUTCOME_STILL_RUNNING, HOLD_NONE, FAILURE_NONE},
    {"P1 timed out", 200, "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":\"timeout\"}}", OUTCOME_STILL_RUNNING, HOLD_NONE, FAILURE_NONE},
    {"P2 data null", 200, "{\"id\":\"task_1\",\"status\":\"done\",\"data\":null}", OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P13 its own id beside", 200, "{\"data\":{\"id\":\"42\",\"task_id\":\"task_1\",\"status\":\"completed\"}}", OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P7 how the request went", 200, "{\"status\":\"fail\",\"message\":\"try again\"}", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P7 another's status", 200, "{\"status\":\"success\",\"data\":null}", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P7 404 empty", 404, "", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P7 404 HTML", 404, "<html>404 Not Found</html>", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P7 404 text", 404, "404 page not found", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P7 404 of a gateway", 404, "{\"message\":\"no Route matched with those values\"}", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P7 404 of FastAPI", 404, "{\"detail\":\"Not Found\"}", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P7 404 of Nest", 404, "{\"statusCode\":404,\"message\":\"Cannot GET /v1/tasks/task_1\",\"error\":\"Not Found\"}", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P7 404 of a relay", 404, "{\"error\":{\"message\":\"Invalid URL (GET /v1/tasks/task_1)\",\"type\":\"invalid_request_error\"}}", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P7 400 of a gateway", 400, "{\"message\":\"Route not found\"}", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P11 404 in JSON", 404, "{\"error\":{\"message\":\"no\",\"type\":\"not_found\"}}", OUTCOME_DENIED, HOLD_NONE, FAILURE_NONE},
    {"P11 404 flat", 404, "{\"code\":404,\"message\":\"task not found\",\"data\":null}", OUTCOME_DENIED, HOLD_NONE, FAILURE_NONE},
    {"P11 400 flat", 400, "{\"code\":\"task_not_exist\",\"message\":\"task_not_exist\",\"data\":null}", OUTCOME_DENIED, HOLD_NONE, FAILURE_NONE},
    {"P11 detail in Chinese", 404, "{\"detail\":\"任务不存在\"}", OUTCOME_DENIED, HOLD_NONE, FAILURE_NONE},
    {"P9 403 HTML", 403, "<html>blocked</html>", OUTCOME_MISSED, HOLD_CHANNEL, FAILURE_NONE},
    {"P9 403 IP", 403, "{\"error\":{\"message\":\"your IP is not allowed\"}}", OUTCOME_MISSED, HOLD_CHANNEL, FAILURE_NONE},
    {"P9 403 flat", 403, "{\"code\":\"permission_error\",\"message\":\"no\"}", OUTCOME_MISSED, HOLD_AUTH, FAILURE_NONE},
    {"P2 task_status", 200, "{\"data\":{\"id\":\"task_1\",\"task_status\":\"SUCCEEDED\"}}", OUTCOME_FINISHED, HOLD_NONE, FAILURE_NONE},
    {"P4 state", 200, "{\"data\":{\"id\":\"task_1\",\"state\":\"fail\",\"fail_reason\":\"x\"}}", OUTCOME_UPSTREAM_FAILED, HOLD_NONE, FAILURE_PROVIDER_FAILED},
    {"P12 400", 400, "<html>bad request</html>", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P12 405", 405, "", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P13", 200, "{\"data\":{\"id\":\"task_2\",\"status\":\"completed\"}}", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P13 other name", 200, "{\"data\":{\"task_id\":\"task_2\",\"status\":\"failed\"}}", OUTCOME_MISSED, HOLD_NONE, FAILURE_NONE},
    {"P13 no id", 200, "{\"data\":{\"status\":\"processing\"}}", OUTCOME_STILL_RUNNING, HOLD_NONE, FAILURE_NONE},
};
/* clang-format on */

TEST_CASE_WITH(apimart_read_poll__each_answer__has_its_outcome, set_up,
               tear_down)
{
    for (size_t i = 0; i < LENGTH(poll_rows); i++) {
        const struct poll_row *row = &poll_rows[i];
        const struct reply reply = whole(row->status, row->body);
        const struct outcome outcome = read_poll(&reply);
        if (outcome.kind != row->kind || outcome.hold != row->hold ||
            outcome.failure != row->failure) {
            fail_msg("%s: %s, hold '%s', failure '%s'", row->row,
                     kind_of(&outcome), hold_reason_name(outcome.hold),
                     failure_kind_name(outcome.failure));
        }
        assert_true(step_is_possible(RUNNING, outcome.kind));
        assert_true(step_is_possible(LATE, outcome.kind));
        assert_true(step_is_possible(READY, outcome.kind));
    }
}

TEST_CASE_WITH(apimart_read_poll__any_transport_end__is_missed, set_up,
               tear_down)
{
    for (int end = REPLY_UNRESOLVED; end <= REPLY_CANCELLED; end++) {
        struct reply reply = whole(200, TASK("\"status\":\"failed\""));
        reply.end = (enum reply_end)end;
        assert_int_equal(read_poll(&reply).kind, OUTCOME_MISSED);
    }
}

TEST_CASE_WITH(apimart_read_poll__running__tells_status_and_progress, set_up,
               tear_down)
{
    static const struct {
        const char *body;
        const char *status;
        int progress;
    } rows[] = {
        {TASK("\"status\":\"processing\",\"progress\":45"), "processing", 45},
        {TASK("\"status\":\"processing\",\"progress\":45.9"), "processing", 45},
        {TASK("\"status\":\" In_Progress \",\"progress\":0"), "In_Progress", 0},
        {TASK("\"status\":\"queued\",\"progress\":101"), "queued", -1},
        {TASK("\"status\":\"queued\",\"progress\":-1"), "queued", -1},
        {TASK("\"status\":\"queued\",\"progress\":\"9\""), "queued", 9},
        {TASK("\"status\":\"queued\",\"progress\":\"45%\""), "queued", 45},
        {TASK("\"status\":\"queued\",\"progress\":\"most\""), "queued", -1},
        {TASK("\"status\":\"queued\""), "queued", -1},
        {TASK("\"status\":\"a word that is far too long for it\""),
         "a word that is far too", -1},
        {TASK("\"status\":\"\xe5\xae\xa1\xe5\xae\xa1\xe5\xae\xa1\xe5\xae\xa1"
              "\xe5\xae\xa1\xe5\xae\xa1\xe5\xae\xa1\xe5\xae\xa1\xe5\xae\xa1\""),
         "\xe5\xae\xa1\xe5\xae\xa1\xe5\xae\xa1\xe5\xae\xa1\xe5\xae\xa1"
         "\xe5\xae\xa1\xe5\xae\xa1",
         -1},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        const struct reply reply = whole(200, rows[i].body);
        const struct outcome outcome = read_poll(&reply);
        assert_int_equal(outcome.kind, OUTCOME_STILL_RUNNING);
        assert_text(outcome.status, rows[i].status);
        assert_int_equal(outcome.progress, rows[i].progress);
    }
}

TEST_CASE_WITH(apimart_read_poll__finished__has_every_url_in_order, set_up,
               tear_down)
{
    static const struct {
        const char *videos;
        const char *result; /* null: absent */
    } rows[] = {
        {"[{\"url\":[\"https://a/1\",\"https://a/"
         "2\"],\"expires_at\":1800086400},"
         "{\"url\":\"https://a/3\"}]",
         "[{\"url\":\"https://a/1\",\"expires_at\":1800086400000},"
         "{\"url\":\"https://a/2\",\"expires_at\":1800086400000},"
         "{\"url\":\"https://a/3\"}]"},
        {"[{\"url\":[\" \",null,5,\" https://a/1 \"],\"expires_at\":null}]",
         "[{\"url\":\"https://a/1\"}]"},
        {"[{\"url\":\"https://a/1\",\"expires_at\":1800086400000}]",
         "[{\"url\":\"https://a/1\"}]"}, /* milliseconds: no such second */
        {"{\"url\":\"https://a/1?a=\\\"b\\\"\"}",
         "[{\"url\":\"https://a/1?a=\\\"b\\\"\"}]"},
        {"[\"https://a/1\"]", "[{\"url\":\"https://a/1\"}]"},
        {"[{\"url\":\"a\\u0000b\"}]", NULL},
        {"[{\"url\":[]},{\"url\":\"\"},{},7]", NULL},
        {"[]", NULL},
        {"null", NULL},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        char body[1024];
        snprintf(body, sizeof body,
                 TASK("\"status\":\"completed\",\"completed\":1800000005,"
                      "\"cost\":0.2,\"credits_cost\":2,"
                      "\"result\":{\"videos\":%s}"),
                 rows[i].videos);
        const struct reply reply = whole(200, body);
        const struct outcome outcome = read_poll(&reply);
        assert_int_equal(outcome.kind, OUTCOME_FINISHED);
        assert_int_equal(outcome.generated_ms, INT64_C(1800000005000));
        assert_true(outcome.has_cost && outcome.cost == 0.2 &&
                    outcome.credits_cost == 2);
        if (rows[i].result) {
            assert_text(outcome.result, rows[i].result);
        } else {
            assert_null(outcome.result.at);
        }
    }
}

TEST_CASE_WITH(apimart_read_poll__a_cost_that_is_none__is_unknown, set_up,
               tear_down)
{
    static const char *const replies[] = {
        TASK("\"status\":\"failed\",\"cost\":-0.2,\"error\":null"),
        TASK("\"status\":\"failed\",\"cost\":\"-0.2\",\"error\":null"),
        TASK("\"status\":\"failed\",\"cost\":\"free\",\"error\":null"),
        TASK("\"status\":\"failed\",\"cost\":\"inf\",\"error\":null"),
        TASK("\"status\":\"failed\",\"cost\":\"\",\"error\":null"),
        TASK("\"status\":\"failed\",\"cost\":null,\"error\":null"),
    };
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        struct reply reply = whole(200, replies[i]);
        struct outcome outcome = read_poll(&reply);
        assert_int_equal(outcome.kind, OUTCOME_UPSTREAM_FAILED);
        assert_false(outcome.has_cost);
    }
}

TEST_CASE_WITH(apimart_read_poll__amounts_as_text__are_amounts, set_up,
               tear_down)
{
    struct reply reply = whole(200, TASK("\"status\":\"failed\",\"cost\":\"0\","
                                         "\"error\":null"));
    struct outcome outcome = read_poll(&reply);
    assert_true(outcome.has_cost && outcome.cost == 0);
    reply = whole(200, TASK("\"status\":\"completed\",\"cost\":\"0.2\","
                            "\"credits_cost\":\"2\","
                            "\"completed\":\"1800000005\","
                            "\"result\":{\"videos\":[{\"url\":\"https://a/1\","
                            "\"expires_at\":\"1800086400\"}]}"));
    outcome = read_poll(&reply);
    assert_true(outcome.has_cost && outcome.cost == 0.2 &&
                outcome.credits_cost == 2);
    assert_int_equal(outcome.generated_ms, INT64_C(1800000005000));
    assert_text(outcome.result,
                "[{\"url\":\"https://a/1\",\"expires_at\":1800086400000}]");
}

TEST_CASE_WITH(apimart_read_poll__relays_failures__tell_their_words, set_up,
               tear_down)
{
    static const struct {
        const char *body;
        const char *message;
        const char *code;
    } rows[] = {
        {"{\"code\":\"success\",\"message\":\"ok\",\"data\":{\"task_id\":"
         "\"task_1\",\"status\":\"FAILURE\",\"fail_reason\":"
         "\"pixverse error 500069: busy\"}}",
         "pixverse error 500069: busy", "500069"},
        {TASK("\"status\":\"fail\",\"message\":\"it broke\""), "it broke", ""},
        {TASK("\"status\":\"FAILURE\""),
         "failed at the provider, no reason given", ""},
        {TASK("\"status\":\"failed\",\"error\":{\"code\":\"x\",\"message\":"
              "\"upstream: {\\\"ErrCode\\\":500044,\\\"ErrMsg\\\":\\\"too "
              "many\\\"} (again)\"}"),
         "upstream: too many; (again)", "x"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        const struct reply reply = whole(200, rows[i].body);
        const struct outcome outcome = read_poll(&reply);
        assert_int_equal(outcome.kind, OUTCOME_UPSTREAM_FAILED);
        assert_text(outcome.message, rows[i].message);
        assert_text(outcome.provider_code, rows[i].code);
    }
}

/** Only by its code: words may be the prompt's. */
TEST_CASE_WITH(apimart_read_poll__failed__knows_want_of_room, set_up, tear_down)
{
    static const struct {
        const char *error;
        bool overload;
        bool crowded; /* it is the account's, not the provider's */
    } cases[] = {
        {"{\"code\":500044,\"message\":\"no\"}", true, true},
        {"{\"code\":\"x\",\"message\":\"pixverse error 500044: no\"}", true,
         true},
        {"{\"code\":\"500069\",\"message\":\"no\"}", true, false},
        {"{\"code\":\"x\",\"message\":\"pixverse error 500100: no\"}", true,
         false},
        {"{\"message\":\"pixverse error 99999: no\"}", true, false},
        {"{\"code\":500001,\"message\":\"overload 500044\"}", false, false},
        {"{\"code\":400063,\"message\":\"too many\"}", false, false},
        {"{\"code\":500031,\"message\":\"too many generations\"}", false,
         false},
        {"{\"code\":500069,\"message\":\"moderation failed\"}", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[300];
        snprintf(body, sizeof body,
                 "{\"code\":200,\"data\":{\"id\":\"task_1\",\"status\":"
                 "\"failed\",\"cost\":0,\"error\":%s}}",
                 cases[i].error);
        struct reply reply = whole(200, body);
        const struct outcome outcome = read_poll(&reply);
        assert_int_equal(outcome.overload, cases[i].overload);
        assert_int_equal(outcome.crowded, cases[i].crowded);
    }
}

TEST_CASE_WITH(apimart_read_poll__failed__tells_cost_code_and_words, set_up,
               tear_down)
{
    struct reply reply =
        whole(200, TASK("\"status\":\"failed\",\"cost\":0,\"error\":{\"code\":"
                        "\"task_failed\",\"message\":\"pixverse error 500044: "
                        "too many\"}"));
    struct outcome outcome = read_poll(&reply);
    assert_true(outcome.has_cost && outcome.cost == 0);
    assert_text(outcome.provider_code, "500044");
    assert_text(outcome.message, "pixverse error 500044: too many");
    assert_true(outcome.overload);
    assert_int_equal(outcome.http_status, 200);

    reply = whole(200, TASK("\"status\":\"failed\",\"error\":{\"code\":7,"
                            "\"message\":\"\"}"));
    outcome = read_poll(&reply);
    assert_false(outcome.has_cost);
    assert_text(outcome.provider_code, "7");

    reply = whole(200, TASK("\"status\":\"failed\",\"error\":null"));
    outcome = read_poll(&reply);
    assert_text(outcome.message, "failed at the provider, no reason given");
    assert_int_equal(outcome.provider_code.len, 0);
}

TEST_CASE_WITH(apimart_read_poll__throttled__passes_retry_after_on, set_up,
               tear_down)
{
    struct reply reply = whole(429, "");
    reply.retry_after = STR("9");
    assert_int_equal(read_poll(&reply).retry_after_ms, 9000);
}

TEST_CASE_WITH(apimart_read_poll__mutated_replies__always_have_an_outcome,
               set_up, tear_down)
{
    uint32_t random = 20261122;
    for (int round = 0; round < 40000; round++) {
        const size_t row = next_random(&random) % LENGTH(poll_rows);
        struct reply reply = whole(round % 4 ? 200 : poll_rows[row].status, "");
        reply.body = mutate(poll_rows[row].body, &random);
        const struct outcome outcome = read_poll(&reply);
        assert_true(step_is_possible(RUNNING, outcome.kind));
        free((char *)(uintptr_t)reply.body.at);
        arena_reset(&arena);
    }
}

TEST_CASE_WITH(apimart_read_poll__very_deep_reply__is_missed, set_up, tear_down)
{
    enum { DEPTH = 100000 };
    char *body = malloc(DEPTH + 1);
    assert_non_null(body);
    memset(body, '[', DEPTH);
    body[DEPTH] = '\0';
    const struct reply reply = whole(200, body);
    assert_int_equal(read_poll(&reply).kind, OUTCOME_MISSED);
    free(body);
}

TESTS_RUN(NULL, NULL)
