#include "edge/s3/look.h"

#include "base/buf.h"
#include "base/must.h"
#include "core/digest.h"
#include "core/video.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct s3_check {
    bucket_fn *on_result;
    void *context;
    struct digest *digest;
    struct video_check video;
    int64_t bytes;
};

static void on_piece(void *context, const char *bytes, size_t len)
{
    struct s3_check *check = context;
    digest_add(check->digest, bytes, len);
    video_check_add(&check->video, bytes, len);
    check->bytes += (int64_t)len;
}

static void check_end(struct s3_check *check,
                      const struct bucket_result *result)
{
    bucket_fn *on_result = check->on_result;
    void *context = check->context;
    digest_free(check->digest);
    video_check_done(&check->video);
    must_free(check);
    on_result(context, result);
}

static void on_checked(void *context, const struct s3_end *end)
{
    struct s3_check *check = context;
    struct bucket_result result = {.end = s3_bucket_end(end->verdict)};
    if (end->verdict == S3_MISSING) {
        result.end = BUCKET_MISSING;
    }
    if (end->verdict == S3_DONE) {
        unsigned char sum[DIGEST_BYTES];
        digest_end(check->digest, sum);
        str_hex(sum, sizeof sum, result.sha256);
        result.bytes = check->bytes;
        const struct video_verdict verdict =
            video_check_end(&check->video, true);
        result.fault = verdict.fault;
        result.media = verdict.media;
    } else {
        snprintf(result.why, sizeof result.why, "%s", end->why);
    }
    check_end(check, &result);
}

static void on_no_memory(void *context)
{
    const struct bucket_result result = {.end = BUCKET_FAILED,
                                         .why = "no memory for a check"};
    check_end(context, &result);
}

void s3_check(struct bucket *base, struct str key, bucket_fn *on_result,
              void *context)
{
    struct s3 *s3 = (struct s3 *)(void *)base;
    struct s3_check *check = MUST_NEW(struct s3_check);
    *check = (struct s3_check){
        .on_result = on_result, .context = context, .digest = digest_new()};
    video_check_init(&check->video);
    char text[S3_KEY_BYTES_MAX];
    const struct s3_ask ask = {
        .method = "GET",
        .key = s3_key(s3, key, text, sizeof text),
        .sink = on_piece,
    };
    if (!check->digest || !s3_send(s3, &ask, on_checked, check)) {
        loop_defer(s3->loop, on_no_memory, check);
    }
}
