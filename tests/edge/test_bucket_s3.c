/* tests/run: s3 raced */
#include "edge/s3_trial.h"

#include "edge/bucket_walk.h"
#include "lib/film.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>
#include <sys/xattr.h>

/* Against a server that checks every signature; tests/lib/servers.sh starts it:
 * TEST_S3_ENDPOINT (http), TEST_S3_TLS_ENDPOINT and TEST_S3_CA (https),
 * TEST_S3_KEY, TEST_S3_SECRET, TEST_S3_BUCKET, TEST_S3_FOLDER (its data). */

static void begin_at(struct trial *trial, const char *endpoint,
                     const char *bucket, const char *options)
{
    setenv("AWS_ACCESS_KEY_ID", env("TEST_S3_KEY"), 1);
    setenv("AWS_SECRET_ACCESS_KEY", env("TEST_S3_SECRET"), 1);
    begin_with(trial, endpoint, bucket, options);
}

static void begin(struct trial *trial)
{
    begin_at(trial, env("TEST_S3_ENDPOINT"), env("TEST_S3_BUCKET"), "");
}

static void begin_tls(struct trial *trial, const char *more)
{
    char options[300];
    snprintf(options, sizeof options, "&ca=%s%s", env("TEST_S3_CA"), more);
    begin_at(trial, env("TEST_S3_TLS_ENDPOINT"), env("TEST_S3_BUCKET"),
             options);
}

/** Whether versitygw's folder of an open upload's key is this process's: the
 * bucket is shared with whatever runs beside it. */
static bool is_ours(const char *folder)
{
    char key[300] = "";
    char ours[40];
    snprintf(ours, sizeof ours, "p-%d-", (int)getpid());
    return getxattr(folder, "user.objname", key, sizeof key - 1) > 0 &&
           strncmp(key, ours, strlen(ours)) == 0;
}

static int entries(const char *folder)
{
    int count = 0;
    DIR *open = opendir(folder);
    for (struct dirent *e = open ? readdir(open) : NULL; e; e = readdir(open)) {
        count += e->d_name[0] != '.';
    }
    if (open) {
        closedir(open);
    }
    return count;
}

/** Uploads in parts that the server still holds of our keys. */
static int uploads_left(void)
{
    char folder[400];
    char key[700];
    int count = 0;
    snprintf(folder, sizeof folder, "%s/%s/.sgwtmp/multipart",
             env("TEST_S3_FOLDER"), env("TEST_S3_BUCKET"));
    DIR *open = opendir(folder);
    for (struct dirent *e = open ? readdir(open) : NULL; e; e = readdir(open)) {
        snprintf(key, sizeof key, "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.' && is_ours(key)) {
            count += entries(key);
        }
    }
    if (open) {
        closedir(open);
    }
    return count;
}

/* ---- whole objects ---- */

static const size_t sizes[] = {
    33,        1000,          CHUNK - 1,     CHUNK,        CHUNK + 1,
    2 * CHUNK, 2 * CHUNK + 7, 5 * CHUNK - 1, 3 * MIB + 11,
};

static void put_sizes(struct trial *trial, bool known)
{
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char key[40];
        snprintf(key, sizeof key, "a/%zu-%d.mp4", sizes[i], known);
        char *bytes = video_of(sizes[i]);
        struct bucket_result result =
            put_whole(trial, key, bytes, sizes[i], known);
        assert_end(&result, BUCKET_DONE);
        assert_int_equal(result.bytes, sizes[i]);
        assert_stored(trial, key, bytes, sizes[i]);
        free(bytes);
    }
}

TEST_CASE(bucket_put__known_length__whole_under_its_name)
{
    struct trial trial;
    begin(&trial);
    put_sizes(&trial, true);
    end(&trial);
}

TEST_CASE(bucket_put__unknown_length__whole_under_its_name)
{
    struct trial trial;
    begin(&trial);
    put_sizes(&trial, false);
    end(&trial);
}

TEST_CASE(bucket_put__over_tls__whole_under_its_name)
{
    struct trial trial;
    begin_tls(&trial, "");
    put_sizes(&trial, true);
    end(&trial);
}

TEST_CASE(bucket_put__without_checksum__whole_under_its_name)
{
    struct trial trial;
    begin_tls(&trial, "&checksum=0");
    put_sizes(&trial, true);
    put_sizes(&trial, false);
    end(&trial);
    begin_at(&trial, env("TEST_S3_ENDPOINT"), env("TEST_S3_BUCKET"),
             "&checksum=0");
    put_sizes(&trial, true);
    end(&trial);
}

TEST_CASE(bucket_put__several_parts__whole_and_no_upload_left)
{
    struct trial trial;
    begin(&trial);
    const size_t lengths[] = {8 * MIB, 8 * MIB + 1, 16 * MIB, 20 * MIB + 5};
    for (size_t i = 0; i < 4; i++) {
        char key[40];
        snprintf(key, sizeof key, "parts-%zu.mp4", lengths[i]);
        char *bytes = video_of(lengths[i]);
        struct bucket_result result =
            put_whole(&trial, key, bytes, lengths[i], false);
        assert_end(&result, BUCKET_DONE);
        assert_stored(&trial, key, bytes, lengths[i]);
        result = put_whole(&trial, key, bytes, lengths[i], false);
        assert_end(&result, BUCKET_EXISTS);
        free(bytes);
    }
    end(&trial);
    assert_int_equal(uploads_left(), 0);
}

static void on_room_of_another(void *context)
{
    (void)context;
}

/** Another process dies in the middle of an upload in parts. */
static void leave_an_upload(struct trial *trial, const char *key)
{
    int left = uploads_left();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char url[600];
        struct err err = {0};
        struct loop *loop = loop_open(&err);
        snprintf(url, sizeof url, "s3://%s/%s?endpoint=%s",
                 env("TEST_S3_BUCKET"), trial->prefix, env("TEST_S3_ENDPOINT"));
        struct bucket *bucket =
            bucket_open(loop, str_of(url), 8, 512 * (int64_t)MIB, NULL, &err);
        char *bytes = video_of(12 * MIB);
        struct put *put = bucket_put(bucket, str_of(key), -1,
                                     on_room_of_another, NULL, NULL, &err);
        (void)put_write(put, bytes, 12 * MIB);
        loop_run(loop); /* until it is killed */
        _exit(1);
    }
    for (int i = 0; i < 3000 && uploads_left() == left; i++) {
        usleep(20000);
    }
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(uploads_left(), left + 1);
}

static void on_look(void *context)
{
    loop_stop(context);
}

static void until_no_upload_is_left(struct trial *trial)
{
    struct loop_timer *timer =
        loop_timer_new(trial->loop, on_look, trial->loop);
    for (int i = 0; i < 1200 && uploads_left() > 0; i++) {
        loop_timer_set(timer, 50);
        loop_run(trial->loop);
    }
    loop_timer_free(timer);
    assert_int_equal(uploads_left(), 0);
}

TEST_CASE(bucket_put__anothers_upload_of_the_key__goes_too)
{
    struct trial trial;
    begin(&trial);
    leave_an_upload(&trial, "twice.mp4");
    leave_an_upload(&trial, "twice.mp4");
    char *bytes = video_of(9 * MIB);
    struct bucket_result result =
        put_whole(&trial, "twice.mp4", bytes, 9 * MIB, false);
    assert_end(&result, BUCKET_DONE);
    assert_stored(&trial, "twice.mp4", bytes, 9 * MIB);
    until_no_upload_is_left(&trial);
    free(bytes);
    end(&trial);
}

TEST_CASE(bucket_forget__a_dead_ones_upload__aborted)
{
    struct trial trial;
    begin(&trial);
    leave_an_upload(&trial, "dead.mp4");
    struct answer answer = {.trial = &trial};
    assert_true(
        bucket_forget(trial.bucket, STR("other.mp4"), on_result, &answer));
    wait_for(&trial, &answer);
    assert_end(&answer.result, BUCKET_DONE);
    assert_int_equal(uploads_left(), 1);
    assert_true(
        bucket_forget(trial.bucket, STR("dead.mp4"), on_result, &answer));
    wait_for(&trial, &answer);
    assert_end(&answer.result, BUCKET_DONE);
    assert_int_equal(uploads_left(), 0);
    end(&trial);
}

TEST_CASE(bucket_put__large_and_fast__caller_waits)
{
    struct trial trial;
    begin(&trial);
    char *bytes = video_of(60 * MIB);
    char hash[65];
    struct err err = {0};
    hash_of(bytes, 60 * MIB, hash);
    struct feeding feeding = {.answer = {.trial = &trial},
                              .bytes = bytes,
                              .len = 60 * MIB,
                              .piece = 400000,
                              .stop = SIZE_MAX,
                              .sha256 = hash};
    feeding.put = bucket_put(trial.bucket, STR("big.mp4"), 60 * (int64_t)MIB,
                             feed, on_fed, &feeding, &err);
    assert_non_null(feeding.put);
    feed(&feeding);
    wait_for(&trial, &feeding.answer);
    assert_end(&feeding.answer.result, BUCKET_DONE);
    assert_true(feeding.waits > 50);
    assert_stored(&trial, "big.mp4", bytes, 60 * MIB);
    free(bytes);
    end(&trial);
}

TEST_CASE(bucket_put__many_at_once__each_whole)
{
    struct trial trial;
    begin(&trial);
    char *bytes = video_of(10 * MIB);
    char hash[65];
    struct feeding feedings[8];
    struct err err = {0};
    hash_of(bytes, 10 * MIB, hash);
    for (size_t i = 0; i < 8; i++) {
        char key[40];
        snprintf(key, sizeof key, "many/%zu.mp4", i);
        feedings[i] = (struct feeding){.answer = {.trial = &trial},
                                       .bytes = bytes,
                                       .len = 10 * MIB,
                                       .piece = 90000,
                                       .stop = SIZE_MAX,
                                       .sha256 = hash};
        feedings[i].put = bucket_put(trial.bucket, str_of(key),
                                     i % 2 ? -1 : 10 * (int64_t)MIB, feed,
                                     on_fed, &feedings[i], &err);
        assert_non_null(feedings[i].put);
        feed(&feedings[i]);
    }
    for (size_t i = 0; i < 8; i++) {
        wait_for(&trial, &feedings[i].answer);
        assert_end(&feedings[i].answer.result, BUCKET_DONE);
    }
    assert_stored(&trial, "many/7.mp4", bytes, 10 * MIB);
    free(bytes);
    end(&trial);
}

/* ---- nothing torn, nothing replaced ---- */

TEST_CASE(bucket_put__name_taken__exists_and_kept)
{
    struct trial trial;
    begin(&trial);
    char *first = video_of(CHUNK + 5);
    char *second = video_of(3 * CHUNK);
    struct bucket_result result =
        put_whole(&trial, "a.mp4", first, CHUNK + 5, true);
    assert_end(&result, BUCKET_DONE);
    result = put_whole(&trial, "a.mp4", second, 3 * CHUNK, true);
    assert_end(&result, BUCKET_EXISTS);
    result = put_whole(&trial, "a.mp4", second, 3 * CHUNK, false);
    assert_end(&result, BUCKET_EXISTS);
    assert_stored(&trial, "a.mp4", first, CHUNK + 5);
    free(first);
    free(second);
    end(&trial);
}

/** The store may say so before it has read what comes. */
TEST_CASE(bucket_put__large_and_name_taken__exists)
{
    struct trial trial;
    begin(&trial);
    char *bytes = video_of(13 * MIB);
    for (int i = 0; i < 4; i++) {
        struct bucket_result result =
            put_whole(&trial, "a.mp4", bytes, (size_t)(4 + 3 * i) * MIB, true);
        assert_end(&result, i ? BUCKET_EXISTS : BUCKET_DONE);
        struct bucket_result there = check(&trial, "a.mp4");
        assert_end(&there, BUCKET_DONE);
        assert_int_equal(there.bytes, 4 * MIB);
    }
    free(bytes);
    end(&trial);
}

static void assert_missing(struct trial *trial, const char *key)
{
    struct bucket_result there = check(trial, key);
    assert_end(&there, BUCKET_MISSING);
}

TEST_CASE(bucket_put__cancelled__nothing_is_there)
{
    struct trial trial;
    begin(&trial);
    char *bytes = video_of(20 * MIB);
    const size_t stops[] = {0, 1, 4 * MIB, 10 * MIB, 20 * MIB};
    for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++) {
        struct bucket_result result = put_as(&trial, "c.mp4", bytes, 20 * MIB,
                                             20 * (int64_t)MIB, stops[i], NULL);
        assert_end(&result, BUCKET_CANCELLED);
        assert_missing(&trial, "c.mp4");
        result = put_as(&trial, "d.mp4", bytes, 20 * MIB, -1, stops[i], NULL);
        assert_end(&result, BUCKET_CANCELLED);
        assert_missing(&trial, "d.mp4");
    }
    free(bytes);
    end(&trial);
    assert_int_equal(uploads_left(), 0);
}

TEST_CASE(bucket_put__other_length__nothing_is_there)
{
    struct trial trial;
    begin(&trial);
    char *bytes = video_of(MIB);
    struct bucket_result result =
        put_as(&trial, "s.mp4", bytes, MIB, (int64_t)MIB + 1, SIZE_MAX, NULL);
    assert_end(&result, BUCKET_FAILED);
    assert_missing(&trial, "s.mp4");
    result =
        put_as(&trial, "s.mp4", bytes, MIB, (int64_t)MIB - 1, SIZE_MAX, NULL);
    assert_end(&result, BUCKET_FAILED);
    assert_missing(&trial, "s.mp4");
    free(bytes);
    end(&trial);
}

TEST_CASE(bucket_put__other_hash__the_store_refuses)
{
    struct trial trial;
    const char *wrong =
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for (int tls = 0; tls < 2; tls++) {
        if (tls) {
            begin_tls(&trial, "");
        } else {
            begin(&trial);
        }
        char *bytes = video_of(MIB);
        struct bucket_result result =
            put_as(&trial, "h.mp4", bytes, MIB, (int64_t)MIB, SIZE_MAX, wrong);
        assert_end(&result, BUCKET_FAILED);
        assert_missing(&trial, "h.mp4");
        free(bytes);
        end(&trial);
    }
}

TEST_CASE(bucket_check__no_video__says_what_is_wrong)
{
    struct trial trial;
    begin(&trial);
    char *bytes = video_of(1000);
    bytes[4] = 'x';
    struct bucket_result result = put_whole(&trial, "n.mp4", bytes, 1000, true);
    assert_end(&result, BUCKET_DONE);
    result = check(&trial, "n.mp4");
    assert_end(&result, BUCKET_DONE);
    assert_non_null(result.fault);
    free(bytes);
    end(&trial);
}

TEST_CASE(bucket_check__a_film__says_what_it_is)
{
    struct trial trial;
    static char bytes[FILM_BYTES_MAX];
    const size_t len = film_read("plain.mp4", bytes);
    begin(&trial);
    struct bucket_result result = put_whole(&trial, "m.mp4", bytes, len, true);
    assert_end(&result, BUCKET_DONE);
    result = check(&trial, "m.mp4");
    assert_end(&result, BUCKET_DONE);
    assert_int_equal(result.media.width, 64);
    assert_int_equal(result.media.duration_ms, 1000);
    assert_string_equal(result.media.codecs[1], "mp4a.40.2");
    end(&trial);
}

/* ---- what is wrong with the store ---- */

TEST_CASE(bucket_probe__usable__done_and_nothing_left)
{
    struct trial trial;
    begin(&trial);
    struct bucket_result result = probe(&trial);
    assert_end(&result, BUCKET_DONE);
    assert_string_equal(result.why, "");
    char path[500];
    snprintf(path, sizeof path, "%s/%s/%s", env("TEST_S3_FOLDER"),
             env("TEST_S3_BUCKET"), trial.prefix);
    assert_int_equal(access(path, F_OK), -1);
    end(&trial);
}

TEST_CASE(bucket_probe__faults__unusable_in_words)
{
    struct trial trial;
    begin(&trial);
    setenv("AWS_SECRET_ACCESS_KEY", "another", 1);
    struct bucket_result result = probe(&trial);
    assert_end(&result, BUCKET_UNUSABLE);
    assert_non_null(strstr(result.why, "SignatureDoesNotMatch"));
    assert_null(strstr(result.why, "another"));
    end(&trial);

    begin(&trial);
    setenv("AWS_ACCESS_KEY_ID", "nobody", 1);
    result = probe(&trial);
    assert_end(&result, BUCKET_UNUSABLE);
    assert_non_null(strstr(result.why, "S3 answered 40"));
    end(&trial);

    begin_at(&trial, env("TEST_S3_ENDPOINT"), "no-such-bucket", "");
    result = probe(&trial);
    assert_end(&result, BUCKET_UNUSABLE);
    assert_non_null(strstr(result.why, "NoSuchBucket"));
    end(&trial);

    begin_at(&trial, "http://127.0.0.1:1", env("TEST_S3_BUCKET"), "");
    result = probe(&trial);
    assert_end(&result, BUCKET_UNUSABLE);
    assert_non_null(strstr(result.why, "can't be reached"));
    end(&trial);

    begin_at(&trial, env("TEST_S3_TLS_ENDPOINT"), env("TEST_S3_BUCKET"), "");
    result = probe(&trial);
    assert_end(&result, BUCKET_UNUSABLE); /* a certificate of nobody we know */
    end(&trial);

    begin(&trial);
    unsetenv("AWS_ACCESS_KEY_ID");
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    setenv("HOME", "/nonexistent", 1);
    result = probe(&trial);
    assert_end(&result, BUCKET_UNUSABLE);
    assert_non_null(strstr(result.why, "no credentials"));
    end(&trial);
}

TEST_CASE(bucket_put__wrong_secret__unusable_before_the_end)
{
    struct trial trial;
    begin(&trial);
    setenv("AWS_SECRET_ACCESS_KEY", "another", 1);
    char *bytes = video_of(2 * MIB);
    struct bucket_result result =
        put_whole(&trial, "w.mp4", bytes, 2 * MIB, true);
    assert_end(&result, BUCKET_UNUSABLE);
    free(bytes);
    end(&trial);
}

/* ---- names ---- */

TEST_CASE(bucket_uri__a_key__with_prefix_and_without_options)
{
    struct trial trial;
    char uri[200];
    char wanted[200];
    begin(&trial);
    bucket_uri(trial.bucket, STR("a/b=1+2/0.mp4"), uri, sizeof uri);
    snprintf(wanted, sizeof wanted, "s3://%s/%s/a/b=1+2/0.mp4",
             env("TEST_S3_BUCKET"), trial.prefix);
    assert_string_equal(uri, wanted);
    snprintf(wanted, sizeof wanted, "s3://%s/%s?endpoint=%s",
             env("TEST_S3_BUCKET"), trial.prefix, env("TEST_S3_ENDPOINT"));
    assert_string_equal(bucket_name(trial.bucket), wanted);
    char *bytes = video_of(100);
    struct bucket_result result =
        put_whole(&trial, "a/b=1+2/0.mp4", bytes, 100, true);
    assert_end(&result, BUCKET_DONE);
    assert_stored(&trial, "a/b=1+2/0.mp4", bytes, 100);
    free(bytes);
    end(&trial);
}

TEST_CASE(bucket_look__by_name__length_or_missing)
{
    struct trial trial;
    begin(&trial);
    char *bytes = video_of(1000);
    struct bucket_result result =
        put_whole(&trial, "a/0.mp4", bytes, 1000, true);
    assert_end(&result, BUCKET_DONE);
    result = look(&trial, "a/0.mp4");
    assert_end(&result, BUCKET_DONE);
    assert_int_equal(result.bytes, 1000);
    result = look(&trial, "a/1.mp4");
    assert_end(&result, BUCKET_MISSING);
    free(bytes);
    end(&trial);
}

TEST_CASE(bucket_walk__more_than_a_page__all_below_the_prefix)
{
    struct trial trial;
    struct seen seen;
    char folder[400];
    char command[3000];
    begin(&trial);
    struct bucket_result result = walk(&trial, &seen);
    assert_end(&result, BUCKET_DONE);
    assert_int_equal(seen.len, 0);
    snprintf(folder, sizeof folder, "%s/%s/%s/a", env("TEST_S3_FOLDER"),
             env("TEST_S3_BUCKET"), trial.prefix);
    snprintf(command, sizeof command,
             "mkdir -p '%s/0' '%s/1' '%s/2' && cp -r '%s' '%s/../../%s-other'",
             folder, folder, folder, folder, folder, trial.prefix);
    assert_int_equal(system(command), 0);
    litter(folder, 1100);
    result = walk(&trial, &seen);
    assert_end(&result, BUCKET_DONE);
    assert_int_equal(seen.len, 1100);
    assert_int_equal(seen.bytes, 1099 * 3 + 7);
    assert_string_equal(seen.key, "a/0/0");
    snprintf(command, sizeof command, "rm -rf '%s/../../%s-other' '%s'", folder,
             trial.prefix, folder);
    assert_int_equal(system(command), 0);
    end(&trial);
}

TESTS_RUN(NULL, NULL)
