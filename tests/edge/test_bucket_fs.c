#include "core/digest.h"
#include "edge/bucket.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#include <cmocka.h>

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

static void on_limit(void *context)
{
    (void)context;
    fail_msg("no answer within the limit");
}

static void on_result(void *context, const struct bucket_result *result)
{
    struct answer *answer = context;
    answer->came = true;
    answer->count++;
    answer->result = *result;
    loop_stop(answer->trial->loop);
}

static void open_bucket(struct trial *trial)
{
    char url[100];
    snprintf(url, sizeof url, "file://%s", trial->root);
    struct err err = {0};
    trial->bucket =
        bucket_open(trial->loop, str_of(url), 4, 512 * (int64_t)MIB, &err);
    assert_non_null(trial->bucket);
}

/** A folder of its own: of the disk, or a tmpfs of so many bytes. */
static void begin(struct trial *trial, size_t tmpfs_bytes)
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
}

static void end(struct trial *trial)
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

static void wait_for(struct trial *trial, struct answer *answer)
{
    loop_timer_set(trial->limit, 30000);
    while (!answer->came) {
        loop_run(trial->loop);
    }
    loop_timer_stop(trial->limit);
    answer->came = false;
}

/* A whole small MP4, with `len` bytes of mdat that differ by place */

static char *video_of(size_t body, size_t *len)
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

static void feed(void *context)
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

static enum bucket_end put_all(struct trial *trial, const char *key,
                               const char *bytes, size_t len, int64_t announced,
                               size_t piece, struct feeding *feeding)
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

static enum bucket_end put_text(struct trial *trial, const char *key,
                                const char *text)
{
    struct feeding feeding;
    return put_all(trial, key, text, strlen(text), -1, 1000, &feeding);
}

static enum bucket_end check(struct trial *trial, const char *key,
                             struct bucket_result *result)
{
    struct answer answer = {.trial = trial};
    bucket_check(trial->bucket, str_of(key), on_result, &answer);
    wait_for(trial, &answer);
    *result = answer.result;
    return result->end;
}

static enum bucket_end probe(struct trial *trial, struct bucket_result *result)
{
    struct answer answer = {.trial = trial};
    bucket_probe(trial->bucket, on_result, &answer);
    wait_for(trial, &answer);
    *result = answer.result;
    return result->end;
}

static int incoming(const struct trial *trial)
{
    char path[100];
    snprintf(path, sizeof path, "%s/.incoming", trial->root);
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

static void assert_content(const struct trial *trial, const char *key,
                           const char *bytes, size_t len)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", trial->root, key);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *there = malloc(len + 1);
    assert_int_equal(fread(there, 1, len + 1, file), len);
    assert_int_equal(memcmp(there, bytes, len), 0);
    free(there);
    fclose(file);
}

static bool exists(const struct trial *trial, const char *key)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", trial->root, key);
    struct stat there;
    return lstat(path, &there) == 0;
}

/* Tests */

static void put__sizes_and_pieces__are_stored_as_given(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,       1,       4095,        MIB - 32, MIB,
                                   MIB + 1, 2 * MIB, 5 * MIB + 3, 9 * MIB};
    static const size_t pieces[] = {700, 16384, MIB, 3 * MIB + 1};
    struct trial trial;
    begin(&trial, 0);
    int count = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t k = 0; k < sizeof pieces / sizeof pieces[0]; k++) {
            size_t len;
            char *bytes = video_of(sizes[i], &len);
            char key[50];
            snprintf(key, sizeof key, "a/b%zu/%d.mp4", i, count++);
            struct feeding feeding;
            int64_t announced = k % 2 ? (int64_t)len : -1;
            assert_int_equal(put_all(&trial, key, bytes, len, announced,
                                     pieces[k], &feeding),
                             BUCKET_DONE);
            assert_int_equal(feeding.answer.result.bytes, len);
            assert_false(feeding.early_no);
            assert_content(&trial, key, bytes, len);

            struct bucket_result result;
            assert_int_equal(check(&trial, key, &result), BUCKET_DONE);
            assert_int_equal(result.bytes, len);
            assert_null(result.fault);
            unsigned char sum[DIGEST_BYTES];
            char hex[DIGEST_HEX_BYTES];
            digest_of((struct str){bytes, len}, sum);
            str_hex(sum, sizeof sum, hex);
            assert_string_equal(result.sha256, hex);
            free(bytes);
        }
    }
    assert_int_equal(incoming(&trial), 0);
    end(&trial);
}

static void put__name_taken__replaces_nothing(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, 0);
    assert_int_equal(put_text(&trial, "x/0.mp4", "first"), BUCKET_DONE);
    assert_int_equal(put_text(&trial, "x/0.mp4", "second"), BUCKET_EXISTS);
    assert_content(&trial, "x/0.mp4", "first", 5);
    assert_int_equal(incoming(&trial), 0);
    /* A folder of that name is in the way too. */
    assert_int_equal(put_text(&trial, "x/0.mp4/1.mp4", "third"), BUCKET_FAILED);
    assert_int_equal(put_text(&trial, "x", "fourth"), BUCKET_EXISTS);
    end(&trial);
}

static void put__two_writers_of_one_name__one_wins_whole(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, 0);
    for (int round = 0; round < 20; round++) {
        char key[30];
        snprintf(key, sizeof key, "%d/0.mp4", round);
        size_t len = 3 * MIB;
        char *bytes[2] = {malloc(len), malloc(len)};
        struct answer answers[2];
        for (int i = 0; i < 2; i++) {
            memset(bytes[i], 'a' + i, len);
            answers[i] = (struct answer){.trial = &trial};
            struct err err;
            struct put *put =
                bucket_put(trial.bucket, str_of(key), (int64_t)len, NULL,
                           on_result, &answers[i], &err);
            assert_non_null(put);
            put_write(put, bytes[i], len);
            put_finish(put, "");
        }
        wait_for(&trial, &answers[0]);
        wait_for(&trial, &answers[1]);
        int winner = answers[0].result.end == BUCKET_DONE ? 0 : 1;
        assert_int_equal(answers[winner].result.end, BUCKET_DONE);
        assert_int_equal(answers[1 - winner].result.end, BUCKET_EXISTS);
        assert_content(&trial, key, bytes[winner], len);
        free(bytes[0]);
        free(bytes[1]);
    }
    assert_int_equal(incoming(&trial), 0);
    end(&trial);
}

static void put__bad_names__are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",     "/",   "/abs",        "a//b", "a/",   "..",   "a/../b",
        "../x", "./x", ".incoming/x", "a/.b", "a\nb", "a\\b", "a/\x7f",
    };
    struct trial trial;
    begin(&trial, 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err err = {0};
        assert_null(bucket_put(trial.bucket, str_of(bad[i]), -1, NULL,
                               on_result, NULL, &err));
        assert_int_equal(err.kind, ERR_PERMANENT);
        struct bucket_result result;
        assert_int_equal(check(&trial, bad[i], &result), BUCKET_MISSING);
    }
    char longest[300];
    memset(longest, 'a', sizeof longest);
    longest[256] = '\0';
    struct err err = {0};
    assert_null(bucket_put(trial.bucket, str_of(longest), -1, NULL, on_result,
                           NULL, &err));
    longest[255] = '\0';
    assert_int_equal(put_text(&trial, longest, "x"), BUCKET_DONE);
    end(&trial);
}

static void put__link_in_the_way__leads_nowhere(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, 0);
    char outside[64] = "/tmp/bucket-fs-outside-XXXXXX";
    assert_non_null(mkdtemp(outside));
    char link_path[100];
    snprintf(link_path, sizeof link_path, "%s/tenant", trial.root);
    assert_int_equal(symlink(outside, link_path), 0);
    assert_int_equal(put_text(&trial, "tenant/0.mp4", "x"), BUCKET_FAILED);
    char stray[100];
    snprintf(stray, sizeof stray, "%s/0.mp4", outside);
    assert_int_not_equal(access(stray, F_OK), 0);
    assert_int_equal(incoming(&trial), 0);
    rmdir(outside);
    end(&trial);
}

static void put__cancelled_at_any_point__leaves_nothing(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, 0);
    size_t len = 5 * MIB;
    char *bytes = calloc(1, len);
    for (size_t given = 0; given <= len; given += MIB / 2) {
        struct answer answer = {.trial = &trial};
        struct err err;
        struct put *put = bucket_put(trial.bucket, STR("c/0.mp4"), -1, NULL,
                                     on_result, &answer, &err);
        assert_non_null(put);
        put_write(put, bytes, given);
        put_cancel(put);
        assert_int_equal(answer.count, 0);
        wait_for(&trial, &answer);
        assert_int_equal(answer.result.end, BUCKET_CANCELLED);
        assert_false(exists(&trial, "c"));
        assert_int_equal(incoming(&trial), 0);
    }
    /* While it is being finished, either is right, but whole. */
    struct answer answer = {.trial = &trial};
    struct err err;
    struct put *put = bucket_put(trial.bucket, STR("c/1.mp4"), -1, NULL,
                                 on_result, &answer, &err);
    put_write(put, bytes, len);
    put_finish(put, "");
    put_cancel(put);
    wait_for(&trial, &answer);
    assert_int_equal(exists(&trial, "c/1.mp4"),
                     answer.result.end == BUCKET_DONE);
    assert_int_equal(incoming(&trial), 0);
    free(bytes);
    end(&trial);
}

static void put__other_length_than_announced__fails(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, 0);
    struct feeding feeding;
    assert_int_equal(put_all(&trial, "l/0.mp4", "12345", 5, 6, 10, &feeding),
                     BUCKET_FAILED);
    assert_int_equal(put_all(&trial, "l/0.mp4", "12345", 5, 4, 10, &feeding),
                     BUCKET_FAILED);
    assert_false(exists(&trial, "l/0.mp4"));
    struct err err = {0};
    assert_null(bucket_put(trial.bucket, STR("l/0.mp4"), 513 * (int64_t)MIB,
                           NULL, on_result, NULL, &err));
    assert_int_equal(err.kind, ERR_PERMANENT);
    assert_int_equal(incoming(&trial), 0);
    end(&trial);
}

static void put__more_than_puts_max__is_transient(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, 0);
    struct answer answers[4];
    struct put *puts[4];
    struct err err = {0};
    for (int i = 0; i < 4; i++) {
        answers[i] = (struct answer){.trial = &trial};
        puts[i] = bucket_put(trial.bucket, STR("m/0.mp4"), -1, NULL, on_result,
                             &answers[i], &err);
        assert_non_null(puts[i]);
    }
    assert_null(bucket_put(trial.bucket, STR("m/0.mp4"), -1, NULL, on_result,
                           NULL, &err));
    assert_int_equal(err.kind, ERR_TRANSIENT);
    for (int i = 0; i < 4; i++) {
        put_cancel(puts[i]);
        wait_for(&trial, &answers[i]);
    }
    assert_int_equal(put_text(&trial, "m/0.mp4", "x"), BUCKET_DONE);
    end(&trial);
}

static void put__disk_full_at_any_level__is_unusable_and_recovers(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, 8 * MIB);
    size_t len = 6 * MIB;
    char *bytes = calloc(1, len);
    char filler[100];
    snprintf(filler, sizeof filler, "%s/filler", trial.root);
    int made = 0;
    for (size_t room_kib = 0; room_kib < 6 * 1024; room_kib += 600) {
        int fd = open(filler, O_CREAT | O_RDWR, 0600);
        struct stat there;
        assert_int_equal(fstat(fd, &there), 0);
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(
            posix_fallocate(fd, 0, (off_t)(8 * MIB - room_kib * 1024)), 0);
        close(fd);
        for (int known = 0; known < 2; known++) {
            struct feeding feeding;
            assert_int_equal(put_all(&trial, "f/0.mp4", bytes, len,
                                     known ? (int64_t)len : -1, 16384,
                                     &feeding),
                             BUCKET_UNUSABLE);
            assert_non_null(strstr(feeding.answer.result.why, "space"));
            assert_false(exists(&trial, "f/0.mp4"));
            assert_int_equal(incoming(&trial), 0);
            made++;
        }
    }
    assert_true(made >= 20);
    unlink(filler);
    struct feeding feeding;
    assert_int_equal(
        put_all(&trial, "f/0.mp4", bytes, len, -1, 16384, &feeding),
        BUCKET_DONE);
    free(bytes);
    end(&trial);
}

static void probe__states_of_the_store__are_told(void **state)
{
    (void)state;
    struct trial trial;
    struct bucket_result result;
    begin(&trial, 100 * MIB);
    assert_int_equal(probe(&trial, &result), BUCKET_DONE);
    assert_int_equal(incoming(&trial), 0);

    assert_int_equal(mount("tmpfs", trial.root, "tmpfs", MS_REMOUNT | MS_RDONLY,
                           "size=100m"),
                     0);
    assert_int_equal(probe(&trial, &result), BUCKET_UNUSABLE);
    assert_non_null(strstr(result.why, "Read-only"));
    assert_int_equal(put_text(&trial, "r/0.mp4", "x"), BUCKET_UNUSABLE);

    assert_int_equal(
        mount("tmpfs", trial.root, "tmpfs", MS_REMOUNT, "size=20m"), 0);
    assert_int_equal(probe(&trial, &result), BUCKET_UNUSABLE);
    assert_non_null(strstr(result.why, "MiB free"));

    assert_int_equal(umount(trial.root), 0);
    trial.mounted = false;
    assert_int_equal(probe(&trial, &result), BUCKET_DONE); /* the disk below */
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", trial.root);
    assert_int_equal(system(command), 0);
    assert_int_equal(probe(&trial, &result), BUCKET_UNUSABLE);
    assert_non_null(strstr(result.why, "No such file"));
    assert_int_equal(put_text(&trial, "r/0.mp4", "x"), BUCKET_UNUSABLE);
    assert_int_equal(check(&trial, "r/0.mp4", &result), BUCKET_UNUSABLE);
    assert_int_not_equal(access(trial.root, F_OK), 0); /* nobody made it */
    end(&trial);
}

static void check__what_is_no_whole_video__is_named(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, 0);
    struct bucket_result result;
    assert_int_equal(check(&trial, "n/0.mp4", &result), BUCKET_MISSING);
    size_t len;
    char *bytes = video_of(40 * MIB, &len); /* more than one step's share */
    struct feeding feeding;
    assert_int_equal(
        put_all(&trial, "n/0.mp4", bytes, len - 1, -1, MIB, &feeding),
        BUCKET_DONE);
    assert_int_equal(check(&trial, "n/0.mp4", &result), BUCKET_DONE);
    assert_int_equal(result.bytes, len - 1);
    assert_non_null(result.fault);
    assert_int_equal(put_all(&trial, "n/1.mp4", bytes, len, -1, MIB, &feeding),
                     BUCKET_DONE);
    assert_int_equal(check(&trial, "n/1.mp4", &result), BUCKET_DONE);
    assert_null(result.fault);
    assert_int_equal(check(&trial, "n", &result), BUCKET_FAILED); /* a folder */
    free(bytes);
    end(&trial);
}

static bool is_swept(const struct trial *trial)
{
    return incoming(trial) == 1;
}

static void sweep__old_files_of_the_dead__are_removed(void **state)
{
    (void)state;
    struct trial trial;
    begin(&trial, 0);
    assert_int_equal(put_text(&trial, "s/0.mp4", "x"), BUCKET_DONE);
    const char *const names[] = {"1-1-old.part", "1-2-new.part"};
    for (int i = 0; i < 2; i++) {
        char path[100];
        snprintf(path, sizeof path, "%s/.incoming/%s", trial.root, names[i]);
        int fd = open(path, O_CREAT | O_WRONLY, 0600);
        assert_true(fd >= 0);
        close(fd);
        struct utimbuf old = {time(NULL) - 7200, time(NULL) - 7200};
        if (i == 0) {
            assert_int_equal(utime(path, &old), 0);
        }
    }
    assert_int_equal(incoming(&trial), 2);
    bucket_sweep(trial.bucket, 3600000);
    for (int i = 0; i < 100 && !is_swept(&trial); i++) {
        struct bucket_result result;
        (void)check(&trial, "s/0.mp4", &result); /* turns the loop */
    }
    assert_true(is_swept(&trial));
    assert_true(exists(&trial, ".incoming/1-2-new.part"));
    assert_true(exists(&trial, "s/0.mp4"));
    end(&trial);
}

static void uri__odd_bytes__are_encoded(void **state)
{
    (void)state;
    struct err err = {0};
    struct loop *loop = loop_open(&err);
    struct bucket *bucket =
        bucket_open(loop, STR("file:///tmp/a%20b%25/"), 1, (int64_t)MIB, &err);
    assert_non_null(bucket);
    char uri[200];
    bucket_uri(bucket, STR("t/2026/x y#?%.mp4"), uri, sizeof uri);
    assert_string_equal(uri, "file:///tmp/a%20b%25/t/2026/x%20y%23%3F%25.mp4");
    assert_string_equal(bucket_name(bucket), "file:///tmp/a%20b%25");
    bucket_close(bucket);
    assert_null(bucket_open(loop, STR("ftp://x"), 1, 1, &err));
    assert_int_equal(err.kind, ERR_PERMANENT);
    loop_close(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put__sizes_and_pieces__are_stored_as_given),
        cmocka_unit_test(put__name_taken__replaces_nothing),
        cmocka_unit_test(put__two_writers_of_one_name__one_wins_whole),
        cmocka_unit_test(put__bad_names__are_refused),
        cmocka_unit_test(put__link_in_the_way__leads_nowhere),
        cmocka_unit_test(put__cancelled_at_any_point__leaves_nothing),
        cmocka_unit_test(put__other_length_than_announced__fails),
        cmocka_unit_test(put__more_than_puts_max__is_transient),
        cmocka_unit_test(put__disk_full_at_any_level__is_unusable_and_recovers),
        cmocka_unit_test(probe__states_of_the_store__are_told),
        cmocka_unit_test(check__what_is_no_whole_video__is_named),
        cmocka_unit_test(sweep__old_files_of_the_dead__are_removed),
        cmocka_unit_test(uri__odd_bytes__are_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
