#include "core/provider_json.h"
#include "lib/check.h"

static void check_same(struct str body)
{
    json_error_t error = {0};
    size_t parsed = 0;
    json_t *whole = json_loadb(body.at, body.len, PROVIDER_JSON_FLAGS, &error);
    json_t *read = provider_json_read(body, &parsed);
    if (!read != !whole || (read && !json_equal(read, whole))) {
        fail_msg("%.*s: another value", (int)body.len, body.at);
    }
    assert_true(!read || parsed >= (size_t)error.position);
    assert_true(read || parsed == 0);
    for (size_t i = (size_t)error.position; read && i < parsed; i++) {
        assert_non_null(memchr(" \t\r\n", body.at[i], 4));
    }
    json_decref(whole);
    json_decref(read);
    json_decref(provider_json_read(body, NULL));
}

TEST_CASE(provider_json_read__whatever_comes__is_what_jansson_reads)
{
    const struct str bodies[] = {
        {NULL, 0},
        STR("{\"code\":200,\"data\":[{\"status\":\"submitted\",\"task_id\":"
            "\"task_1\"}]}\n"),
        STR("{\"cost\":0.24,\"credits\":24,\"a\":-0,\"b\":1e3}"),
        STR("[1,2]"),
        STR("5"),
        STR("\"text\""),
        STR("{\"a\":1,\"a\":2}"),
        STR("{\"a\":1} and more"),
        STR("{\"a\":1}{\"a\":2}"),
        STR("{\"a\":\"\0\"}"),
        STR("{\"a\":\"\\u0000\"}"),
        STR("{\"a\":99999999999999999999}"),
        STR("{\"a\":\"\xff\"}"),
        STR("<html>"),
        STR("{"),
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        check_same(bodies[i].at ? bodies[i] : STR(""));
    }
    assert_null(provider_json_read((struct str){0}, NULL));
}

TESTS_RUN(NULL, NULL)
