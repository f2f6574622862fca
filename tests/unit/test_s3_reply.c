#include "core/s3_reply.h"

#include <stdio.h>

#include "lib/check.h"

#define HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"

TEST_CASE(s3_reply_read__one_row_each__verdict)
{
    static const struct {
        int status;
        const char *code; /* null: no body */
        enum s3_verdict verdict;
    } rows[] = {
        {200, NULL, S3_DONE},
        {204, NULL, S3_DONE},
        {200, "InternalError", S3_AGAIN},
        {200, "SlowDown", S3_SLOW},
        {200, "SomethingNew", S3_AGAIN},
        {200, "PreconditionFailed", S3_EXISTS},
        {412, NULL, S3_EXISTS},
        {412, "PreconditionFailed", S3_EXISTS},
        {404, NULL, S3_MISSING},
        {404, "NoSuchKey", S3_MISSING},
        {404, "NoSuchUpload", S3_MISSING},
        {404, "NoSuchBucket", S3_UNUSABLE},
        {404, "SomeUserNotFound", S3_UNUSABLE},
        {403, "AccessDenied", S3_UNUSABLE},
        {403, "InvalidAccessKeyId", S3_UNUSABLE},
        {403, "SignatureDoesNotMatch", S3_UNUSABLE},
        {403, "RequestTimeTooSkewed", S3_SKEWED},
        {400, "ExpiredToken", S3_EXPIRED},
        {301, "PermanentRedirect", S3_UNUSABLE},
        {400, "AuthorizationHeaderMalformed", S3_UNUSABLE},
        {400, "RequestTimeout", S3_AGAIN},
        {400, "BadDigest", S3_AGAIN},
        {409, "OperationAborted", S3_AGAIN},
        {409, "ConditionalRequestConflict", S3_AGAIN},
        {500, "InternalError", S3_AGAIN},
        {502, NULL, S3_AGAIN},
        {503, "SlowDown", S3_SLOW},
        {503, NULL, S3_SLOW},
        {504, NULL, S3_AGAIN},
        {501, "NotImplemented", S3_CANT},
        {507, NULL, S3_UNUSABLE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char body[300] = "";
        if (rows[i].code) {
            snprintf(body, sizeof body,
                     HEAD "<Error><Code>%s</Code><Message>so\nit is</Message>"
                          "<RequestId>1</RequestId></Error>",
                     rows[i].code);
        }
        struct s3_reply reply;
        s3_reply_read(rows[i].status, str_of(body), &reply);
        assert_int_equal(reply.verdict, rows[i].verdict);
        assert_string_equal(reply.code, rows[i].code ? rows[i].code : "");
        assert_string_equal(reply.message, rows[i].code ? "so it is" : "");
    }
}

/** What another form of the same request may mend, and what none can. */
TEST_CASE(s3_reply_read__refusals__of_the_form_or_not)
{
    static const struct {
        int status;
        const char *code; /* null: no body */
        bool form;
    } rows[] = {
        {501, NULL, true},
        {501, "NotImplemented", true},
        {400, NULL, true},
        {400, "InvalidArgument", true},
        {400, "InvalidRequest", true},
        {400, "XAmzContentSHA256Mismatch", true},
        {400, "BadDigest", true},
        {400, "IncompleteBody", true},
        {400, "SomethingNew", true},
        {403, "SignatureDoesNotMatch", true},
        {411, "MissingContentLength", true},
        {411, NULL, true},
        {200, NULL, false},
        {200, "InternalError", false},
        {400, "ExpiredToken", false},
        {400, "RequestTimeout", false},
        {400, "AuthorizationHeaderMalformed", false},
        {400, "InvalidBucketName", false},
        {403, "AccessDenied", false},
        {403, NULL, false},
        {404, "NoSuchBucket", false},
        {412, "PreconditionFailed", false},
        {500, NULL, false},
        {503, "SlowDown", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char body[200] = "";
        struct s3_reply reply;
        if (rows[i].code) {
            snprintf(body, sizeof body, HEAD "<Error><Code>%s</Code></Error>",
                     rows[i].code);
        }
        s3_reply_read(rows[i].status, str_of(body), &reply);
        if (reply.form != rows[i].form) {
            fail_msg("%d %s", rows[i].status, rows[i].code ? rows[i].code : "");
        }
    }
}

TEST_CASE(s3_reply_read__cut_or_odd_body__status_decides)
{
    static const char *const bodies[] = {
        "",
        "<Error>",
        "<Error><Code>",
        "<Error><Code>x",
        "<html>503</html>",
        "<Error><Code></Code></Error>",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct s3_reply reply;
        s3_reply_read(503, str_of(bodies[i]), &reply);
        assert_int_equal(reply.verdict, S3_SLOW);
    }
}

TEST_CASE(s3_reply_words__an_error__status_code_message)
{
    struct s3_reply reply;
    s3_reply_read(404,
                  STR("<Error><Code>NoSuchBucket</Code><Message>none such"
                      "</Message></Error>"),
                  &reply);
    char words[200];
    s3_reply_words(404, &reply, words, sizeof words);
    assert_string_equal(words, "S3 answered 404 NoSuchBucket: none such");
    s3_reply_read(502, STR(""), &reply);
    s3_reply_words(502, &reply, words, sizeof words);
    assert_string_equal(words, "S3 answered 502");
}

TEST_CASE(s3_xml__several__one_after_the_other)
{
    struct str body = STR("<R><Upload><Key>a&amp;b</Key></Upload><Upload><Key>"
                          "c</Key></Upload><Key>open</R>");
    size_t at = 0;
    struct str first = s3_xml(body, "Key", &at);
    struct str second = s3_xml(body, "Key", &at);
    struct str third = s3_xml(body, "Key", &at);
    assert_true(str_eq(first, STR("a&amp;b")));
    assert_true(str_eq(second, STR("c")));
    assert_null(third.at);
    struct buf text;
    buf_init(&text, 0);
    s3_xml_decode(&text, first);
    s3_xml_decode(&text, STR("&lt;&gt;&quot;&apos;&#34;&other;&"));
    assert_string_equal(text.bytes, "a&b<>\"'\"&other;&");
    buf_done(&text);
}

TEST_CASE(s3_time__both_forms__milliseconds)
{
    assert_int_equal(s3_time(STR("2013-05-24T00:00:01.000Z")), 1369353601000);
    assert_int_equal(s3_time(STR("2013-05-24T00:00:01Z")), 1369353601000);
    assert_int_equal(s3_time(STR("yesterday")), -1);
    assert_int_equal(s3_http_date(STR("Fri, 24 May 2013 00:00:01 GMT")),
                     1369353601000);
    assert_int_equal(s3_http_date(STR("24 May 2013")), -1);
    assert_int_equal(s3_http_date(STR("")), -1);
}

TEST_CASE(s3_base64_of_hex__hash__base64)
{
    char out[45];
    assert_true(s3_base64_of_hex(
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        out));
    assert_string_equal(out, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    assert_false(s3_base64_of_hex("e3", out));
    assert_false(s3_base64_of_hex(NULL, out));
}

TESTS_RUN(NULL, NULL)
