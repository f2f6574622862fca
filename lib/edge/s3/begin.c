#include "edge/s3/begin.h"

#include "edge/s3/parts.h"
#include "edge/s3/stream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const struct s3_way *way_of(int64_t bytes, const struct s3_takes *takes)
{
    assert(takes->body < S3_BODIES_LEN);
    const bool in_parts =
        bytes <= 0 || bytes > S3_PUT_BYTES_MAX || takes->body == S3_HASHED;
    return in_parts ? &s3_parts : &s3_stream;
}

struct put *s3_put_as(struct s3 *s3, struct str key, int64_t bytes,
                      struct s3_how *how, loop_fn *on_ready, bucket_fn *on_end,
                      void *context, struct err *err)
{
    assert(key.len > 0);
    assert(bytes >= -1);
    struct s3_put *put = calloc(1, sizeof *put);
    if (put) {
        assert(key.len < sizeof put->key_text);
        put->base.kind = s3->base.kind;
        put->s3 = s3;
        put->on_ready = on_ready;
        put->on_end = on_end;
        put->context = context;
        put->how = how;
        put->takes = how ? how->takes : s3->takes;
        put->announced = bytes > 0 ? bytes : -1;
        put->way = way_of(bytes, &put->takes);
        memcpy(put->key_text, key.at, key.len);
        put->key = (struct str){put->key_text, key.len};
        put->soon = loop_timer_new(s3->loop, s3_put_turn, put);
        list_init(&put->want);
        list_init(&put->learning);
    }
    bool begun = put && put->soon && put->way->begin(put);
    if (!begun) {
        if (put) {
            loop_timer_free(put->soon);
        }
        free(put);
        err_set(err, ERR_TRANSIENT, "no memory for an object");
        return NULL;
    }
    s3->puts++;
    return &put->base;
}

struct put *s3_put(struct bucket *base, struct str key, int64_t bytes,
                   loop_fn *on_ready, bucket_fn *on_end, void *context,
                   struct err *err)
{
    struct s3 *s3 = (struct s3 *)(void *)base;
    assert(s3->pace >= 1 && s3->pace <= s3->puts_max);
    assert(s3->puts >= 0);
    char text[S3_KEY_BYTES_MAX];
    if (bytes > s3->bytes_max) {
        err_set(err, ERR_PERMANENT, "%lld bytes, allowed: %lld",
                (long long)bytes, (long long)s3->bytes_max);
        return NULL;
    }
    if (s3->puts >= s3->pace) {
        err_set(err, ERR_TRANSIENT, "S3 asked for less at once");
        return NULL;
    }
    struct put *put = s3_put_as(s3, s3_key(s3, key, text, sizeof text), bytes,
                                NULL, on_ready, on_end, context, err);
    if (put) {
        ((struct s3_put *)(void *)put)->limited = true;
    }
    return put;
}
