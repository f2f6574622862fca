#include "core/status_scan.h"
#include "lib/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** What came of it, on one line; "odd": jansson shall read it. */
static const char *scanned(const char *body)
{
    static char line[200];
    struct status_scan scan;
    /* A copy of just that length, so that a step beyond it is seen. */
    const size_t len = strlen(body);
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, body, len);
    if (status_scan((struct str){copy, len}, &scan)) {
        snprintf(line, sizeof line, "%.*s|%.*s|%.*s|%d", (int)scan.id.len,
                 scan.id.at ? scan.id.at : "", (int)scan.task_id.len,
                 scan.task_id.at ? scan.task_id.at : "", (int)scan.status.len,
                 scan.status.at ? scan.status.at : "", scan.progress);
    } else {
        snprintf(line, sizeof line, "odd");
    }
    free(copy);
    return line;
}

static const struct {
    const char *body;
    const char *got;
} rows[] = {
    /* as the provider writes it */
    {"{\"code\":200,\"data\":{\"id\":\"t1\",\"status\":\"processing\","
     "\"progress\":45,\"created\":1795327200,\"cost\":0.2,\"x\":-1.50,"
     "\"result\":{\"videos\":[]},\"a\":[1,[true,null],{\"k\":false}]}}",
     "t1||processing|45"},
    {" {\"data\" :\n{ \"task_id\":\"t1\" ,\"status\":\"queued\"} }\r\n\t",
     "|t1|queued|-1"},
    {"{\"data\":{\"x\":1}}", "|||-1"},
    {"{\"data\":{\"status\":\"a\",\"progress\":0}}", "||a|0"},
    {"{\"data\":{\"status\":\"a\",\"progress\":100}}", "||a|100"},
    /* what is only passed over may hold more than what is read */
    {"{\"m\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\",\"data\":{\"status\":\"a\"}}",
     "||a|-1"},
    {"{\"m\":\"排队\",\"data\":{\"status\":\"a\"}}", "||a|-1"},
    /* odd: two of a kind, where the last one counts */
    {"{\"data\":{\"status\":\"a\",\"status\":\"b\"}}", "odd"},
    {"{\"data\":{\"id\":\"a\",\"id\":\"b\"}}", "odd"},
    {"{\"data\":{\"task_id\":\"a\",\"task_id\":\"a\"}}", "odd"},
    {"{\"data\":{\"progress\":1,\"progress\":2}}", "odd"},
    {"{\"data\":{\"status\":\"a\"},\"data\":1}", "odd"},
    {"{\"data\":{\"status\":\"\",\"status\":\"b\"}}", "odd"},
    /* odd: of another kind than expected */
    {"{\"data\":{\"id\":1}}", "odd"},
    {"{\"data\":{\"status\":null}}", "odd"},
    {"{\"data\":{\"progress\":\"45%\"}}", "odd"},
    {"{\"data\":{\"progress\":45.5}}", "odd"},
    {"{\"data\":{\"progress\":101}}", "odd"},
    {"{\"data\":{\"progress\":-1}}", "odd"},
    {"{\"data\":{\"progress\":007}}", "odd"},
    {"{\"data\":{\"progress\":99999999999999999999}}", "odd"},
    {"{\"data\":{}}", "odd"},
    {"{\"data\":[{\"status\":\"a\"}]}", "odd"},
    {"{\"data\":null,\"status\":\"a\"}", "odd"},
    {"{\"status\":\"a\"}", "odd"},
    {"[1]", "odd"},
    {"\"a\"", "odd"},
    /* odd: escapes in what is read, keys, surrogates */
    {"{\"data\":{\"status\":\"\\u0061\"}}", "odd"},
    {"{\"data\":{\"st\\u0061tus\":\"a\"}}", "odd"},
    {"{\"m\":\"\\ud800\",\"data\":{\"status\":\"a\"}}", "odd"},
    {"{\"m\":\"\\x\",\"data\":{\"status\":\"a\"}}", "odd"},
    /* odd: no JSON */
    {"", "odd"},
    {" ", "odd"},
    {"{", "odd"},
    {"{}", "odd"},
    {"<html>", "odd"},
    {"\xef\xbb\xbf{\"data\":{\"status\":\"a\"}}", "odd"},
    {"{\"m\":\"\xff\",\"data\":{\"status\":\"a\"}}", "odd"},
    {"{\"m\":\"\x01\",\"data\":{\"status\":\"a\"}}", "odd"},
    {"{\"data\":{\"status\":\"a\"}} x", "odd"},
    {"{\"data\":{\"status\":\"a\"}", "odd"},
    {"{\"data\":{\"status\":\"a\",}}", "odd"},
    {"{\"data\":{\"status\":\"a\"},}", "odd"},
    {"{\"data\":{\"status\":\"a}}", "odd"},
    {"{\"data\":{\"status\":\"a\\", "odd"},
    {"{\"data\":{\"status\" \"a\"}}", "odd"},
    {"{data:{\"status\":\"a\"}}", "odd"},
    {"{\"n\":01,\"data\":{\"status\":\"a\"}}", "odd"},
    {"{\"n\":1.,\"data\":{\"status\":\"a\"}}", "odd"},
    {"{\"n\":.5,\"data\":{\"status\":\"a\"}}", "odd"},
    {"{\"n\":-,\"data\":{\"status\":\"a\"}}", "odd"},
    {"{\"n\":+1,\"data\":{\"status\":\"a\"}}", "odd"},
    {"{\"n\":1e9,\"data\":{\"status\":\"a\"}}", "odd"},
    {"{\"n\":truex,\"data\":{\"status\":\"a\"}}", "odd"},
    {"{\"n\":nul,\"data\":{\"status\":\"a\"}}", "odd"},
    {"{\"n\":[1,],\"data\":{\"status\":\"a\"}}", "odd"},
    {"{\"n\":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]],\"data\":{\"x\":1}}",
     "odd"},
};

TEST_CASE(status_scan__each_body__is_read_or_odd)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char got[300];
        char wanted[300];
        snprintf(got, sizeof got, "%zu: %s", i, scanned(rows[i].body));
        snprintf(wanted, sizeof wanted, "%zu: %s", i, rows[i].got);
        assert_string_equal(got, wanted);
    }
}

/** Whatever it breaks off after, it is read no further. */
TEST_CASE(status_scan__cut_anywhere__is_odd)
{
    const char *whole = rows[0].body;
    for (size_t len = 0; len < strlen(whole); len++) {
        char cut[300];
        snprintf(cut, sizeof cut, "%.*s", (int)len, whole);
        assert_string_equal(scanned(cut), "odd");
    }
}

TESTS_RUN(NULL, NULL)
