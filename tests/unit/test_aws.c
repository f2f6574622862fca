#include "core/aws.h"

#include <string.h>

#include "lib/check.h"

static const char credentials[] = "# ours\n"
                                  "[default]\n"
                                  "aws_access_key_id = AKIA1\r\n"
                                  "aws_secret_access_key=se/cr=et\n"
                                  "\n"
                                  "[ other ]\n"
                                  "aws_access_key_id = AKIA2\n"
                                  "; aws_session_token = no\n"
                                  "aws_session_token =\n";
static const char config[] = "[profile other]\n"
                             "region = eu-1\n"
                             "s3 =\n"
                             "  region = nested\n"
                             "[default]\n"
                             "region = us-1\n"
                             "[other]\n"
                             "region = wrong\n";

static void is(struct str got, const char *want)
{
    if (!want) {
        assert_null(got.at);
        return;
    }
    assert_non_null(got.at);
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.at, want, got.len);
}

TEST_CASE(aws_file_value__sections__only_ours)
{
    struct str text = str_of(credentials);
    is(aws_file_value(text, "default", false, "aws_access_key_id"), "AKIA1");
    is(aws_file_value(text, "default", false, "aws_secret_access_key"),
       "se/cr=et");
    is(aws_file_value(text, "other", false, "aws_access_key_id"), "AKIA2");
    is(aws_file_value(text, "other", false, "aws_session_token"), NULL);
    is(aws_file_value(text, "none", false, "aws_access_key_id"), NULL);
    text = str_of(config);
    is(aws_file_value(text, "default", true, "region"), "us-1");
    is(aws_file_value(text, "other", true, "region"), "eu-1");
    is(aws_file_value(STR(""), "other", true, "region"), NULL);
    is(aws_file_value(STR("[default"), "default", true, "region"), NULL);
}

TEST_CASE(aws_keys_read_json__instance__all_four)
{
    struct aws_keys keys;
    assert_true(aws_keys_read_json(
        STR("{\"Code\":\"Success\",\"AccessKeyId\":\"ASIA\",\"SecretAccessKey\""
            ":\"s\",\"Token\":\"t\",\"Expiration\":\"2013-05-24T00:00:01Z\"}"),
        &keys));
    assert_string_equal(keys.id, "ASIA");
    assert_string_equal(keys.secret, "s");
    assert_string_equal(keys.token, "t");
    assert_int_equal(keys.expires_ms, 1369353601000);
}

TEST_CASE(aws_keys_read_json__faults__no)
{
    static const char *const bodies[] = {
        "",
        "[]",
        "{\"AccessKeyId\":\"a\"}",
        "{\"AccessKeyId\":1,\"SecretAccessKey\":\"s\"}",
        "{\"AccessKeyId\":\"a\\n\",\"SecretAccessKey\":\"s\"}",
        "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"s\",\"Expiration\":"
        "\"x\"}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct aws_keys keys;
        assert_false(aws_keys_read_json(str_of(bodies[i]), &keys));
    }
}

TEST_CASE(aws_keys_read_xml__sts__all_four)
{
    struct aws_keys keys;
    assert_true(aws_keys_read_xml(
        STR("<A><R><Credentials><SessionToken>t/+=</SessionToken>"
            "<SecretAccessKey>s</SecretAccessKey><Expiration>"
            "2013-05-24T00:00:01Z</Expiration><AccessKeyId>ASIA</AccessKeyId>"
            "</Credentials></R></A>"),
        &keys));
    assert_string_equal(keys.id, "ASIA");
    assert_string_equal(keys.token, "t/+=");
    assert_int_equal(keys.expires_ms, 1369353601000);
    assert_false(aws_keys_read_xml(STR("<Error/>"), &keys));
}

TEST_CASE(aws_keys_read_process__version_1__its_own_names)
{
    struct aws_keys keys;
    assert_true(aws_keys_read_process(
        STR("{\"Version\":1,\"AccessKeyId\":\"i\",\"SecretAccessKey\":"
            "\"s\",\"SessionToken\":\"t\"}"),
        &keys));
    assert_string_equal(keys.token, "t");
    assert_int_equal(keys.expires_ms, 0);
    static const char *const others[] = {
        "",
        "[]",
        "{\"AccessKeyId\":\"i\",\"SecretAccessKey\":\"s\"}",
        "{\"Version\":2,\"AccessKeyId\":\"i\",\"SecretAccessKey\":\"s\"}",
        "{\"Version\":1,\"AccessKeyId\":\"i\"}",
        "{\"Version\":1,\"AccessKeyId\":\"i\",\"SecretAccessKey\":\"s\","
        "\"Expiration\":\"soon\"}",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_false(aws_keys_read_process(str_of(others[i]), &keys));
    }
}

TEST_CASE(aws_sts__regions__each_where_it_is_signed_for)
{
    static const struct {
        const char *region;
        bool legacy;
        const char *url;
        const char *signed_for;
    } rows[] = {
        {"", false, "https://sts.amazonaws.com/", "us-east-1"},
        {"", true, "https://sts.amazonaws.com/", "us-east-1"},
        {"aws-global", false, "https://sts.amazonaws.com/", "us-east-1"},
        {"eu-west-1", false, "https://sts.eu-west-1.amazonaws.com/",
         "eu-west-1"},
        {"eu-west-1", true, "https://sts.amazonaws.com/", "us-east-1"},
        {"eu-south-1", true, "https://sts.eu-south-1.amazonaws.com/",
         "eu-south-1"},
        {"cn-north-1", true, "https://sts.cn-north-1.amazonaws.com.cn/",
         "cn-north-1"},
        {"us-gov-west-1", true, "https://sts.us-gov-west-1.amazonaws.com/",
         "us-gov-west-1"},
        {"us-iso-east-1", false, "https://sts.us-iso-east-1.c2s.ic.gov/",
         "us-iso-east-1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct aws_sts sts;
        aws_sts(rows[i].region, rows[i].legacy, &sts);
        assert_string_equal(sts.url, rows[i].url);
        assert_string_equal(sts.region, rows[i].signed_for);
    }
}

TESTS_RUN(NULL, NULL)
