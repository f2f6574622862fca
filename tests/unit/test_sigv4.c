#include "core/sigv4.h"

#include "core/digest.h"

#include <stdlib.h>
#include <string.h>

#include "lib/check.h"

/* The examples of the Amazon S3 API reference, "Signature Calculations for the
 * Authorization Header", and of its pages on chunked uploads. */

#define AT_MS INT64_C(1369353600000) /* 2013-05-24T00:00:00Z */
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct sigv4_key key = {
    .id = {"AKIAIOSFODNN7EXAMPLE", 20},
    .secret = {"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", 40},
};
static const struct sigv4_scope scope = {"us-east-1", "s3", AT_MS};

static void sign(const char *method, struct str path, struct str query,
                 const struct sigv4_header *headers, size_t headers_len,
                 struct str payload, char signature[static SIGV4_HEX_BYTES],
                 struct buf *authorization)
{
    const struct sigv4_request request = {
        .method = method,
        .path = path,
        .query = query,
        .headers = headers,
        .headers_len = headers_len,
        .payload = payload,
    };
    buf_init(authorization, 0);
    assert_true(sigv4_sign(&request, &key, &scope, authorization, signature));
}

/** "Authenticating Requests: Using Query Parameters", of the same reference. */
TEST_CASE(sigv4_presign__get_object__as_published)
{
    const struct sigv4_header host = {"host",
                                      STR("examplebucket.s3.amazonaws.com")};
    const struct sigv4_request request = {
        .method = "GET",
        .path = STR("/test.txt"),
        .headers = &host,
        .headers_len = 1,
    };
    struct buf out;
    buf_init(&out, 0);
    assert_true(sigv4_presign(&request, &key, &scope, 86400, &out));
    assert_true(str_eq(
        buf_str(&out),
        STR("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
            "AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&"
            "X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&"
            "X-Amz-SignedHeaders=host&X-Amz-Signature="
            "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")));
    buf_done(&out);
}

TEST_CASE(sigv4_presign__with_a_token_and_a_query__signs_both)
{
    const struct sigv4_header host = {"host", STR("b.example")};
    const struct sigv4_request request = {
        .method = "GET",
        .path = STR("/k"),
        .query = STR("versionId=7"),
        .headers = &host,
        .headers_len = 1,
    };
    struct sigv4_key with = key;
    struct buf out;
    struct buf other;
    with.token = STR("a/b+c=");
    buf_init(&out, 0);
    buf_init(&other, 0);
    assert_true(sigv4_presign(&request, &with, &scope, 60, &out));
    assert_true(str_starts(buf_str(&out), STR("versionId=7&X-Amz-Alg")));
    assert_true(str_find_nocase(buf_str(&out),
                                STR("&X-Amz-Security-Token=a%2Fb%2Bc%3D&")) >
                0);
    assert_true(sigv4_presign(&request, &key, &scope, 60, &other));
    assert_false(str_eq((struct str){out.bytes + out.len - 64, 64},
                        (struct str){other.bytes + other.len - 64, 64}));
    buf_done(&out);
    buf_done(&other);
}

TEST_CASE(sigv4_sign__get_object__as_published)
{
    const struct sigv4_header headers[] = {
        {"x-amz-date", STR("20130524T000000Z")},
        {"host", STR("examplebucket.s3.amazonaws.com")},
        {"range", STR("bytes=0-9")},
        {"x-amz-content-sha256", STR(EMPTY)},
    };
    char signature[SIGV4_HEX_BYTES];
    struct buf out;
    sign("GET", STR("/test.txt"), STR(""), headers, 4, STR(EMPTY), signature,
         &out);
    assert_string_equal(
        signature,
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    assert_string_equal(
        out.bytes,
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/"
        "s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-"
        "date,Signature="
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    buf_done(&out);
}

TEST_CASE(sigv4_sign__put_object__as_published)
{
    const char *hash =
        "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    const struct sigv4_header headers[] = {
        {"date", STR("Fri, 24 May 2013 00:00:00 GMT")},
        {"host", STR("examplebucket.s3.amazonaws.com")},
        {"x-amz-content-sha256", str_of(hash)},
        {"x-amz-date", STR("20130524T000000Z")},
        {"x-amz-storage-class", STR("REDUCED_REDUNDANCY")},
    };
    char signature[SIGV4_HEX_BYTES];
    struct buf path;
    struct buf out;
    buf_init(&path, 0);
    sigv4_encode(&path, STR("/test$file.text"), true);
    sign("PUT", buf_str(&path), STR(""), headers, 5, str_of(hash), signature,
         &out);
    assert_string_equal(
        signature,
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    buf_done(&path);
    buf_done(&out);
}

TEST_CASE(sigv4_sign__parameters__as_published)
{
    const struct sigv4_header headers[] = {
        {"host", STR("examplebucket.s3.amazonaws.com")},
        {"x-amz-content-sha256", STR(EMPTY)},
        {"x-amz-date", STR("20130524T000000Z")},
    };
    char signature[SIGV4_HEX_BYTES];
    struct buf out;
    sign("GET", STR("/"), STR("lifecycle"), headers, 3, STR(EMPTY), signature,
         &out);
    assert_string_equal(
        signature,
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    buf_done(&out);
    sign("GET", STR("/"), STR("prefix=J&max-keys=2"), headers, 3, STR(EMPTY),
         signature, &out);
    assert_string_equal(
        signature,
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
    buf_done(&out);
}

TEST_CASE(sigv4_chain__chunked_upload__as_published)
{
    const struct sigv4_header headers[] = {
        {"host", STR("s3.amazonaws.com")},
        {"x-amz-date", STR("20130524T000000Z")},
        {"x-amz-storage-class", STR("REDUCED_REDUNDANCY")},
        {"x-amz-content-sha256", STR(SIGV4_CHUNKS)},
        {"content-encoding", STR("aws-chunked")},
        {"x-amz-decoded-content-length", STR("66560")},
        {"content-length", STR("66824")},
    };
    char signature[SIGV4_HEX_BYTES];
    struct buf out;
    sign("PUT", STR("/examplebucket/chunkObject.txt"), STR(""), headers, 7,
         STR(SIGV4_CHUNKS), signature, &out);
    buf_done(&out);
    assert_string_equal(
        signature,
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");

    struct sigv4_chain chain;
    char *body = malloc(65536);
    memset(body, 'a', 65536);
    assert_true(sigv4_chain_init(&chain, &key, &scope, signature));
    sigv4_chain_chunk(&chain, body, 65536);
    assert_string_equal(
        chain.last,
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648");
    sigv4_chain_chunk(&chain, body, 1024);
    assert_string_equal(
        chain.last,
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497");
    sigv4_chain_chunk(&chain, "", 0);
    assert_string_equal(
        chain.last,
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9");
    free(body);
}

TEST_CASE(sigv4_chain__trailing_checksum__as_published)
{
    const struct sigv4_header headers[] = {
        {"host", STR("s3.amazonaws.com")},
        {"x-amz-date", STR("20130524T000000Z")},
        {"x-amz-storage-class", STR("REDUCED_REDUNDANCY")},
        {"x-amz-content-sha256", STR(SIGV4_CHUNKS_TRAILER)},
        {"content-encoding", STR("aws-chunked")},
        {"x-amz-decoded-content-length", STR("66560")},
        {"x-amz-trailer", STR("x-amz-checksum-crc32c")},
    };
    char signature[SIGV4_HEX_BYTES];
    struct buf out;
    sign("PUT", STR("/examplebucket/chunkObject.txt"), STR(""), headers, 7,
         STR(SIGV4_CHUNKS_TRAILER), signature, &out);
    buf_done(&out);
    assert_string_equal(
        signature,
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e");

    struct sigv4_chain chain;
    char *body = malloc(65536);
    memset(body, 'a', 65536);
    assert_true(sigv4_chain_init(&chain, &key, &scope, signature));
    sigv4_chain_chunk(&chain, body, 65536);
    assert_string_equal(
        chain.last,
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2");
    sigv4_chain_chunk(&chain, body, 1024);
    assert_string_equal(
        chain.last,
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7");
    sigv4_chain_chunk(&chain, "", 0);
    assert_string_equal(
        chain.last,
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992");
    sigv4_chain_trailer(&chain, STR("x-amz-checksum-crc32c:sOO8/Q==\n"));
    assert_string_equal(
        chain.last,
        "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435");
    free(body);
}

TEST_CASE(sigv4_sign__spaces_in_values__count_once)
{
    struct sigv4_header headers[] = {{"host", STR("h")},
                                     {"x-amz-meta-a", STR("  a  b ")}};
    char spaced[SIGV4_HEX_BYTES];
    char plain[SIGV4_HEX_BYTES];
    struct buf out;
    sign("GET", STR("/"), STR(""), headers, 2, STR(EMPTY), spaced, &out);
    buf_done(&out);
    headers[1].value = STR("a b");
    sign("GET", STR("/"), STR(""), headers, 2, STR(EMPTY), plain, &out);
    buf_done(&out);
    assert_string_equal(spaced, plain);
}

TEST_CASE(sigv4_sign__one_name_begins_another__names_decide)
{
    const struct sigv4_header headers[] = {{"host", STR("h")}};
    char one[SIGV4_HEX_BYTES];
    char other[SIGV4_HEX_BYTES];
    struct buf out;
    sign("GET", STR("/"), STR("a=1&a-b=2"), headers, 1, STR(EMPTY), one, &out);
    buf_done(&out);
    sign("GET", STR("/"), STR("a-b=2&a=1"), headers, 1, STR(EMPTY), other,
         &out);
    buf_done(&out);
    assert_string_equal(one, other);
}

TESTS_RUN(NULL, NULL)
