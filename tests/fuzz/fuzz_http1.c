#include "fuzz.h"

#include "core/http1.h"

#include <string.h>

/* A reply of HTTP/1.1: in whatever pieces its bytes come, the same is read. */

struct seen {
    enum http1_got got;
    size_t left;
};

static struct seen read_by(struct http1 *reply, struct str all, size_t step)
{
    struct seen seen = {.got = HTTP1_MORE};
    while (seen.got == HTTP1_MORE && all.len > 0) {
        struct str bytes = {all.at, all.len < step ? all.len : step};
        const size_t len = bytes.len;
        seen.got = http1_read(reply, &bytes);
        CHECK(seen.got != HTTP1_MORE || bytes.len == 0);
        all.at += len - bytes.len;
        all.len -= len - bytes.len;
    }
    seen.left = all.len;
    if (seen.got == HTTP1_MORE) {
        seen.got = http1_end(reply);
    }
    CHECK(seen.got != HTTP1_BROKEN || reply->why);
    CHECK(reply->body.len <= HTTP1_BODY_BYTES_MAX);
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    const size_t step = input_byte(&input) % 16 + 1;
    const struct str all = input_rest(&input);
    struct http1 one;
    struct http1 other;
    char list[40];
    http1_init(&one);
    http1_init(&other);
    const struct seen whole = read_by(&one, all, all.len + 1);
    const struct seen pieces = read_by(&other, all, step);
    CHECK(whole.got == pieces.got && one.status == other.status);
    if (whole.got == HTTP1_WHOLE) {
        CHECK(one.status >= 200 && one.status <= 999);
        CHECK(whole.left == pieces.left && one.keeps == other.keeps);
        CHECK(str_eq(buf_str(&one.body), buf_str(&other.body)));
        CHECK(str_eq(http1_header(&one, HTTP1_RETRY_AFTER),
                     http1_header(&other, HTTP1_RETRY_AFTER)));
        http1_list(&one, HTTP1_CONTENT_ENCODING, list, sizeof list);
        CHECK(strlen(list) < sizeof list);
    }
    http1_done(&one);
    http1_done(&other);
    return 0;
}
