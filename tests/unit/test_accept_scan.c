#include "core/accept_scan.h"

#include <stdio.h>

#include "lib/check.h"

static void assert_id(const char *body, const char *expected)
{
    struct str id = {0};
    if (accept_scan(str_of(body), &id) != (expected != NULL) ||
        (expected && !str_eq(id, str_of(expected)))) {
        fail_msg("%s gives %.*s", body, (int)id.len, id.at ? id.at : "");
    }
}

TEST_CASE(accept_scan__documented_answer__has_its_id)
{
    assert_id("{\"code\":200,\"data\":[{\"status\":\"submitted\","
              "\"task_id\":\"task_1\"}]}",
              "task_1");
    assert_id("{\"data\":[{\"task_id\":\"a b\"}]}", "a b");
    assert_id(" {\n\"data\" : [ { \"task_id\" : \"t\" , \"status\" : \"\" } "
              "] ,\r\n\t\"code\" : 0 } ",
              "t");
    assert_id("{\"data\":[{\"task_id\":\"\"}]}", "");
}

TEST_CASE(accept_scan__anything_else__goes_the_long_way)
{
    static const char *const bodies[] = {
        "",
        "{}",
        "[]",
        "{\"code\":200}",
        "{\"data\":[]}",
        "{\"data\":[{}]}",
        "{\"data\":[{\"status\":\"x\"}]}",
        "{\"data\":{\"task_id\":\"t\"}}",
        "{\"data\":[{\"task_id\":1}]}",
        "{\"data\":[{\"task_id\":null}]}",
        "{\"data\":[{\"task_id\":\"t\"}],\"id\":\"task_2\"}",
        "{\"task_id\":\"u\",\"data\":[{\"task_id\":\"t\"}]}",
        "{\"data\":[{\"task_id\":\"t\",\"id\":\"u\"}]}",
        "{\"data\":[{\"task_id\":\"t\",\"task_id\":\"u\"}]}",
        "{\"data\":[{\"task_id\":\"t\",\"status\":\"\",\"status\":\"\"}]}",
        "{\"data\":[{\"task_id\":\"t\"},{\"task_id\":\"u\"}]}",
        "{\"data\":[{\"task_id\":\"t\"}],\"data\":[{\"task_id\":\"u\"}]}",
        "{\"code\":1,\"code\":2,\"data\":[{\"task_id\":\"t\"}]}",
        "{\"code\":01,\"data\":[{\"task_id\":\"t\"}]}",
        "{\"code\":1.5,\"data\":[{\"task_id\":\"t\"}]}",
        "{\"code\":-1,\"data\":[{\"task_id\":\"t\"}]}",
        "{\"code\":1234567890,\"data\":[{\"task_id\":\"t\"}]}",
        "{\"code\":\"200\",\"data\":[{\"task_id\":\"t\"}]}",
        "{\"code\":,\"data\":[{\"task_id\":\"t\"}]}",
        "{\"data\":[{\"task_id\":\"t\\u0041\"}]}",
        "{\"data\":[{\"task_id\":\"t\xc3\xa4\"}]}",
        "{\"data\":[{\"task_id\":\"t\x01\"}]}",
        "{\"data\":[{\"task_id\":\"t\"}]",
        "{\"data\":[{\"task_id\":\"t\"}}",
        "{\"data\":[{\"task_id\":\"t",
        "{\"data\":[{\"task_id\":\"t\"}],}",
        "{\"data\":[{\"task_id\":\"t\",}]}",
        "{\"data\":[{\"task_id\":\"t\"}]} {\"task_id\":\"u\"}",
        "{\"data\":[{\"task_id\":\"t\"}]}x",
        "data: {\"data\":[{\"task_id\":\"t\"}]}",
        "\xef\xbb\xbf{\"data\":[{\"task_id\":\"t\"}]}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        assert_id(bodies[i], NULL);
    }
}

/** What follows a NUL is there, too. */
TEST_CASE(accept_scan__nul__goes_the_long_way)
{
    static const char body[] = "{\"data\":[{\"task_id\":\"t\"}]}\0x";
    struct str id;
    assert_false(accept_scan((struct str){body, sizeof body - 1}, &id));
}

TESTS_RUN(NULL, NULL)
