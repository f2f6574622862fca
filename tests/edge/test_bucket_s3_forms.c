/** What stores take and what not: tests/lib/strict_s3.py plays them. */

#include "s3_strict.h"

/** A video of a known and one of an unknown length, small and in parts. */
static void store_all(struct trial *trial, size_t len)
{
    static const struct {
        const char *key;
        size_t len;
        bool known;
    } rows[] = {
        {"known.mp4", 300000, true},
        {"small.mp4", 300000, false},
        {"parts.mp4", 9 * MIB, false},
    };
    for (size_t i = 0; i < len; i++) {
        char *bytes = video_of(rows[i].len);
        struct bucket_result result =
            put_whole(trial, rows[i].key, bytes, rows[i].len, rows[i].known);
        assert_end(&result, BUCKET_DONE);
        assert_stored(trial, rows[i].key, bytes, rows[i].len);
        bytes[40]++;
        result =
            put_whole(trial, rows[i].key, bytes, rows[i].len, rows[i].known);
        assert_end(&result, BUCKET_EXISTS);
        bytes[40]--;
        assert_stored(trial, rows[i].key, bytes, rows[i].len);
        free(bytes);
    }
}

/** What a store lacks, what the probe says of it; how puts go from then on. */
static const struct row {
    const char *refuses;
    const char *said; /* "": all is taken */
    const char *body; /* the payload of the PUT that stored known.mp4 */
    bool guarded;
} rows[] = {
    {"", "", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", true},
    {"frames=501", "no body in frames", "UNSIGNED-PAYLOAD", true},
    {"frames=InvalidArgument", "no body in frames", "UNSIGNED-PAYLOAD", true},
    {"frames=XAmzContentSHA256Mismatch", "no body in frames",
     "UNSIGNED-PAYLOAD", true},
    {"frames=SignatureDoesNotMatch", "no body in frames", "UNSIGNED-PAYLOAD",
     true},
    {"frames=keep", "no body in frames", "UNSIGNED-PAYLOAD", true},
    {"frames=501 plain=InvalidRequest", "no body that isn't signed", "", true},
    {"frames=InvalidRequest sums=InvalidRequest", "no checksum",
     "UNSIGNED-PAYLOAD", true},
    {"conditions=501 ends=501", "refuses If-None-Match",
     "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", false},
    {"conditions=ignore ends=ignore", "ignores If-None-Match",
     "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", false},
    {"ends=501", "If-None-Match for uploads in parts",
     "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", true},
    {"frames=501 conditions=InvalidArgument ends=InvalidArgument sums=501",
     "no checksum", "UNSIGNED-PAYLOAD", false},
};

static void assert_went(const struct strict *strict, const struct row *row)
{
    char *log = ask(strict, "log", "");
    char *line = strstr(log, "/known.mp4 200 ");
    assert_non_null(line);
    line[strcspn(line, "\n")] = '\0';
    assert_non_null(strstr(line, row->body));
    assert_int_equal(strstr(line, " guarded") != NULL, row->guarded);
}

TEST_CASE(probe__lacks_something__found_said_and_done_without)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct strict strict;
        struct trial trial;
        print_message("# refuses %s\n", rows[i].refuses);
        strict_start(&strict, "", rows[i].refuses);
        begin_strict(&trial, &strict, "", "");
        struct bucket_result result = probe(&trial);
        assert_end(&result, BUCKET_DONE);
        if (!strstr(result.why, rows[i].said) ||
            (rows[i].said[0] == '\0') != (result.why[0] == '\0')) {
            fail_msg("said: %s", result.why);
        }
        assert_string_equal(ask(&strict, "objects", ""), "");
        assert_string_equal(ask(&strict, "uploads", ""), "");
        ask(&strict, "forget", "");
        bool parts = i == 0 || strstr(rows[i].refuses, "ends") ||
                     strstr(rows[i].refuses, "sums");
        store_all(&trial, parts ? 3 : 2);
        assert_went(&strict, &rows[i]);
        assert_null(strstr(ask(&strict, "objects", ""), "aws-chunked"));
        end(&trial);
        strict_stop(&strict);
    }
}

/** The worker was there before the store changed its mind, or never probed. */
TEST_CASE(put__form_is_refused__goes_in_another_next_time)
{
    static const char *const refusals[] = {
        "frames=501", "frames=InvalidArgument",
        "frames=XAmzContentSHA256Mismatch", "frames=early"};
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct strict strict;
        struct trial trial;
        print_message("# %s\n", refusals[i]);
        strict_start(&strict, "", refusals[i]);
        begin_strict(&trial, &strict, "", "");
        char *bytes = video_of(300000);
        struct bucket_result result = {.end = BUCKET_FAILED};
        int tries = 0;
        while (result.end == BUCKET_FAILED && ++tries < 5) {
            result = put_whole(&trial, "a.mp4", bytes, 300000, true);
        }
        assert_end(&result, BUCKET_DONE);
        bytes[50]++;
        result = put_whole(&trial, "a.mp4", bytes, 300000, true);
        assert_end(&result, BUCKET_EXISTS);
        assert_int_equal(count(ask(&strict, "log", ""),
                               "a.mp4 200 UNSIGNED-PAYLOAD guarded"),
                         1);
        free(bytes);
        end(&trial);
        strict_stop(&strict);
    }
}

TEST_CASE(put__one_odd_answer__is_not_for_good)
{
    struct strict strict;
    struct trial trial;
    strict_start(&strict, "", "frames=once");
    begin_strict(&trial, &strict, "", "");
    char *bytes = video_of(300000);
    struct bucket_result result =
        put_whole(&trial, "a.mp4", bytes, 300000, true);
    assert_end(&result, BUCKET_FAILED);
    result = put_whole(&trial, "a.mp4", bytes, 300000, true);
    assert_end(&result, BUCKET_DONE);
    assert_non_null(strstr(ask(&strict, "log", ""),
                           "a.mp4 200 STREAMING-AWS4-HMAC-SHA256-PAYLOAD-"
                           "TRAILER guarded"));

    /* Refused for a while: the next probe finds it as it was. */
    ask(&strict, "refuse", "frames=501");
    result = probe(&trial);
    assert_non_null(strstr(result.why, "no body in frames"));
    ask(&strict, "refuse", "");
    result = probe(&trial);
    assert_end(&result, BUCKET_DONE);
    assert_string_equal(result.why, "");
    result = put_whole(&trial, "b.mp4", bytes, 300000, true);
    assert_end(&result, BUCKET_DONE);
    assert_non_null(strstr(ask(&strict, "log", ""), "b.mp4 200 STREAMING-"));
    free(bytes);
    end(&trial);
    strict_stop(&strict);
}

/** A probe's small object goes, videos don't: no loop without end. */
TEST_CASE(put__only_large_ones_refused__goes_in_another_form)
{
    struct strict strict;
    struct trial trial;
    strict_start(&strict, "", "large=XAmzContentSHA256Mismatch");
    begin_strict(&trial, &strict, "", "");
    char *bytes = video_of(300000);
    struct bucket_result result = {.end = BUCKET_FAILED};
    int tries = 0;
    while (result.end == BUCKET_FAILED && ++tries < 5) {
        result = put_whole(&trial, "a.mp4", bytes, 300000, true);
    }
    assert_end(&result, BUCKET_DONE);
    assert_stored(&trial, "a.mp4", bytes, 300000);
    free(bytes);
    end(&trial);
    strict_stop(&strict);
}

TEST_CASE(probe__cant_do_without__unusable_and_said)
{
    static const struct {
        const char *refuses;
        const char *said;
    } faults[] = {
        {"reading=AccessDenied", "can't be read back: S3 answered 403"},
        {"frames=501 plain=501 sums=501 conditions=501 parts=501", ""},
        {"frames=AccessDenied", "S3 answered 403 AccessDenied"},
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct strict strict;
        struct trial trial;
        strict_start(&strict, "", faults[i].refuses);
        begin_strict(&trial, &strict, "", "");
        struct bucket_result result = probe(&trial);
        if (faults[i].said[0]) {
            assert_end(&result, BUCKET_UNUSABLE);
            assert_non_null(strstr(result.why, faults[i].said));
        } else { /* one signed PUT is all that it takes, and will do */
            assert_end(&result, BUCKET_DONE);
            assert_non_null(strstr(result.why, "and is over 8 MiB"));
        }
        end(&trial);
        strict_stop(&strict);
    }
}

TEST_CASE(endpoint__has_a_path__it_is_kept_and_signed)
{
    struct strict strict;
    struct trial trial;
    strict_start(&strict, "/storage/v1/s3", "");
    begin_strict(&trial, &strict, "/storage/v1/s3/", "");
    struct bucket_result result = probe(&trial);
    assert_end(&result, BUCKET_DONE);
    assert_string_equal(result.why, "");
    store_all(&trial, 3);
    assert_non_null(
        strstr(ask(&strict, "log", ""), "PUT /storage/v1/s3/videos/p-"));
    end(&trial);
    strict_stop(&strict);
}

/** Others begin uploads in the same bucket; ours are known by their names. */
TEST_CASE(sweep__a_shared_bucket__takes_only_ours)
{
    struct strict strict;
    struct trial trial;
    char url[200];
    struct err err = {0};
    strict_start(&strict, "", "");
    begin_strict(&trial, &strict, "", "");
    bucket_close(trial.bucket);
    snprintf(url, sizeof url, "s3://videos?endpoint=%s", strict.url);
    trial.bucket = bucket_open(trial.loop, str_of(url), 8, MIB, NULL, &err);
    static const char *const theirs[] = {
        "backup/2026-11-22.tar", "default/2026/11/22/a b/0.mp4",
        "studio/2026/02/30/clip/0.mp4", "studio/2026/11/22/clip/0.mp4.tmp",
        ".pixverse/other"};
    static const char *const ours[] = {"studio-a/2026/11/22/clip.1/0.mp4",
                                       "default/2026/02/28/clip/2/11.mp4",
                                       ".pixverse-worker/probe-0a0b0c0d-3"};
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++) {
        ask(&strict, "upload", theirs[i]);
    }
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        ask(&strict, "upload", ours[i]);
    }
    bucket_sweep(trial.bucket,
                 "{tenant}/{yyyy}/{mm}/{dd}/{request_id}/{index}.mp4", 3600000);
    for (int i = 0; i < 400 && count(ask(&strict, "log", ""), "DELETE ") <
                                   sizeof ours / sizeof *ours;
         i++) {
        loop_timer_set(trial.limit, 30000);
        struct bucket_result result = check(&trial, "nothing.mp4");
        assert_int_equal(result.end, BUCKET_MISSING);
        (void)usleep(i < 100 ? 0 : 50000);
    }
    const char *left = ask(&strict, "uploads", "");
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++) {
        assert_non_null(strstr(left, theirs[i]));
    }
    assert_int_equal(count(left, "\n") + 1, sizeof theirs / sizeof *theirs);
    end(&trial);
    strict_stop(&strict);
}

/** Until nothing new was asked for a while: nobody awaits a sweep. */
static void sweep_whole(struct trial *trial, const struct strict *strict)
{
    size_t before = 0;
    bucket_sweep(trial->bucket,
                 "{tenant}/{yyyy}/{mm}/{dd}/{request_id}/{index}.mp4", 3600000);
    for (int i = 0, quiet = 0; i < 6000 && quiet < 25; i++) {
        struct bucket_result result = check(trial, "nothing.mp4");
        assert_int_equal(result.end, BUCKET_MISSING);
        const char *log = ask(strict, "log", "");
        const size_t now = count(log, "\n") - count(log, "nothing.mp4");
        quiet = now == before ? quiet + 1 : 0;
        before = now;
        (void)usleep(20000); /* what it asks may be answered late */
    }
}

#define OLD " 2013-05-24T00:00:00.000Z"
#define YOUNG " 2113-05-24T00:00:00.000Z"
#define PROBE_OF "p/.pixverse-worker/probe-"

/** What probes of killed workers left goes; what isn't that stays. */
TEST_CASE(sweep__objects_of_probes__the_old_ones_go_and_nothing_else)
{
    static const char *const theirs[] = {
        PROBE_OF "0a0b0c0d-1" YOUNG,
        PROBE_OF "0a0b0c0d" OLD,
        PROBE_OF "0a0b0c0d-" OLD,
        PROBE_OF "0A0b0c0d-3" OLD,
        PROBE_OF "0a0b0c0d-3.mp4" OLD,
        PROBE_OF "0a0b0c0d-12345678901" OLD,
        PROBE_OF "0a0b0c0d-x" OLD,
        PROBE_OF "ours" OLD,
        PROBE_OF "0a0b0c0d/3" OLD,
        "q/.pixverse-worker/probe-0a0b0c0d-3" OLD,
        "p/p/.pixverse-worker/probe-0a0b0c0d-3" OLD,
        ".pixverse-worker/probe-0a0b0c0d-3" OLD,
        "p/default/2026/11/22/clip/0.mp4" OLD};
    static const char *const ours[] = {
        PROBE_OF "0a0b0c0d-3" OLD, PROBE_OF "fffffff9-4294967295" OLD,
        PROBE_OF "00000000-1" OLD, PROBE_OF "0a0b0c0d-4" OLD};
    struct strict strict;
    struct trial trial;
    struct err err = {0};
    char url[200];
    strict_start(&strict, "", "deleting=AccessDenied");
    begin_strict(&trial, &strict, "", "");
    bucket_close(trial.bucket);
    snprintf(url, sizeof url, "s3://videos/p?endpoint=%s", strict.url);
    trial.bucket = bucket_open(trial.loop, str_of(url), 8, MIB, NULL, &err);
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++) {
        ask(&strict, "object", theirs[i]);
    }
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        ask(&strict, "object", ours[i]);
    }
    loop_timer_set(trial.limit, 60000);
    sweep_whole(&trial, &strict); /* a policy forbids it: asked once */
    assert_int_equal(count(ask(&strict, "log", ""), "DELETE "), 1);
    ask(&strict, "refuse", "");
    sweep_whole(&trial, &strict); /* and not again within the hour */
    assert_int_equal(count(ask(&strict, "log", ""), "DELETE "), 1);
    bucket_close(trial.bucket);
    trial.bucket = bucket_open(trial.loop, str_of(url), 8, MIB, NULL, &err);
    sweep_whole(&trial, &strict);
    const char *left = ask(&strict, "objects", "");
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++) {
        char name[100];
        snprintf(name, sizeof name, "%.*s ", (int)strcspn(theirs[i], " "),
                 theirs[i]);
        assert_non_null(strstr(left, name));
    }
    assert_int_equal(count(left, "\n") + 1, sizeof theirs / sizeof *theirs);
    end(&trial);
    strict_stop(&strict);
}

static void nobody_is_told(void *context, const struct bucket_result *result)
{
    (void)context;
    fail_msg("told after the end: %s", result->why);
}

static void on_probe_and_close(void *context)
{
    struct trial *trial = context;
    bucket_probe(trial->bucket, nobody_is_told, NULL);
    bucket_close(trial->bucket);
    trial->bucket = NULL;
}

static void on_stop(void *context)
{
    loop_stop(context);
}

/** What the probe had deferred for the end of the turn would find nothing. */
TEST_CASE(probe__closed_in_the_same_turn__is_forgotten)
{
    struct trial trial;
    begin_with(&trial, "http://127.0.0.1:9", "videos", "");
    struct loop_timer *now =
        loop_timer_new(trial.loop, on_probe_and_close, &trial);
    struct loop_timer *then = loop_timer_new(trial.loop, on_stop, trial.loop);
    loop_timer_set(now, 0);
    loop_timer_set(then, 20);
    loop_run(trial.loop);
    loop_timer_free(now);
    loop_timer_free(then);
    end(&trial);
}

TESTS_RUN(NULL, NULL)
