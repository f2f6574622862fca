/* tests/run: raced */
/* wraps: time clock_gettime */
#include "edge/bucket_trial.h"

#include "edge/bucket_walk.h"
#include "lib/film.h"

/* The machine's clock of day may be wrong by so much. */
static time_t wrong_s;

time_t __real_time(time_t *out);
time_t __wrap_time(time_t *out);
time_t __wrap_time(time_t *out)
{
    const time_t now = __real_time(NULL) + wrong_s;
    if (out) {
        *out = now;
    }
    return now;
}

int __real_clock_gettime(clockid_t id, struct timespec *out);
int __wrap_clock_gettime(clockid_t id, struct timespec *out);
int __wrap_clock_gettime(clockid_t id, struct timespec *out)
{
    const int done = __real_clock_gettime(id, out);
    out->tv_sec += id == CLOCK_REALTIME ? wrong_s : 0;
    return done;
}

static enum bucket_end put_text(struct trial *trial, const char *key,
                                const char *text)
{
    struct feeding feeding;
    return put_all(trial, key, text, strlen(text), -1, 1000, &feeding);
}

static enum bucket_end probe(struct trial *trial, struct bucket_result *result)
{
    struct answer answer = {.trial = trial};
    bucket_probe(trial->bucket, on_result, &answer);
    wait_for(trial, &answer);
    *result = answer.result;
    return result->end;
}

static void assert_content(const struct trial *trial, const char *key,
                           const char *bytes, size_t len)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", trial->root, key);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *there = malloc(len + 1);
    struct stat stat;
    assert_int_equal(fread(there, 1, len + 1, file), len);
    assert_int_equal(memcmp(there, bytes, len), 0);
    assert_int_equal(fstat(fileno(file), &stat), 0);
    assert_int_equal(stat.st_mode & 0777, 0644); /* others may read it */
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

static void store_as_given(void)
{
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

TEST_CASE(put__sizes_and_pieces__are_stored_as_given)
{
    each_way(store_as_given);
}

static void replace_nothing(void)
{
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

TEST_CASE(put__name_taken__replaces_nothing)
{
    each_way(replace_nothing);
}

static void write_twice(void)
{
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

TEST_CASE(put__two_writers_of_one_name__one_wins_whole)
{
    each_way(write_twice);
}

TEST_CASE(put__bad_names__are_refused)
{
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

TEST_CASE(put__link_in_the_way__leads_nowhere)
{
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

static void cancel_anywhere(void)
{
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

TEST_CASE(put__cancelled_at_any_point__leaves_nothing)
{
    each_way(cancel_anywhere);
}

static void announce_another(void)
{
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

TEST_CASE(put__other_length_than_announced__fails)
{
    each_way(announce_another);
}

TEST_CASE(put__more_than_puts_max__is_transient)
{
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

static void fill_the_disk(void)
{
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

TEST_CASE(put__disk_full_at_any_level__is_unusable_and_recovers)
{
    each_way(fill_the_disk);
}

TEST_CASE(put__little_room_is_left__is_stored_and_says_so)
{
    struct trial trial;
    struct feeding feeding;
    size_t len = 0;
    char *bytes = video_of(5 * MIB, &len);
    begin(&trial, 70 * MIB);
    assert_int_equal(
        put_all(&trial, "a.mp4", bytes, len, (int64_t)len, 16384, &feeding),
        BUCKET_DONE);
    assert_false(feeding.answer.result.nearly_full);
    assert_int_equal(
        put_all(&trial, "b.mp4", bytes, len, (int64_t)len, 16384, &feeding),
        BUCKET_DONE);
    assert_true(feeding.answer.result.nearly_full);
    assert_non_null(strstr(feeding.answer.result.why, "MiB free"));
    assert_content(&trial, "b.mp4", bytes, len);
    free(bytes);
    end(&trial);
}

TEST_CASE(probe__states_of_the_store__are_told)
{
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

TEST_CASE(check__what_is_no_whole_video__is_named)
{
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

TEST_CASE(look__by_name__length_or_missing)
{
    struct trial trial;
    begin(&trial, 0);
    assert_int_equal(put_text(&trial, "n/0.mp4", "12345"), BUCKET_DONE);
    assert_int_equal(look(&trial, "n/0.mp4").end, BUCKET_DONE);
    assert_int_equal(look(&trial, "n/0.mp4").bytes, 5);
    assert_int_equal(look(&trial, "n/1.mp4").end, BUCKET_MISSING);
    assert_int_equal(look(&trial, "n/0.mp4/x").end, BUCKET_MISSING);
    assert_int_equal(look(&trial, "n").end, BUCKET_MISSING);
    assert_int_equal(look(&trial, "../n").end, BUCKET_MISSING);
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", trial.root);
    assert_int_equal(system(command), 0);
    assert_int_equal(look(&trial, "n/0.mp4").end, BUCKET_UNUSABLE);
    end(&trial);
}

TEST_CASE(walk__all_that_is_visible__in_parts)
{
    struct trial trial;
    struct seen seen;
    char command[600];
    begin(&trial, 0);
    assert_int_equal(walk(&trial, &seen).end, BUCKET_DONE);
    assert_int_equal(seen.len, 0);
    assert_int_equal(put_text(&trial, "t/0.mp4", "12345"), BUCKET_DONE);
    snprintf(command, sizeof command,
             "mkdir -p %s/a/b/0 %s/a/b/1 %s/a/b/2 && ln -s / %s/a/away && "
             "touch %s/.incoming/1-1-00000000.part",
             trial.root, trial.root, trial.root, trial.root, trial.root);
    assert_int_equal(system(command), 0);
    char folder[100];
    snprintf(folder, sizeof folder, "%s/a/b", trial.root);
    litter(folder, 2500);
    assert_int_equal(walk(&trial, &seen).end, BUCKET_DONE);
    assert_int_equal(seen.len, 2501);
    assert_int_equal(seen.bytes, 2499 * 3 + 7 + 5);
    assert_int_equal(seen.most, BUCKET_OBJECTS_MAX);
    assert_string_equal(seen.key, "a/b/0/0");
    snprintf(command, sizeof command, "rm -rf '%s'", trial.root);
    assert_int_equal(system(command), 0);
    assert_int_equal(walk(&trial, &seen).end, BUCKET_UNUSABLE);
    end(&trial);
}

static bool is_swept(const struct trial *trial)
{
    return incoming(trial) == 1;
}

static void sweep_by_a_clock(time_t clock_wrong_s)
{
    struct trial trial;
    wrong_s = clock_wrong_s;
    begin(&trial, 0);
    assert_int_equal(put_text(&trial, "s/0.mp4", "x"), BUCKET_DONE);
    const char *const names[] = {"1-1-0123abcd.part", "1-2-0123abce.part"};
    for (int i = 0; i < 2; i++) {
        char path[100];
        snprintf(path, sizeof path, "%s/.incoming/%s", trial.root, names[i]);
        int fd = open(path, O_CREAT | O_WRONLY, 0600);
        assert_true(fd >= 0);
        close(fd);
        const time_t then = __real_time(NULL) - 7200;
        struct utimbuf old = {then, then};
        if (i == 0) {
            assert_int_equal(utime(path, &old), 0);
        }
    }
    assert_int_equal(incoming(&trial), 2);
    bucket_sweep(trial.bucket, "{request_id}/{index}", 3600000);
    for (int i = 0; i < 6000 && !is_swept(&trial); i++) {
        struct bucket_result result;
        (void)check(&trial, "s/0.mp4", &result); /* turns the loop */
        (void)usleep(5000);
    }
    assert_true(is_swept(&trial));
    assert_true(exists(&trial, ".incoming/1-2-0123abce.part"));
    assert_true(exists(&trial, "s/0.mp4"));
    end(&trial);
    wrong_s = 0;
}

TEST_CASE(sweep__old_files_of_the_dead__are_removed)
{
    sweep_by_a_clock(0);
}

/** Files bear the time of who keeps them, or of their writers' machines. */
TEST_CASE(sweep__our_clock_is_ahead__takes_no_file_of_the_living)
{
    sweep_by_a_clock(36000);
}

TEST_CASE(sweep__our_clock_is_behind__takes_those_of_the_dead)
{
    sweep_by_a_clock(-36000);
}

TEST_CASE(uri__odd_bytes__are_encoded)
{
    struct err err = {0};
    struct loop *loop = loop_open(&err);
    struct bucket *bucket = bucket_open(loop, STR("file:///tmp/a%20b%25/"), 1,
                                        (int64_t)MIB, NULL, &err);
    assert_non_null(bucket);
    char uri[200];
    bucket_uri(bucket, STR("t/2026/x y#?%.mp4"), uri, sizeof uri);
    assert_string_equal(uri, "file:///tmp/a%20b%25/t/2026/x%20y%23%3F%25.mp4");
    assert_string_equal(bucket_name(bucket), "file:///tmp/a%20b%25");
    bucket_close(bucket);
    assert_null(bucket_open(loop, STR("ftp://x"), 1, 1, NULL, &err));
    assert_int_equal(err.kind, ERR_PERMANENT);
    loop_close(loop);
}

TEST_CASE(check__a_film__says_what_it_is)
{
    struct trial trial;
    struct feeding feeding;
    struct bucket_result result;
    static char bytes[FILM_BYTES_MAX];
    const size_t len = film_read("plain.mp4", bytes);
    begin(&trial, 0);
    assert_int_equal(put_all(&trial, "m/0.mp4", bytes, len, -1, 1000, &feeding),
                     BUCKET_DONE);
    assert_int_equal(check(&trial, "m/0.mp4", &result), BUCKET_DONE);
    assert_null(result.fault);
    assert_int_equal(result.media.width, 64);
    assert_int_equal(result.media.duration_ms, 1000);
    assert_string_equal(result.media.codecs[1], "mp4a.40.2");
    end(&trial);
}

TESTS_RUN(NULL, NULL)
