#include "edge/bucket.h"

#include "edge/bucket/kind.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES_MAX 1024 /* S3's limit */
#define PART_BYTES_MAX 255 /* most file systems' limit */

static const struct bucket_kind *const kinds[] = {
    &bucket_fs_kind,
    &bucket_s3_kind,
};

struct bucket *bucket_open(struct loop *loop, struct str url, int puts_max,
                           int64_t bytes_max, const struct proxy *proxy,
                           struct err *err)
{
    assert(puts_max > 0 && bytes_max > 0);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (str_starts(url, str_of(kinds[i]->scheme))) {
            struct bucket *bucket =
                kinds[i]->open(loop, url, puts_max, bytes_max, proxy, err);
            if (bucket) {
                bucket->loop = loop;
            }
            return bucket;
        }
    }
    err_set(err, ERR_PERMANENT,
            "STORAGE_URL begins with neither file:// nor "
            "s3://");
    return NULL;
}

void bucket_uri(const struct bucket *bucket, struct str key, char *out,
                size_t out_bytes)
{
    assert(out_bytes > 0);
    bucket->kind->uri(bucket, key, out, out_bytes);
}

const char *bucket_name(const struct bucket *bucket)
{
    return bucket->kind->name(bucket);
}

/** A part beginning with a dot is hidden, or ours (.incoming), or leads up. */
static bool part_is_good(struct str part)
{
    if (part.len == 0 || part.len > PART_BYTES_MAX || part.at[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < part.len; i++) {
        unsigned char c = (unsigned char)part.at[i];
        if (c < 0x20 || c == 0x7f || c == '\\') {
            return false;
        }
    }
    return true;
}

static bool key_is_good(struct str key)
{
    if (key.len > KEY_BYTES_MAX) {
        return false;
    }
    for (;;) {
        const char *slash = key.len > 0 ? memchr(key.at, '/', key.len) : NULL;
        size_t len = slash ? (size_t)(slash - key.at) : key.len;
        if (!part_is_good((struct str){key.at, len})) {
            return false;
        }
        if (!slash) {
            return true;
        }
        key = (struct str){slash + 1, key.len - len - 1};
    }
}

struct put *bucket_put(struct bucket *bucket, struct str key, int64_t bytes,
                       loop_fn *on_ready, bucket_fn *on_end, void *context,
                       struct err *err)
{
    assert(bytes >= -1);
    if (!key_is_good(key)) {
        err_set(err, ERR_PERMANENT, "\"%.*s\" is no name for an object",
                (int)(key.len < 200 ? key.len : 200), key.at);
        return NULL;
    }
    return bucket->kind->put(bucket, key, bytes, on_ready, on_end, context,
                             err);
}

void bucket_expect(struct bucket *bucket, struct str key)
{
    if (bucket->kind->expect && key_is_good(key)) {
        bucket->kind->expect(bucket, key);
    }
}

bool put_write(struct put *put, const char *bytes, size_t len)
{
    assert(bytes || !len);
    return put->kind->write(put, bytes, len);
}

void put_finish(struct put *put, const char *sha256)
{
    put->kind->finish(put, sha256);
}

void put_cancel(struct put *put)
{
    put->kind->cancel(put);
}

bool bucket_link(struct bucket *bucket, struct str key, int expires_s,
                 struct buf *url, struct err *err)
{
    if (!bucket->kind->link || !key_is_good(key)) {
        return err_set(err, ERR_PERMANENT,
                       bucket->kind->link ? "that is no name for an object"
                                          : "a folder has no links");
    }
    return bucket->kind->link(bucket, key, expires_s, url, err);
}

const char *bucket_site(const struct bucket *bucket)
{
    return bucket->kind->site ? bucket->kind->site(bucket) : "";
}

struct bad_check {
    bucket_fn *on_result;
    void *context;
};

static void on_bad_check(void *context)
{
    struct bad_check bad = *(struct bad_check *)context;
    free(context);
    struct bucket_result result = {.end = BUCKET_MISSING};
    snprintf(result.why, sizeof result.why, "that is no name for an object");
    bad.on_result(bad.context, &result);
}

/** Whether nothing can be there: it is said later. */
static bool is_bad(struct bucket *bucket, struct str key, bucket_fn *on_result,
                   void *context)
{
    struct bad_check *bad = key_is_good(key) ? NULL : malloc(sizeof *bad);
    if (bad) {
        *bad = (struct bad_check){on_result, context};
        loop_defer(bucket->loop, on_bad_check, bad);
    }
    return bad != NULL;
}

void bucket_check(struct bucket *bucket, struct str key, bucket_fn *on_result,
                  void *context)
{
    assert(on_result);
    if (!is_bad(bucket, key, on_result, context)) {
        bucket->kind->check(bucket, key, on_result, context);
    }
}

void bucket_look(struct bucket *bucket, struct str key, bucket_fn *on_result,
                 void *context)
{
    assert(on_result);
    if (!is_bad(bucket, key, on_result, context)) {
        bucket->kind->look(bucket, key, on_result, context);
    }
}

void bucket_walk(struct bucket *bucket, bucket_objects_fn *on_objects,
                 bucket_fn *on_end, void *context)
{
    assert(on_objects && on_end);
    bucket->kind->walk(bucket, on_objects, on_end, context);
}

bool bucket_forget(struct bucket *bucket, struct str key, bucket_fn *on_result,
                   void *context)
{
    assert(on_result);
    return bucket->kind->forget && key_is_good(key) &&
           bucket->kind->forget(bucket, key, on_result, context);
}

void bucket_probe(struct bucket *bucket, bucket_fn *on_result, void *context)
{
    assert(on_result);
    bucket->kind->probe(bucket, on_result, context);
}

void bucket_sweep(struct bucket *bucket, const char *key_template,
                  int64_t older_than_ms)
{
    assert(key_template && older_than_ms >= 0);
    bucket->kind->sweep(bucket, key_template, older_than_ms);
}

void bucket_close(struct bucket *bucket)
{
    if (bucket) {
        bucket->kind->close(bucket);
    }
}

size_t bucket_encode(struct str text, bool keep_slash, char *out,
                     size_t out_bytes)
{
    assert(out_bytes > 0);
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789-._~";
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool keep = (c != '\0' && strchr(plain, c)) || (keep_slash && c == '/');
        size_t need = keep ? 1 : 3;
        if (len + need >= out_bytes) {
            break;
        }
        if (keep) {
            out[len] = c;
        } else {
            snprintf(out + len, 4, "%%%02X", (unsigned char)c);
        }
        len += need;
    }
    if (out_bytes > 0) {
        out[len] = '\0';
    }
    return len;
}
