#include "lib/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/provider_reply.h"

/* ---- the schema and the probes ---- */

TEST_CASE_WITH(apimart_read_schema__each_answer__by_the_contract, set_up,
               tear_down)
{
    static const struct {
        int status;
        const char *body;
        enum keys_answer answer;
        int64_t retention_ms; /* -1: untouched */
    } rows[] = {
        {200,
         "{\"code\":200,\"data\":{\"idempotency\":{\"header\":"
         "\"Idempotency-Key\",\"retention_seconds\":86400}}}",
         KEYS_HONOURED, 86400000},
        {200, "{\"idempotency\":{\"header\":\"idempotency-key\"}}",
         KEYS_HONOURED, -1},
        {200,
         "{\"idempotency\":{\"header\":\"Idempotency-Key\","
         "\"retention_seconds\":-4}}",
         KEYS_HONOURED, -1},
        {200, "{\"idempotency\":{\"header\":\"X-Other\"}}", KEYS_IGNORED, -1},
        {200, "{\"idempotency\":{}}", KEYS_IGNORED, -1},
        {200,
         "{\"idempotency\":{\"header\":\"Idempotency-Key\","
         "\"supported\":false}}",
         KEYS_IGNORED, -1},
        {200, "{\"data\":{}}", KEYS_IGNORED, -1},
        {200, "{}", KEYS_IGNORED, -1},
        {404, "", KEYS_IGNORED, -1},
        {200, "<html>", KEYS_NO_ANSWER, -1},
        {200, "", KEYS_NO_ANSWER, -1},
        {401, "{}", KEYS_NO_ANSWER, -1},
        {500, "{}", KEYS_NO_ANSWER, -1},
        {302, "{}", KEYS_NO_ANSWER, -1},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        int64_t retention_ms = -1;
        struct reply reply = whole(rows[i].status, rows[i].body);
        assert_int_equal(apimart_read_schema(&reply, &retention_ms),
                         rows[i].answer);
        assert_int_equal(retention_ms, rows[i].retention_ms);
        reply.end = REPLY_TIMED_OUT;
        assert_int_equal(apimart_read_schema(&reply, &retention_ms),
                         KEYS_NO_ANSWER);
    }
}

/** Used and left; -1 here: it does not say, or has no limit. */
TEST_CASE(apimart_read_balance__what_it_says__is_taken)
{
    static const struct {
        int status;
        const char *body;
        bool read;
        double used; /* -1: not said */
        double remain;
    } rows[] = {
        {200,
         "{\"success\":true,\"remain_balance\":9.5,\"used_balance\":0.5,"
         "\"unlimited_quota\":false}",
         true, 0.5, 9.5},
        {200, "{\"data\":{\"remain_balance\":\"9.5\",\"used_balance\":0}}",
         true, 0, 9.5},
        {200,
         "{\"success\":true,\"remain_balance\":-1,\"used_balance\":3,"
         "\"unlimited_quota\":true}",
         true, 3, -1},
        {200, "{\"remain_balance\":-1,\"used_balance\":3}", true, 3, -1},
        {200, "{\"remain_balance\":4}", true, -1, 4},
        {200, "{\"success\":false,\"used_balance\":3}", false, 0, 0},
        {200, "{\"success\":true}", false, 0, 0},
        {200, "<html>", false, 0, 0},
        {404, "{\"used_balance\":3}", false, 0, 0},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        const struct reply reply = whole(rows[i].status, rows[i].body);
        double used = 0;
        double remain = 0;
        const bool read = apimart_read_balance(&reply, &used, &remain);
        assert_int_equal(read, rows[i].read);
        if (read) {
            assert_true(rows[i].used < 0 ? isnan(used) : used == rows[i].used);
            assert_true(rows[i].remain < 0 ? isnan(remain)
                                           : remain == rows[i].remain);
        }
    }
}

TEST_CASE_WITH(apimart_read_probe__each_hold__is_lifted_by_its_answer, set_up,
               tear_down)
{
    static const struct {
        enum hold_reason hold;
        int status;
        const char *body;
        bool lifted;
        const char *message;
    } rows[] = {
        {HOLD_BALANCE, 200, "{\"success\":true,\"remain_balance\":2.5}", true,
         ""},
        {HOLD_BALANCE, 200, "{\"success\":true,\"remain_balance\":0}", false,
         "the balance is used up"},
        {HOLD_BALANCE, 200,
         "{\"success\":true,\"remain_balance\":0,\"unlimited_quota\":true}",
         true, ""},
        {HOLD_BALANCE, 200, "{\"success\":true,\"remain_balance\":-1}", true,
         ""},
        {HOLD_BALANCE, 200,
         "{\"success\":true,\"data\":{\"remain_balance\":0}}", false,
         "the balance is used up"},
        {HOLD_BALANCE, 200, "{\"success\":false,\"message\":\"no user\"}",
         false, "no user"},
        {HOLD_BALANCE, 404, "", true, ""},
        {HOLD_BALANCE, 200, "<html>", true, ""},
        {HOLD_BALANCE, 200, "{}", true, ""},
        {HOLD_BALANCE, 402, "", false,
         "the provider answered with HTTP status 402"},
        {HOLD_BALANCE, 503, "", false,
         "the provider answered with HTTP status 503"},
        {HOLD_AUTH, 401, ERROR("", "\"\"", "invalid API key"), false,
         "invalid API key"},
        {HOLD_AUTH, 403, "", false,
         "the provider answered with HTTP status 403"},
        {HOLD_AUTH, 200, ERROR("authentication_error", "\"\"", "bad key"),
         false, "bad key"},
        {HOLD_AUTH, 200, "{\"success\":true}", true, ""},
        {HOLD_AUTH, 404, "", true, ""},
        {HOLD_AUTH, 500, "", true, ""},
        {HOLD_CHANNEL, 200, "{}", true, ""},
        {HOLD_CHANNEL, 401, "{\"error\":{}}", true, ""},
        {HOLD_CHANNEL, 200, "<html>", false,
         "the answer is not the provider's JSON"},
        {HOLD_CHANNEL, 302, "{}", false,
         "the provider answered with HTTP status 302"},
        {HOLD_CHANNEL, 502, "{}", false,
         "the provider answered with HTTP status 502"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct reply reply = whole(rows[i].status, rows[i].body);
        struct str message = {0};
        bool lifted =
            apimart_read_probe(rows[i].hold, &reply, &arena, &message);
        if (lifted != rows[i].lifted) {
            fail_msg("row %zu: lifted is %d", i, lifted);
        }
        assert_text(message, rows[i].message);
        reply.end = REPLY_UNREACHED;
        assert_false(
            apimart_read_probe(rows[i].hold, &reply, &arena, &message));
        assert_true(message.len > 0);
    }
}

/* ---- the account and the exchanges ---- */

TEST_CASE_WITH(apimart_account__urls_that_are_one__have_one_name, set_up,
               tear_down)
{
    static const char *const same[] = {
        "https://api.apimart.ai", "https://api.apimart.ai/",
        "HTTPS://API.Apimart.AI", "https://api.apimart.ai:443",
        "https://api.apimart.ai:443/"};
    static const char *const others[] = {
        "http://api.apimart.ai", "https://api.apimart.ai:8443",
        "https://api.apib.ai", "https://api.apimart.ai/v2"};
    char first[ACCOUNT_BYTES];
    char account[ACCOUNT_BYTES];
    const struct str name = STR("plan-a");
    apimart_account(name, str_of(same[0]), STR("sk-one"), first);
    assert_int_equal(strlen(first), strlen("plan-a:") + 33);
    assert_true(str_eq(apimart_account_name(first), name));
    for (size_t i = 0; i < LENGTH(same); i++) {
        apimart_account(name, str_of(same[i]), STR("sk-one"), account);
        assert_string_equal(account, first);
        apimart_account(name, str_of(same[i]), STR("sk-two"), account);
        assert_string_not_equal(account, first);
        assert_true(apimart_same_account(account, first));
        apimart_account(STR("plan-b"), str_of(same[i]), STR("sk-one"), account);
        assert_false(apimart_same_account(account, first));
        char url[64];
        apimart_url(str_of(same[i]), url, sizeof url);
        assert_string_equal(url, "https://api.apimart.ai");
    }
    for (size_t i = 0; i < LENGTH(others); i++) {
        apimart_account(name, str_of(others[i]), STR("sk-one"), account);
        assert_false(apimart_same_account(account, first));
        assert_string_equal(account + 24, first + 24);
    }
    assert_false(apimart_same_account("", ""));
    assert_false(apimart_same_account(first, ""));
    assert_false(apimart_same_account("", first));
    assert_false(apimart_same_account("x", "x"));
    char long_name[ACCOUNT_BYTES];
    memset(long_name, 'n', sizeof long_name);
    apimart_account((struct str){long_name, ACCOUNT_NAME_BYTES - 1},
                    str_of(same[0]), STR("sk-one"), account);
    assert_int_equal(strlen(account), ACCOUNT_BYTES - 1);
    assert_null(strstr(first, "sk-"));
}

TEST_CASE_WITH(apimart__exchanges__are_as_the_provider_documents, set_up,
               tear_down)
{
    const struct apimart apimart = {
        .base_url = STR(" https://api.apimart.ai// "), /* as it was set */
        .key = STR("sk-one"),
    };
    struct exchange exchange =
        apimart_submit(&apimart, STR("{}"), STR("key-1"), &arena);
    assert_int_equal(exchange.method, EXCHANGE_POST);
    assert_text(exchange.url, "https://api.apimart.ai/v1/videos/generations");
    assert_text(exchange.body, "{}");
    assert_text(exchange.idempotency_key, "key-1");
    assert_text(exchange.bearer, "sk-one");

    exchange = apimart_poll(&apimart, STR("task_01J-x"), &arena);
    assert_int_equal(exchange.method, EXCHANGE_GET);
    assert_text(exchange.url, "https://api.apimart.ai/v1/tasks/task_01J-x");
    assert_text(exchange.bearer, "sk-one");
    assert_null(exchange.idempotency_key.at);
    exchange = apimart_poll(&apimart, STR("a/b?c#d%"), &arena);
    assert_text(exchange.url,
                "https://api.apimart.ai/v1/tasks/a%2Fb%3Fc%23d%25");

    assert_text(apimart_ask_schema(&apimart, &arena).url,
                "https://api.apimart.ai/v1/model-schema?model=pixverse-v6&"
                "operation=video_generation");
    assert_text(apimart_ask_balance(&apimart, false, &arena).url,
                "https://api.apimart.ai/v1/balance");
    assert_text(apimart_ask_balance(&apimart, true, &arena).url,
                "https://api.apimart.ai/v1/user/balance");
}

TEST_CASE_WITH(reply_end_name__every_end__has_a_name, set_up, tear_down)
{
    for (int end = REPLY_WHOLE; end <= REPLY_CANCELLED; end++) {
        assert_non_null(reply_end_name((enum reply_end)end));
    }
}

TESTS_RUN(NULL, NULL)
