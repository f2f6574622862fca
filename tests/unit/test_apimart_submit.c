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
    {"S5 NaN elsewhere", 200, "{\"cost\":NaN,\"x\":-Infinity,\"data\":{\"id\":\"task_1\"}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 cut behind the id", 200, "{\"code\":200,\"data\":[{\"task_id\" : \"task_1\",\"sta", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 a warning before", 200, "<br />\nWarning: x in y.php\n{\"data\":{\"taskId\":\"task_1\"}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 as an event stream", 200, "data: {\"data\":{\"task_id\":\"task_1\"}}\n\n", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 something behind", 200, "{\"data\":{\"task_id\":\"task_1\"}}<!-- x -->", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 behind another", 200, "{\"code\":200}\n{\"task_id\":\"task_1\"}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 another spelling", 200, "{\"Response\":{\"TaskId\":\"task_1\",\"RequestId\":\"r\"}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 a list of tasks", 200, "{\"code\":0,\"data\":{\"tasks\":[{\"taskID\":\"task_1\"}]}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S7 cut in the id", 200, "{\"data\":{\"task_id\":\"task_", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 cut, several ids", 200, "[{\"task_id\":\"task_1\"},{\"task_id\":\"task_2\"},", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 cut, an id in words", 200, "{\"x\":\"no task_id: \\\"task_1\\\"\",", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 unparsable", 200, "{\"code\":200,\"data\":[{\"task_id\":\"ta", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 empty", 200, "", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 HTML", 200, "<html>hello</html>", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 no id", 200, "{\"code\":200,\"data\":[]}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 two ids", 200, "{\"data\":[{\"task_id\":\"a\"},{\"task_id\":\"b\"}]}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S5 two names", 200, "{\"data\":[{\"task_id\":\"task_1\",\"id\":\"b\"}]}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S7 blank id", 200, "{\"data\":{\"task_id\":\"\"}}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 id with a space", 200, "{\"data\":{\"task_id\":\"a b\"}}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 id not ASCII", 200, "{\"data\":{\"task_id\":\"t\\u00e4sk\"}}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 id with a NUL", 200, "{\"data\":{\"task_id\":\"a\\u0000\"}}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 id a number", 200, "{\"data\":{\"task_id\":5}}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 an array", 200, "[1,2]", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S8 301", 301, "", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S8 307", 307, "<html>", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S9 400", 400, ERROR("invalid_request_error", "400", "invalid duration 20, allowed range: 1-15 seconds"), OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S24 405 empty", 405, "", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S9 411", 411, "", OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S9 413", 413, "<html>", OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S9 414", 414, "", OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S9 415", 415, "", OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S9 422", 422, "", OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S9 431", 431, "", OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S9 moderation", 400, ERROR("invalid_request_error", "400", "prompt failed Moderation"), OUTCOME_REFUSED, HOLD_NONE, FAILURE_MODERATION},
    {"S9 moderation by code", 400, ERROR("", "400063", "no"), OUTCOME_REFUSED, HOLD_NONE, FAILURE_MODERATION},
    {"S9 moderation in Chinese", 422, ERROR("", "\"\"", "\xe5\x86\x85\xe5\xae\xb9\xe5\xae\xa1\xe6\xa0\xb8\xe6\x9c\xaa\xe9\x80\x9a\xe8\xbf\x87"), OUTCOME_REFUSED, HOLD_NONE, FAILURE_MODERATION},
    {"S24 404 plain", 404, "not found", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
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
    {"S5 top task_id", 200, "{\"task_id\":\"task_1\",\"status\":\"queued\"}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 top task_id alone", 200, "{\"task_id\":\"task_1\"}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 top id and status", 200, "{\"id\":\"task_1\",\"object\":\"video\",\"status\":\"queued\"}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 top id of its form", 200, "{\"id\":\"task_1\",\"created_at\":1}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 top id and task_id", 200, "{\"id\":\"resp-7\",\"task_id\":\"task_1\",\"status\":\"ok\"}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 data beats the top", 200, "{\"task_id\":\"b\",\"data\":{\"task_id\":\"task_1\"}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 task_id beats data's id", 200, "{\"task_id\":\"task_1\",\"data\":{\"id\":\"b\"}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 request_id beside", 200, "{\"request_id\":\"req-1\",\"data\":{\"task_id\":\"task_1\"}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 data a text", 200, "{\"code\":\"success\",\"message\":\"\",\"data\":\"task_1\"}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 data texts", 200, "{\"code\":200,\"data\":[\"task_1\"]}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 camel case", 200, "{\"code\":200,\"data\":{\"taskId\":\"task_1\"}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 output", 200, "{\"request_id\":\"r\",\"output\":{\"task_id\":\"task_1\",\"task_status\":\"PENDING\"}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 result", 200, "{\"success\":true,\"result\":{\"task_id\":\"task_1\"}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 a number is no id", 200, "{\"id\":42,\"status\":\"ok\",\"task_id\":\"task_1\"}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 id beside a flat refusal", 200, "{\"code\":\"quota_not_enough\",\"task_id\":\"task_1\"}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S7 top id alone", 200, "{\"id\":\"abc\"}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 top id and a status that is none", 200, "{\"id\":\"abc\",\"status\":200}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 top id and a blank status", 200, "{\"id\":\"abc\",\"status\":\" \"}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 request_id", 200, "{\"request_id\":\"task_1\",\"status\":\"queued\"}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 the request's id again", 200, "{\"request_id\":\"abc\",\"id\":\"abc\",\"status\":\"ok\"}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 two at the top", 200, "{\"task_id\":\"a\",\"result\":{\"task_id\":\"b\"}}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 two ids beside a refusal", 200, "{\"code\":400,\"data\":[{\"task_id\":\"a\"},{\"task_id\":\"b\"}]}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 data a text of another kind", 200, "{\"code\":200,\"data\":\"ok\"}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S6 flat word", 200, "{\"code\":\"quota_not_enough\",\"message\":\"user quota is not enough\",\"data\":null}", OUTCOME_PUT_OFF, HOLD_BALANCE, FAILURE_NONE},
    {"S6 flat word for a request", 200, "{\"code\":\"invalid_request_error\",\"message\":\"invalid duration\",\"data\":null}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S6 flat moderation", 200, "{\"code\":400,\"msg\":\"prompt contains sensitive content\"}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_MODERATION},
    {"S6 flat build_request_failed", 200, "{\"code\":\"build_request_failed\",\"message\":\"invalid size\"}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S6 flat unavailable", 200, "{\"code\":\"idempotency_unavailable\",\"message\":\"x\"}", OUTCOME_PUT_OFF, HOLD_THROTTLE, FAILURE_NONE},
    {"S7 flat unknown word", 200, "{\"code\":\"invalid_request\",\"message\":\"user quota is not enough\",\"data\":null}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 flat unknown number", 200, "{\"code\":400063,\"message\":\"moderation failed\"}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 flat code 0", 200, "{\"code\":0,\"message\":\"invalid_request_error: no\"}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 flat code 1", 200, "{\"code\":1,\"msg\":\"quota_not_enough\"}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 flat no code", 200, "{\"success\":false,\"message\":\"user quota is not enough\"}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 detail", 200, "{\"detail\":\"prompt contains sensitive content\"}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 detail with a code", 200, "{\"detail\":{\"code\":400,\"message\":\"invalid\"}}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 status of a problem", 200, "{\"title\":\"Bad Request\",\"status\":400,\"detail\":\"x\"}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 errors", 200, "{\"errors\":[{\"code\":\"invalid_request_error\",\"message\":\"x\"}]}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 error a text", 200, "{\"error\":\"invalid_request_error: no\"}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 type alone", 200, "{\"type\":\"invalid_request_error\",\"message\":\"no\"}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 data with a code", 200, "{\"data\":{\"code\":400,\"message\":\"no\"}}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 flat 500 and a word", 200, "{\"code\":500,\"message\":\"build_request_failed: x\"}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 flat 503 and a word", 200, "{\"code\":503,\"message\":\"idempotency_unavailable\"}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 flat 302", 200, "{\"code\":302,\"message\":\"moved\"}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 a refusal as text", 200, "{\"error\":{\"code\":\"upstream_error\",\"message\":\"{\\\"code\\\":400,\\\"message\\\":\\\"no\\\"}\"}}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S12 flat", 403, "{\"code\":\"quota_not_enough\",\"message\":\"user quota is not enough\",\"data\":null}", OUTCOME_PUT_OFF, HOLD_BALANCE, FAILURE_NONE},
    {"S12 credit", 403, "{\"error\":{\"message\":\"need pre-deduct $0.84, credit is insufficient\",\"type\":\"new_api_error\",\"code\":\"\"}}", OUTCOME_PUT_OFF, HOLD_BALANCE, FAILURE_NONE},
    {"S12 not enough", 403, "{\"error\":{\"message\":\"user quota is not enough\",\"type\":\"new_api_error\",\"code\":\"\"}}", OUTCOME_PUT_OFF, HOLD_BALANCE, FAILURE_NONE},
    {"S12 detail", 403, "{\"detail\":\"Not enough credits\"}", OUTCOME_PUT_OFF, HOLD_BALANCE, FAILURE_NONE},
    {"S12 detail object", 403, "{\"detail\":{\"code\":\"insufficient_balance\",\"msg\":\"no\"}}", OUTCOME_PUT_OFF, HOLD_BALANCE, FAILURE_NONE},
    {"S12 Chinese credits", 403, "{\"code\":403,\"msg\":\"积分不足，请充值\"}", OUTCOME_PUT_OFF, HOLD_BALANCE, FAILURE_NONE},
    {"S12 as text", 403, "{\"error\":{\"code\":\"bad_response_status_code\",\"message\":\"upstream: {\\\"code\\\":\\\"quota_not_enough\\\",\\\"message\\\":\\\"\\\\u4f59\\\\u989d\\\\u4e0d\\\\u8db3\\\"}\"}}", OUTCOME_PUT_OFF, HOLD_BALANCE, FAILURE_NONE},
    {"S12 in a 400", 400, "{\"code\":\"insufficient_user_quota\",\"message\":\"用户额度不足\"}", OUTCOME_PUT_OFF, HOLD_BALANCE, FAILURE_NONE},
    {"S12 in a 429", 429, "{\"error\":{\"code\":\"insufficient_quota\",\"message\":\"You exceeded your current quota\"}}", OUTCOME_PUT_OFF, HOLD_BALANCE, FAILURE_NONE},
    {"S12 in a 422", 422, "{\"detail\":[{\"msg\":\"insufficient balance\"}]}", OUTCOME_PUT_OFF, HOLD_BALANCE, FAILURE_NONE},
    {"S14 of a rate", 429, "{\"error\":{\"code\":\"quota_exceeded\",\"message\":\"quota exceeded for requests per minute\"}}", OUTCOME_PUT_OFF, HOLD_THROTTLE, FAILURE_NONE},
    {"S9 balance in a prompt", 400, "{\"error\":{\"message\":\"invalid prompt: a gymnast on a balance beam\"}}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S13 moderation of a balance", 403, "{\"error\":{\"message\":\"prompt on balance sheets: content moderation\"}}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_MODERATION},
    {"S9 flat", 400, "{\"code\":400,\"message\":\"invalid duration\"}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S9 detail moderation", 400, "{\"detail\":\"prompt contains sensitive content\"}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_MODERATION},
    {"S9 FastAPI", 422, "{\"detail\":[{\"loc\":[\"body\",\"prompt\"],\"msg\":\"String is too long\",\"type\":\"string_too_long\"}]}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S9 FastAPI moderation", 422, "{\"detail\":[{\"loc\":[\"body\",\"prompt\"],\"msg\":\"fails content moderation\",\"type\":\"value_error\"}]}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_MODERATION},
    {"S9 problem moderation", 400, "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,\"detail\":\"The prompt violates our usage policies\"}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_MODERATION},
    {"S9 errors moderation", 400, "{\"message\":\"invalid\",\"errors\":{\"prompt\":[\"contains NSFW words\"]}}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_MODERATION},
    {"S9 errors list", 400, "{\"errors\":[{\"message\":\"sensitive content\"}]}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_MODERATION},
    {"S9 msg in Chinese", 400, "{\"code\":400,\"msg\":\"提示词包含违规内容\"}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_MODERATION},
    {"S9 moderation by flat code", 400, "{\"code\":400063,\"message\":\"no\"}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_MODERATION},
    {"S9 moderation by ErrCode", 400, "{\"ErrCode\":500063,\"ErrMsg\":\"no\"}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_MODERATION},
    {"S9 moderation as text", 400, "{\"error\":{\"code\":\"fail\",\"message\":\"{\\\"code\\\":400063,\\\"message\\\":\\\"no\\\"}\"}}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_MODERATION},
    {"S20 flat", 500, "{\"code\":\"build_request_failed\",\"message\":\"invalid size: 3:5\",\"data\":null}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S22 detail", 500, "{\"detail\":\"build_request_failed: x\"}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S22 as text", 500, "{\"error\":{\"message\":\"{\\\"message\\\":\\\"build_request_failed: x\\\"}\"}}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S19 flat", 503, "{\"code\":\"idempotency_unavailable\",\"message\":\"not executed\"}", OUTCOME_PUT_OFF, HOLD_THROTTLE, FAILURE_NONE},
    {"S24 403 HTML", 403, "<html><body>Attention Required</body></html>", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S24 403 empty", 403, "", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S24 403 text", 403, "RBAC: access denied", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S24 403 of a gateway", 403, "{\"message\":\"Forbidden\"}", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S24 403 not an object", 403, "\"no\"", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S24 403 says nothing", 403, "{}", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S24 404 HTML", 404, "<html>404 Not Found</html>", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S24 404 text", 404, "404 page not found", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S24 404 of Kong", 404, "{\"message\":\"no Route matched with those values\"}", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S24 404 of FastAPI", 404, "{\"detail\":\"Not Found\"}", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S24 404 of Spring", 404, "{\"timestamp\":1,\"status\":404,\"error\":\"Not Found\",\"path\":\"/v1/videos/generations\"}", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S24 404 of Nest", 404, "{\"statusCode\":404,\"message\":\"Cannot POST /v1/videos/generations\",\"error\":\"Not Found\"}", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S24 404 problem", 404, "{\"type\":\"https://tools.ietf.org/html/rfc9110#section-15.5.5\",\"title\":\"Not Found\",\"status\":404}", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S24 404 of a relay", 404, "{\"error\":{\"message\":\"Invalid URL (POST /v1/videos/generations)\",\"type\":\"invalid_request_error\",\"code\":\"\"}}", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S24 405 HTML", 405, "<html>405</html>", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S24 405 of FastAPI", 405, "{\"detail\":\"Method Not Allowed\"}", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S24 IP", 403, "{\"error\":{\"message\":\"your IP is not on the token's list\",\"type\":\"new_api_error\"}}", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S24 IP in Chinese", 403, "{\"error\":{\"message\":\"您的 IP 不在令牌允许访问的列表中\",\"type\":\"new_api_error\"}}", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S24 IP by code", 403, "{\"code\":\"ip_not_allowed\",\"message\":\"no\"}", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S24 country", 403, "{\"error\":{\"code\":\"unsupported_country_region_territory\",\"message\":\"Country, region, or territory not supported\"}}", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S24 banned", 403, "{\"error\":{\"message\":\"Your account has been suspended for violating our usage policies\",\"type\":\"new_api_error\"}}", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S24 banned in Chinese", 403, "{\"message\":\"用户已被封禁\",\"success\":false}", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"S13 a threat", 403, "{\"error\":{\"message\":\"Moderation: your account will be suspended for more\"}}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_MODERATION},
    {"S13 a part is not to be had", 403, "{\"error\":{\"message\":\"audio is disabled for this account\"}}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_SUBMIT_REFUSED},
    {"S13 flat", 403, "{\"code\":\"permission_error\",\"message\":\"no permission for this model\"}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_SUBMIT_REFUSED},
    {"S13 a zip is no IP", 403, "{\"error\":{\"message\":\"zip files are not allowed\"}}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_SUBMIT_REFUSED},
    {"S13 moderation by a relay", 403, "{\"detail\":\"Forbidden: sensitive words\"}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_MODERATION},
    {"S10 model", 404, "{\"error\":{\"message\":\"The model does not exist\",\"type\":\"invalid_request_error\",\"code\":\"model_not_found\"}}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_SUBMIT_REFUSED},
    {"S10 flat", 404, "{\"code\":\"model_not_found\",\"message\":\"no such model\"}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_SUBMIT_REFUSED},
    {"S9 405 of the provider", 405, "{\"error\":{\"type\":\"api_error\",\"code\":405,\"message\":\"Method Not Allowed\"}}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_INVALID_REQUEST},
    {"S5 an array deeper inside", 200, "{\"code\":200,\"data\":[{\"task\":{\"task_id\":\"task_1\"}}]}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 two containers", 200, "{\"result\":{\"data\":{\"task_id\":\"task_1\"}}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 the same name again, without it", 200, "{\"task_id\":\"task_1\",\"task_id\":null}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 again behind, beside another", 200, "{\"code\":200,\"data\":[{\"task_id\":\"task_1\"}]}{\"task_id\":\"task_1\"}{\"task_id\":\"task_2\"}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 the other way round", 200, "{\"code\":200,\"data\":[{\"task_id\":\"task_1\"}]}{\"task_id\":\"task_2\"}{\"task_id\":\"task_1\"}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 one of two in a better place", 200, "{\"id\":\"task_1\",\"status\":\"q\",\"output\":{\"id\":\"b\",\"status\":\"q\"},\"task\":{\"task_id\":\"task_1\"}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S7 somewhere beside a refusal", 200, "{\"code\":429,\"message\":\"busy\",\"data\":{\"detail\":{\"task_id\":\"task_1\"}}}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 two somewhere", 200, "{\"data\":[{\"task\":{\"task_id\":\"task_1\"}},{\"task\":{\"task_id\":\"task_2\"}}]}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S7 our own source again", 200, "{\"code\":200,\"data\":[{\"request\":{\"extend_from_task_id\":\"task_1\"}}]}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S5 data in data", 200, "{\"data\":{\"data\":{\"task_id\":\"task_1\"}}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 a list of one", 200, "{\"task_ids\":[\"task_1\"]}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S5 video", 200, "{\"video\":{\"id\":\"task_1\",\"status\":\"queued\"}}", OUTCOME_ACCEPTED, HOLD_NONE, FAILURE_NONE},
    {"S7 a list of two", 200, "{\"task_ids\":[\"task_1\",\"task_2\"]}", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"S9 moderation deeper inside", 400, "{\"error\":{\"message\":\"Prompt blocked\",\"innererror\":{\"code\":\"ResponsibleAIPolicyViolation\"}}}", OUTCOME_REFUSED, HOLD_NONE, FAILURE_MODERATION},
    {"S24 country in words", 403, "{\"error\":\"Forbidden\",\"message\":\"Access from your country is denied\"}", OUTCOME_PUT_OFF, HOLD_CHANNEL, FAILURE_NONE},
    {"410", 410, "", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
    {"451", 451, "", OUTCOME_UNANSWERED, HOLD_NONE, FAILURE_NONE},
};
/* clang-format on */

TEST_CASE_WITH(apimart_read_submit__each_answer__has_its_outcome, set_up,
               tear_down)
{
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

TEST_CASE_WITH(apimart_read_submit__transport_ends__by_whether_it_was_sent,
               set_up, tear_down)
{
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

TEST_CASE_WITH(apimart_read_submit__broken_after_a_refusal__is_doubt, set_up,
               tear_down)
{
    struct reply reply = whole(400, "{\"error\":{\"mess");
    reply.end = REPLY_BROKEN;
    assert_int_equal(read_submit(&reply).kind, OUTCOME_UNANSWERED);
}

TEST_CASE_WITH(apimart_read_submit__broken_behind_the_id__keeps_the_id, set_up,
               tear_down)
{
    struct reply reply = whole(200, ID200);
    reply.end = REPLY_BROKEN;
    const struct outcome outcome = read_submit(&reply);
    assert_int_equal(outcome.kind, OUTCOME_ACCEPTED);
    assert_text(outcome.provider_task_id, "task_1");
}

TEST_CASE_WITH(apimart_read_submit__id_lengths__1_to_128, set_up, tear_down)
{
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

TEST_CASE_WITH(apimart_read_submit__refusal__tells_what_the_provider_said,
               set_up, tear_down)
{
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

/** People read it: once each, and the place of the fault before it. */
TEST_CASE_WITH(apimart_read_submit__other_peoples_shapes__tell_their_words,
               set_up, tear_down)
{
    static const struct {
        int status;
        const char *body;
        const char *message;
        const char *code;
    } rows[] = {
        {400, "{\"detail\":\"bad prompt\"}", "bad prompt", ""},
        {422,
         "{\"detail\":[{\"loc\":[\"body\",\"image_urls\",0],\"msg\":\"bad "
         "URL\",\"type\":\"url\"},{\"loc\":[\"body\",\"seed\"],\"msg\":"
         "\"too big\"}]}",
         "body.image_urls.0: bad URL; body.seed: too big", ""},
        {400,
         "{\"type\":\"https://a.example/probs/x\",\"title\":\"Bad\","
         "\"status\":400,\"detail\":\"seed is too big\"}",
         "Bad; seed is too big", ""},
        {400,
         "{\"message\":\"invalid\",\"errors\":{\"prompt\":[\"is too "
         "long\"]}}",
         "invalid; prompt: is too long", ""},
        {403, "{\"code\":\"no_model\",\"message\":\"no model\",\"data\":null}",
         "no model", "no_model"},
        {400, "{\"code\":400,\"msg\":\"bad\",\"data\":\"seed\"}", "bad; seed",
         "400"},
        {400,
         "{\"error\":{\"code\":400,\"message\":\"{\\\"code\\\":"
         "\\\"bad_seed\\\",\\\"message\\\":\\\"seed?\\\"}\"}}",
         "seed?", "bad_seed"},
        {400, "{\"error\":{\"message\":\"a {b} c\"}}", "a {b} c", ""},
        {403, "<html>",
         "the provider answered with HTTP status 403, not in its own words: a "
         "firewall or a gateway?",
         ""},
        {400, "{\"error\":{\"message\":\"got {\\\"x\\\":1}\"}}",
         "got {\"x\":1}", ""},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        const struct reply reply = whole(rows[i].status, rows[i].body);
        const struct outcome outcome = read_submit(&reply);
        assert_text(outcome.message, rows[i].message);
        assert_text(outcome.provider_code, rows[i].code);
    }
}

/** Each is looked for in what was gathered before it: a hostile one could ask
 * for seconds of that. */
TEST_CASE_WITH(apimart_read_submit__hundreds_of_faults__some_are_told, set_up,
               tear_down)
{
    char body[16000] = "{\"error\":[";
    for (int i = 0; i < 1000; i++) {
        sprintf(body + strlen(body), "%s%s\"p%03d\"%s", i ? "," : "",
                i % 100 == 0  ? "[["
                : i % 10 == 0 ? "["
                              : "",
                i,
                i % 100 == 99 ? "]]"
                : i % 10 == 9 ? "]"
                              : "");
    }
    strcat(body, "]}");
    const struct reply reply = whole(400, body);
    const struct outcome outcome = read_submit(&reply);
    assert_true(str_find_nocase(outcome.message, STR("p000; p001")) >= 0);
    assert_true(str_find_nocase(outcome.message, STR("p099")) >= 0);
    assert_true(str_find_nocase(outcome.message, STR("p100")) < 0);
}

/** Nothing that could be evidence is given up in silence. */
TEST_CASE_WITH(apimart_read_submit__evidence__is_told, set_up, tear_down)
{
    struct reply reply = whole(200, "{\"data\":{\"task_id\":\"task_1\","
                                    "\"id\":\"b\"}}");
    struct outcome outcome = read_submit(&reply);
    assert_text(outcome.provider_task_id, "task_1");
    assert_text(outcome.message, "its answer also names b");
    assert_false(outcome.unread);

    reply = whole(200, ID200);
    assert_int_equal(read_submit(&reply).message.len, 0);

    reply = whole(200, "{\"data\":[{\"task_id\":\"a\"},{\"task_id\":\"b\"}]}");
    outcome = read_submit(&reply);
    assert_true(outcome.unread);
    assert_text(outcome.message, "the provider accepted, but its answer names "
                                 "several tasks: a, b");

    reply = whole(200, "{\"job\":\"j-7\"}");
    outcome = read_submit(&reply);
    assert_true(outcome.unread);
    assert_text(outcome.message, "the provider accepted, but its answer names "
                                 "no task: {\"job\":\"j-7\"}");

    reply = whole(200, "{\"code\":500,\"message\":\"oops\"}");
    assert_false(read_submit(&reply).unread);
    reply = whole(502, "<html>");
    assert_false(read_submit(&reply).unread);
}

TEST_CASE_WITH(apimart_read_submit__deep_errors__end, set_up, tear_down)
{
    char body[4096] = "{\"error\":{\"message\":";
    for (int i = 0; i < 100; i++) {
        strcat(body, "{\"detail\":[{\"errors\":");
    }
    strcat(body, "\"x\"");
    for (int i = 0; i < 100; i++) {
        strcat(body, "}]}");
    }
    strcat(body, "}}");
    const struct reply reply = whole(400, body);
    assert_int_equal(read_submit(&reply).kind, OUTCOME_REFUSED);
}

TEST_CASE_WITH(apimart_read_submit__secrets_in_a_message__are_left_out, set_up,
               tear_down)
{
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

TEST_CASE_WITH(apimart_read_submit__long_message__is_cut_at_2000_points, set_up,
               tear_down)
{
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

TEST_CASE_WITH(apimart_read_submit__retry_after__is_passed_on, set_up,
               tear_down)
{
    struct reply reply = whole(429, "");
    reply.retry_after = STR("12");
    assert_int_equal(read_submit(&reply).retry_after_ms, 12000);
    reply.retry_after = STR("rubbish");
    assert_int_equal(read_submit(&reply).retry_after_ms, 0);
}

/** Not every wait is for want of slots. */
TEST_CASE_WITH(apimart_read_submit__429__is_more_than_the_account_may, set_up,
               tear_down)
{
    static const struct {
        int status;
        const char *body;
        bool crowded;
    } cases[] = {
        {429, "", true},
        {200, "{\"code\":429,\"message\":\"slow\"}", true},
        {429, ERROR("insufficient_quota", "429", "insufficient balance"),
         false},
        {503, ERROR("idempotency_unavailable", "503", "later"), false},
        {409, ERROR("idempotency_in_progress", "409", "it runs"), false},
        {500, "", false},
        {200, ID200, false},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const struct reply reply = whole(cases[i].status, cases[i].body);
        assert_int_equal(read_submit(&reply).crowded, cases[i].crowded);
    }
}

TEST_CASE_WITH(apimart_read_submit__mutated_replies__always_have_an_outcome,
               set_up, tear_down)
{
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

TEST_CASE_WITH(apimart_read_submit__very_deep_reply__is_doubt, set_up,
               tear_down)
{
    enum { DEPTH = 100000 };
    char *body = malloc(DEPTH + 1);
    assert_non_null(body);
    memset(body, '[', DEPTH);
    body[DEPTH] = '\0';
    const struct reply reply = whole(200, body);
    assert_int_equal(read_submit(&reply).kind, OUTCOME_UNANSWERED);
    free(body);
}

TESTS_RUN(NULL, NULL)
