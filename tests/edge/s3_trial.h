#ifndef TESTS_EDGE_S3_TRIAL_H
#define TESTS_EDGE_S3_TRIAL_H

/** A bucket of S3 on trial: fed as downloads feed it. */

#include "core/digest.h"
#include "edge/bucket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/check.h"

#define MIB ((size_t)1 << 20)
#define CHUNK ((size_t)64 << 10)

struct trial {
    char prefix[64];
    struct loop *loop;
    struct bucket *bucket;
    struct loop_timer *limit;
};

struct answer {
    struct trial *trial;
    bool came;
    struct bucket_result result;
};

static inline const char *env(const char *name)
{
    const char *value = getenv(name);
    if (!value || !value[0]) {
        fail_msg("%s is not set: run it by tests/run", name);
    }
    return value;
}

static inline void on_limit(void *context)
{
    (void)context;
    fail_msg("no answer within the limit");
}

static inline void on_result(void *context, const struct bucket_result *result)
{
    struct answer *answer = context;
    assert_false(answer->came);
    answer->came = true;
    answer->result = *result;
    loop_stop(answer->trial->loop);
}

static inline void begin_with(struct trial *trial, const char *endpoint,
                              const char *bucket, const char *options)
{
    static int count;
    char url[500];
    struct err err = {0};
    *trial = (struct trial){.loop = loop_open(&err)};
    assert_non_null(trial->loop);
    trial->limit = loop_timer_new(trial->loop, on_limit, NULL);
    snprintf(trial->prefix, sizeof trial->prefix, "p-%d-%d", (int)getpid(),
             ++count);
    snprintf(url, sizeof url, "s3://%s/%s?endpoint=%s%s", bucket, trial->prefix,
             endpoint, options);
    trial->bucket = bucket_open(trial->loop, str_of(url), 8, 512 * (int64_t)MIB,
                                NULL, &err);
    assert_non_null(trial->bucket);
}

static inline void end(struct trial *trial)
{
    bucket_close(trial->bucket);
    loop_timer_free(trial->limit);
    loop_close(trial->loop);
}

static inline void wait_for(struct trial *trial, struct answer *answer)
{
    loop_timer_set(trial->limit, 60000);
    while (!answer->came) {
        loop_run(trial->loop);
    }
    loop_timer_stop(trial->limit);
    answer->came = false;
}

/** A whole small MP4 of `len` bytes, at least 32, that differ by place. */
static inline char *video_of(size_t len)
{
    char *bytes = calloc(1, len);
    size_t box = len - 24;
    const char head[8] = {(char)(box >> 24),
                          (char)(box >> 16),
                          (char)(box >> 8),
                          (char)box,
                          'm',
                          'd',
                          'a',
                          't'};
    memcpy(bytes, "\0\0\0\20ftypisom\0\0\0\0", 16);
    memcpy(bytes + 16, "\0\0\0\10moov", 8);
    memcpy(bytes + 24, head, 8);
    for (size_t i = 32; i < len; i++) {
        bytes[i] = (char)(i * 7 + i / 1000);
    }
    return bytes;
}

static inline void hash_of(const char *bytes, size_t len, char out[static 65])
{
    unsigned char sum[DIGEST_BYTES];
    digest_of((struct str){bytes, len}, sum);
    str_hex(sum, sizeof sum, out);
}

/** Feeds a put as a download does: in pieces, waiting when told to. */
struct feeding {
    struct answer answer;
    struct put *put;
    const char *bytes;
    size_t len;
    size_t given;
    size_t piece;
    size_t stop; /* cancel here; SIZE_MAX: finish */
    const char *sha256;
    int waits;
};

static inline void on_fed(void *context, const struct bucket_result *result)
{
    struct feeding *feeding = context;
    feeding->put = NULL;
    on_result(&feeding->answer, result);
}

static inline void feed(void *context)
{
    struct feeding *feeding = context;
    while (feeding->put && feeding->given < feeding->len &&
           feeding->given < feeding->stop) {
        size_t n = feeding->len - feeding->given;
        n = n < feeding->piece ? n : feeding->piece;
        bool more = put_write(feeding->put, feeding->bytes + feeding->given, n);
        feeding->given += n;
        if (!more && feeding->given < feeding->len &&
            feeding->given < feeding->stop) {
            feeding->waits++;
            return;
        }
    }
    if (feeding->put && feeding->given >= feeding->stop) {
        put_cancel(feeding->put);
    } else if (feeding->put) {
        put_finish(feeding->put, feeding->sha256);
    }
}

static inline struct bucket_result put_as(struct trial *trial, const char *key,
                                          const char *bytes, size_t len,
                                          int64_t announced, size_t stop,
                                          const char *sha256)
{
    char hash[65];
    struct err err = {0};
    hash_of(bytes, len, hash);
    struct feeding feeding = {.answer = {.trial = trial},
                              .bytes = bytes,
                              .len = len,
                              .piece = 100000,
                              .stop = stop,
                              .sha256 = sha256 ? sha256 : hash};
    feeding.put = bucket_put(trial->bucket, str_of(key), announced, feed,
                             on_fed, &feeding, &err);
    assert_non_null(feeding.put);
    feed(&feeding);
    wait_for(trial, &feeding.answer);
    return feeding.answer.result;
}

static inline struct bucket_result put_whole(struct trial *trial,
                                             const char *key, const char *bytes,
                                             size_t len, bool known)
{
    return put_as(trial, key, bytes, len, known ? (int64_t)len : -1, SIZE_MAX,
                  NULL);
}

static inline struct bucket_result check(struct trial *trial, const char *key)
{
    struct answer answer = {.trial = trial};
    bucket_check(trial->bucket, str_of(key), on_result, &answer);
    wait_for(trial, &answer);
    return answer.result;
}

static inline struct bucket_result probe(struct trial *trial)
{
    struct answer answer = {.trial = trial};
    bucket_probe(trial->bucket, on_result, &answer);
    wait_for(trial, &answer);
    return answer.result;
}

static inline void assert_end(const struct bucket_result *result,
                              enum bucket_end wanted)
{
    if (result->end != wanted) {
        print_message("why: %s\n", result->why);
    }
    assert_int_equal(result->end, wanted);
}

static inline void assert_stored(struct trial *trial, const char *key,
                                 const char *bytes, size_t len)
{
    char hash[65];
    hash_of(bytes, len, hash);
    struct bucket_result there = check(trial, key);
    assert_end(&there, BUCKET_DONE);
    assert_int_equal(there.bytes, len);
    assert_string_equal(there.sha256, hash);
    assert_null(there.fault);
}

#endif
