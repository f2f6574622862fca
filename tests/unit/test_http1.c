#include "core/http1.h"
#include "lib/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Reads it in pieces of `step` bytes, each a copy of just that length. */
static enum http1_got read_in(struct http1 *reply, struct str all, size_t step,
                              bool ends, size_t *left)
{
    enum http1_got got = HTTP1_MORE;
    http1_begin(reply);
    while (got == HTTP1_MORE && all.len > 0) {
        const size_t len = all.len < step ? all.len : step;
        char *copy = malloc(len);
        assert_non_null(copy);
        memcpy(copy, all.at, len);
        struct str bytes = {copy, len};
        got = http1_read(reply, &bytes);
        all.at += len - bytes.len;
        all.len -= len - bytes.len;
        free(copy);
    }
    *left = all.len;
    return got == HTTP1_MORE && ends ? http1_end(reply) : got;
}

#define OK "HTTP/1.1 200 OK\r\n"

static const struct row {
    const char *bytes;
    enum http1_got got;
    int status;
    const char *body; /* of a whole one */
    bool keeps;
    size_t left;
} rows[] = {
    {OK "Content-Length: 2\r\n\r\n{}", HTTP1_WHOLE, 200, "{}", true, 0},
    {OK "content-length:2\r\n\r\n{}xy", HTTP1_WHOLE, 200, "{}", true, 2},
    {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", HTTP1_WHOLE, 200, "", true,
     0},
    {"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}", HTTP1_WHOLE, 200, "{}", true,
     0},
    {OK "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", HTTP1_WHOLE, 200,
     "{}", true, 0},
    {"\r\n\r\n" OK "Content-Length: 2\r\n\r\n{}", HTTP1_WHOLE, 200, "{}", true,
     0},
    {OK "Connection: keep-alive, Close\r\nContent-Length: 2\r\n\r\n{}",
     HTTP1_WHOLE, 200, "{}", false, 0},
    {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", HTTP1_WHOLE, 200, "{}",
     false, 0},
    {"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\n{}",
     HTTP1_WHOLE, 200, "{}", true, 0},
    {"HTTP/1.1 204 No\r\n\r\n", HTTP1_WHOLE, 204, "", true, 0},
    {"HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", HTTP1_WHOLE, 304, "", true,
     0},
    /* to the connection's end */
    {OK "\r\n{\"a\":1}", HTTP1_WHOLE, 200, "{\"a\":1}", false, 0},
    {"HTTP/1.1 502 Bad\r\n\r\n", HTTP1_WHOLE, 502, "", false, 0},
    /* informational heads before it */
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nContent-Length: 7\r\n\r\n" OK
     "Content-Length: 2\r\n\r\n{}",
     HTTP1_WHOLE, 200, "{}", true, 0},
    {"HTTP/1.1 101 Switching\r\n\r\n", HTTP1_BROKEN, 101, "", false, 0},
    /* chunks, extensions, trailers */
    {OK
     "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n01;x=\"y\"\r\n}\r\n0\r\nX: y\r\nContent-Length: 5\r\n\r\n",
     HTTP1_WHOLE, 200, "{}", true, 0},
    {OK
     "Transfer-Encoding: Chunked\r\nContent-Length: 9\r\n\r\nA\r\n0123456789\r\n0\r\n\r\nz",
     HTTP1_WHOLE, 200, "0123456789", false, 1},
    {OK "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n5\r\n1",
     HTTP1_BROKEN, 200, "", true, 0},
    {OK "Transfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n", HTTP1_BROKEN, 200, "",
     true, 0},
    {OK "Transfer-Encoding: chunked\r\n\r\n-1\r\n", HTTP1_BROKEN, 200, "", true,
     0},
    {OK "Transfer-Encoding: chunked\r\n\r\n\r\n", HTTP1_BROKEN, 200, "", true,
     0},
    {OK "Transfer-Encoding: chunked\r\n\r\n0000000000000001\r\n", HTTP1_BROKEN,
     200, "", true, 0},
    {OK "Transfer-Encoding: chunked\r\n\r\n100001\r\n", HTTP1_TOO_LARGE, 200,
     "", true, 0},
    {OK "Transfer-Encoding: gzip, chunked\r\n\r\n", HTTP1_BROKEN, 200, "", true,
     0},
    /* lengths of which nobody knows which one counts */
    {OK "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", HTTP1_BROKEN, 200,
     "", true, 0},
    {OK "Content-Length: 2, 3\r\n\r\n{}", HTTP1_BROKEN, 200, "", true, 0},
    {OK "Content-Length: 2,\r\nContent-Length: 3\r\n\r\n{}", HTTP1_BROKEN, 200,
     "", true, 0},
    {OK "Content-Length: 2,,2\r\n\r\n{}", HTTP1_BROKEN, 200, "", true, 0},
    {OK "Content-Length:\r\n\r\n{}", HTTP1_BROKEN, 200, "", true, 0},
    {OK "Content-Length: 2, 2\r\n\r\n{}", HTTP1_WHOLE, 200, "{}", true, 0},
    {OK "Content-Length: -2\r\n\r\n{}", HTTP1_BROKEN, 200, "", true, 0},
    {OK "Content-Length: 99999999999999999999\r\n\r\n", HTTP1_BROKEN, 200, "",
     true, 0},
    {OK "Content-Length: 1048577\r\n\r\n", HTTP1_TOO_LARGE, 200, "", true, 0},
    /* cut short */
    {"", HTTP1_BROKEN, 0, "", false, 0},
    {"HTTP/1.1 20", HTTP1_BROKEN, 0, "", false, 0},
    {OK "Content-Length: 3\r\n\r\n{}", HTTP1_BROKEN, 200, "", true, 0},
    {OK "Content-Length: 3\r\n", HTTP1_BROKEN, 200, "", true, 0},
    /* no HTTP/1 */
    {"no TLS here\r\n\r\n", HTTP1_BROKEN, 0, "", false, 0},
    {"\r\n", HTTP1_BROKEN, 0, "", false, 0},
    {"HTTP/2 200 OK\r\n\r\n", HTTP1_BROKEN, 0, "", false, 0},
    {"HTTP/1.1 099 No\r\n\r\n", HTTP1_BROKEN, 0, "", false, 0},
    {"HTTP/1.1 2000 OK\r\n\r\n", HTTP1_BROKEN, 0, "", false, 0},
    {OK "no colon\r\n\r\n", HTTP1_BROKEN, 200, "", true, 0},
    {OK "two words: 2\r\n\r\n{}", HTTP1_BROKEN, 200, "", true, 0},
    {OK ": 2\r\n\r\n{}", HTTP1_BROKEN, 200, "", true, 0},
    {" HTTP/1.1 200 OK\r\n\r\n", HTTP1_BROKEN, 0, "", false, 0},
    /* what old servers write, and what everybody reads alike */
    {OK "Content-Length : 2\r\n\r\n{}", HTTP1_WHOLE, 200, "{}", true, 0},
    {OK "Content-Length\t:2\r\nX : y\r\n\r\n{}", HTTP1_WHOLE, 200, "{}", true,
     0},
    {OK " folded: 2\r\nContent-Length: 2\r\n\r\n{}", HTTP1_WHOLE, 200, "{}",
     true, 0},
    {OK "X: a\r\n Content-Length: 9\r\nContent-Length:\r\n\t2\r\n \r\n\r\n{}",
     HTTP1_WHOLE, 200, "{}", true, 0},
    {OK "Connection: keep-alive,\n close\nContent-Length: 2\n\n{}", HTTP1_WHOLE,
     200, "{}", false, 0},
    {OK "Transfer-Encoding:\r\n chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\n z"
        "\r\n\r\n",
     HTTP1_WHOLE, 200, "{}", true, 0},
};

static void check(struct http1 *reply, size_t i, size_t step)
{
    const struct row *row = &rows[i];
    size_t left = 0;
    char got[300];
    char wanted[300];
    const enum http1_got end =
        read_in(reply, str_of(row->bytes), step, true, &left);
    const bool whole = end == HTTP1_WHOLE;
    assert_true(end != HTTP1_BROKEN || reply->why);
    snprintf(got, sizeof got, "%zu by %zu: %d, %d \"%.*s\" %d, left %zu", i,
             step, end, reply->status, whole ? (int)reply->body.len : 0,
             whole && reply->body.len ? reply->body.bytes : "",
             whole && reply->keeps, whole ? left : 0);
    snprintf(wanted, sizeof wanted, "%zu by %zu: %d, %d \"%s\" %d, left %zu", i,
             step, row->got, row->status, row->body,
             row->got == HTTP1_WHOLE && row->keeps, row->left);
    assert_string_equal(got, wanted);
}

TEST_CASE(http1_read__each_reply_in_any_pieces__as_specified)
{
    struct http1 reply;
    http1_init(&reply);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t step = 1; step < 90; step += step < 8 ? 1 : 27) {
            check(&reply, i, step);
        }
    }
    http1_done(&reply);
}

TEST_CASE(http1_header__of_the_last_head__and_no_trailer)
{
    struct http1 reply;
    size_t left;
    char list[32];
    http1_init(&reply);
    const struct str bytes =
        STR("HTTP/1.1 103 Hints\r\nRetry-After: 1\r\n\r\n" OK
            "X-Retry-After: 2\r\nCONTENT-TYPE:  a/b \r\nConnection:\r\n"
            "Content-Encoding: gzip\r\nContent-encoding: br\r\n"
            "Transfer-Encoding: chunked\r\n\r\n0\r\nRetry-After: 3\r\n\r\n");
    assert_int_equal(read_in(&reply, bytes, 7, true, &left), HTTP1_WHOLE);
    assert_null(http1_header(&reply, HTTP1_RETRY_AFTER).at);
    assert_true(str_eq(http1_header(&reply, HTTP1_CONTENT_TYPE), STR("a/b")));
    assert_non_null(http1_header(&reply, HTTP1_CONNECTION).at);
    http1_list(&reply, HTTP1_CONTENT_ENCODING, list, sizeof list);
    assert_string_equal(list, "gzip,br");
    http1_list(&reply, HTTP1_CONTENT_ENCODING, list, 6);
    assert_string_equal(list, "gzip,");
    http1_done(&reply);
}

/** Heads, trailers and what stands behind chunk sizes go into one bound. */
TEST_CASE(http1_read__a_flood__is_broken_before_it_is_kept)
{
    static const char *const starts[] = {
        OK, OK "Transfer-Encoding: chunked\r\n\r\n0\r\n"};
    for (size_t i = 0; i < 2; i++) {
        struct http1 reply;
        http1_init(&reply);
        struct str start = str_of(starts[i]);
        enum http1_got got = http1_read(&reply, &start);
        int lines = 0;
        for (; got == HTTP1_MORE; lines++) {
            struct str line = STR("X-Flood: 1234567890123456789012345\r\n");
            got = http1_read(&reply, &line);
        }
        assert_int_equal(got, HTTP1_BROKEN);
        assert_in_range(lines, 1500, 2000);
        http1_done(&reply);
    }
}

TEST_CASE(http1_read__bodies_at_the_limit__are_whole_and_one_more_is_not)
{
    struct http1 reply;
    struct buf bytes;
    size_t left;
    http1_init(&reply);
    for (int more = 0; more < 2; more++) {
        buf_init(&bytes, 0);
        buf_add_text(&bytes, OK "\r\n");
        for (int i = 0; i < HTTP1_BODY_BYTES_MAX + more; i++) {
            buf_add_char(&bytes, 'a');
        }
        assert_int_equal(read_in(&reply, buf_str(&bytes), 65536, true, &left),
                         more ? HTTP1_TOO_LARGE : HTTP1_WHOLE);
        buf_done(&bytes);
    }
    http1_begin(&reply);
    assert_true(reply.body.size <= 65536);
    http1_done(&reply);
}

TESTS_RUN(NULL, NULL)
