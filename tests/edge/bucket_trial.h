#ifndef TESTS_EDGE_BUCKET_TRIAL_H
#define TESTS_EDGE_BUCKET_TRIAL_H

/** What the tests of stores share: a folder of their own, videos, waiting. */

#include "core/digest.h"
#include "edge/bucket.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#include "lib/check.h"

#define MIB ((size_t)1 << 20)

struct trial {
    char root[64];
    bool mounted;
    struct loop *loop;
    struct bucket *bucket;
    struct loop_timer *limit;
};

struct answer {
    struct trial *trial;
    bool came;
    int count;
    struct bucket_result result;
};

static inline void on_limit(void *context)
{
    (void)context;
    fail_msg("no answer within the limit");
}

static inline void on_result(void *context, const struct bucket_result *result)
{
    struct answer *answer = context;
    answer->came = true;
    answer->count++;
    answer->result = *result;
    loop_stop(answer->trial->loop);
}

static inline void open_bucket(struct trial *trial)
{
    char url[100];
    snprintf(url, sizeof url, "file://%s", trial->root);
    struct err err = {0};
    trial->bucket = bucket_open(trial->loop, str_of(url), 4, 512 * (int64_t)MIB,
                                NULL, &err);
    assert_non_null(trial->bucket);
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

/** Where no probe has shown that it can do without, a file has a name from the
 * start. */
static bool trial_named;

static inline void each_way(void (*test)(void))
{
    for (int named = 0; named < 2; named++) {
        trial_named = named;
        test();
    }
    trial_named = false;
}

/** A folder of its own: of the disk, or a tmpfs of so many bytes. */
static inline void begin(struct trial *trial, size_t tmpfs_bytes)
{
    struct err err = {0};
    *trial = (struct trial){.loop = loop_open(&err)};
    assert_non_null(trial->loop);
    trial->limit = loop_timer_new(trial->loop, on_limit, NULL);
    snprintf(trial->root, sizeof trial->root, "/tmp/bucket-fs-XXXXXX");
    assert_non_null(mkdtemp(trial->root));
    if (tmpfs_bytes > 0) {
        char options[64];
        snprintf(options, sizeof options, "size=%zu", tmpfs_bytes);
        if (mount("tmpfs", trial->root, "tmpfs", 0, options) != 0) {
            fail_msg("can't mount a tmpfs: this test needs to be root");
        }
        trial->mounted = true;
    }
    open_bucket(trial);
    if (!trial_named) {
        struct answer answer = {.trial = trial};
        bucket_probe(trial->bucket, on_result, &answer);
        wait_for(trial, &answer);
    }
}

static inline void end(struct trial *trial)
{
    bucket_close(trial->bucket);
    loop_timer_free(trial->limit);
    loop_close(trial->loop);
    if (trial->mounted) {
        assert_int_equal(umount(trial->root), 0);
    }
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", trial->root);
    assert_int_equal(system(command), 0);
}

/* What is there; names that begin with a dot don't count */

static inline int entries(const char *path)
{
    DIR *folder = opendir(path);
    int count = 0;
    for (struct dirent *e; folder && (e = readdir(folder));) {
        count += e->d_name[0] != '.';
    }
    if (folder) {
        closedir(folder);
    }
    return count;
}

static inline int incoming(const struct trial *trial)
{
    char path[100];
    snprintf(path, sizeof path, "%s/.incoming", trial->root);
    return entries(path);
}

/* A whole small MP4, with `len` bytes of mdat that differ by place */

static inline char *video_of(size_t body, size_t *len)
{
    *len = 16 + 8 + 8 + body;
    char *bytes = calloc(1, *len);
    memcpy(bytes, "\0\0\0\20ftypisom\0\0\0\0", 16);
    memcpy(bytes + 16, "\0\0\0\10moov", 8);
    size_t box = 8 + body;
    char head[8] = {(char)(box >> 24),
                    (char)(box >> 16),
                    (char)(box >> 8),
                    (char)box,
                    'm',
                    'd',
                    'a',
                    't'};
    memcpy(bytes + 24, head, 8);
    for (size_t i = 0; i < body; i++) {
        bytes[32 + i] = (char)(i * 7 + i / 1000);
    }
    return bytes;
}

/** Feeds a put as a download does: in pieces, waiting when told to. */
struct feeding {
    struct answer answer;
    struct put *put;
    const char *bytes;
    size_t len;
    size_t piece;
    size_t given;
    int waits;
    bool early_no; /* said no before both buffers could be full */
};

static inline void feed(void *context)
{
    struct feeding *feeding = context;
    while (feeding->given < feeding->len) {
        size_t n = feeding->len - feeding->given;
        n = n < feeding->piece ? n : feeding->piece;
        bool more = put_write(feeding->put, feeding->bytes + feeding->given, n);
        feeding->given += n;
        if (!more && feeding->given < feeding->len) {
            feeding->early_no |= feeding->given < MIB;
            feeding->waits++;
            return;
        }
    }
    put_finish(feeding->put, "");
}

static inline enum bucket_end put_all(struct trial *trial, const char *key,
                                      const char *bytes, size_t len,
                                      int64_t announced, size_t piece,
                                      struct feeding *feeding)
{
    *feeding = (struct feeding){
        .answer = {.trial = trial}, .bytes = bytes, .len = len, .piece = piece};
    struct err err = {0};
    feeding->put = bucket_put(trial->bucket, str_of(key), announced, feed,
                              on_result, feeding, &err);
    assert_non_null(feeding->put);
    feed(feeding);
    assert_int_equal(feeding->answer.count, 0);
    wait_for(trial, &feeding->answer);
    assert_int_equal(feeding->answer.count, 1);
    return feeding->answer.result.end;
}

static inline enum bucket_end check(struct trial *trial, const char *key,
                                    struct bucket_result *result)
{
    struct answer answer = {.trial = trial};
    bucket_check(trial->bucket, str_of(key), on_result, &answer);
    wait_for(trial, &answer);
    *result = answer.result;
    return result->end;
}

#endif
