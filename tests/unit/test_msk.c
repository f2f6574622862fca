#include "core/msk.h"

#include "core/base64url.h"
#include "lib/check.h"

/* 2013-05-24T00:00:00Z, and the keys, of AWS's examples. */
#define TIME_MS INT64_C(1369353600000)

static const struct sigv4_key key = {
    .id = {"AKIAIOSFODNN7EXAMPLE", 20},
    .secret = {"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", 40},
};

static void check_url(const char *region, const struct sigv4_key *with,
                      const char *url)
{
    struct buf token;
    struct buf plain;
    buf_init(&token, 0);
    buf_init(&plain, 0);
    assert_true(msk_token(region, with, TIME_MS, &token));
    assert_null(strpbrk(token.bytes, "+/="));
    assert_true(base64url_read(&plain, buf_str(&token)));
    assert_string_equal(plain.bytes, url);
    buf_done(&plain);
    buf_done(&token);
}

/* The signatures were made by another implementation. */
TEST_CASE(msk_token__keys_that_last__are_a_presigned_url)
{
    check_url("us-east-1", &key,
              "https://kafka.us-east-1.amazonaws.com/"
              "?Action=kafka-cluster%3AConnect"
              "&X-Amz-Algorithm=AWS4-HMAC-SHA256"
              "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2F"
              "kafka-cluster%2Faws4_request"
              "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=900"
              "&X-Amz-SignedHeaders=host&X-Amz-Signature="
              "91dfd7df4606477975aced360713373ff0e77f95940bbd6da22cdb81b852c0fc"
              "&User-Agent=pixverse-worker");
}

TEST_CASE(msk_token__keys_of_a_session__bring_its_token)
{
    struct sigv4_key session = key;
    session.token = STR("session/token+of==");
    check_url("eu-west-1", &session,
              "https://kafka.eu-west-1.amazonaws.com/"
              "?Action=kafka-cluster%3AConnect"
              "&X-Amz-Algorithm=AWS4-HMAC-SHA256"
              "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Feu-west-1%2F"
              "kafka-cluster%2Faws4_request"
              "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=900"
              "&X-Amz-Security-Token=session%2Ftoken%2Bof%3D%3D"
              "&X-Amz-SignedHeaders=host&X-Amz-Signature="
              "463976f750c983bce62ad797a3a0b243ca8ef24c0c875d6c0f3f92edd46dc840"
              "&User-Agent=pixverse-worker");
}

static void check_region(const char *brokers, const char *want)
{
    char region[MSK_REGION_BYTES] = "";
    assert_int_equal(msk_region(str_of(brokers), region), want != NULL);
    assert_string_equal(region, want ? want : "");
}

TEST_CASE(msk_region__names_of_brokers__tell_it)
{
    check_region("b-1.demo.abcde1.c2.kafka.us-east-1.amazonaws.com:9098",
                 "us-east-1");
    check_region("127.0.0.1:9092, "
                 "b-2.demo.abcde1.c2.kafka.eu-west-1.amazonaws.com:9098",
                 "eu-west-1");
    check_region("boot-x.c1.kafka-serverless.ap-south-1.amazonaws.com:9098",
                 "ap-south-1");
    check_region("b-1.demo.x.c2.kafka.cn-north-1.amazonaws.com.cn:9098",
                 "cn-north-1");
    check_region("kafka:9092", NULL);
    check_region("", NULL);
    check_region("a.kafka.example.com:9092", NULL);
    check_region("a.kafka.amazonaws.com:9092", NULL);
    check_region("a.kafka.x.y.amazonaws.com:9092", NULL);
}

TESTS_RUN(NULL, NULL)
