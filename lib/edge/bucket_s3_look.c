#include "edge/s3_put.h"

#include "base/buf.h"
#include "base/must.h"
#include "core/digest.h"
#include "core/video.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- check --------------------------------------------------------------- */

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
        result.fault = video_check_end(&check->video);
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

/* ---- probe --------------------------------------------------------------- */

/*
 * A small object of our own is put, put again (which must not work), and
 * deleted. Where deleting is forbidden, one object stays for each process.
 */
struct s3_probe {
    struct s3 *s3;
    bucket_fn *on_result;
    void *context;
    char key_text[S3_KEY_BYTES_MAX];
    struct str key;
    char checksum[45];
    bool second;
    bool replaced; /* the store does not keep what is there */
};

static const char probe_body[] = "pixverse-worker tries whether it may write\n";

static void probe_end(struct s3_probe *probe, enum bucket_end end,
                      const char *why)
{
    struct bucket_result result = {.end = end};
    snprintf(result.why, sizeof result.why, "%s", why);
    bucket_fn *on_result = probe->on_result;
    void *context = probe->context;
    must_free(probe);
    on_result(context, &result);
}

static void on_deleted(void *context, const struct s3_end *end)
{
    struct s3_probe *probe = context;
    (void)end; /* a policy may forbid it: putting is all that is needed */
    probe_end(probe, BUCKET_DONE,
              probe->replaced
                  ? "the store ignores If-None-Match: a video that is there "
                    "is kept by looking first only"
                  : "");
}

static bool probe_put(struct s3_probe *probe);

static void on_probe_put(void *context, const struct s3_end *end)
{
    struct s3_probe *probe = context;
    struct s3 *s3 = probe->s3;
    bool there = end->verdict == S3_EXISTS;
    bool done = end->verdict == S3_DONE || there;
    if (end->verdict == S3_CANT && !s3->unconditional) {
        s3->unconditional = true;
        done = probe_put(probe);
        if (done) {
            return;
        }
    }
    if (!done) { /* where that fails, so does all */
        probe_end(probe, BUCKET_UNUSABLE, end->why);
        return;
    }
    if (!probe->second && !there && !s3->unconditional) {
        probe->second = true;
        if (probe_put(probe)) {
            return;
        }
    } else if (!there) {
        probe->replaced = true;
        s3->unconditional = true;
    }
    const struct s3_ask ask = {.method = "DELETE", .key = probe->key};
    if (!s3_send(s3, &ask, on_deleted, probe)) {
        probe_end(probe, BUCKET_DONE, "");
    }
}

static bool probe_put(struct s3_probe *probe)
{
    struct s3_ask ask = {.method = "PUT",
                         .key = probe->key,
                         .body = {probe_body, sizeof probe_body - 1}};
    s3_ask_object(probe->s3, &ask);
    s3_ask_condition(probe->s3, &ask);
    if (probe->s3->url.checksum) {
        unsigned char sum[DIGEST_BYTES];
        digest_of(ask.body, sum);
        s3_base64(sum, probe->checksum);
        s3_ask_header(&ask, "x-amz-checksum-sha256", str_of(probe->checksum));
    }
    return s3_send(probe->s3, &ask, on_probe_put, probe) != NULL;
}

static void on_probe_memory(void *context)
{
    probe_end(context, BUCKET_UNUSABLE, "no memory for a probe");
}

void s3_probe(struct bucket *base, bucket_fn *on_result, void *context)
{
    struct s3 *s3 = (struct s3 *)(void *)base;
    struct s3_probe *probe = MUST_NEW(struct s3_probe);
    *probe =
        (struct s3_probe){.s3 = s3, .on_result = on_result, .context = context};
    probe->key = s3_key(s3, str_of(s3->probe_name), probe->key_text,
                        sizeof probe->key_text);
    if (!probe_put(probe)) {
        loop_defer(s3->loop, on_probe_memory, probe);
    }
}
