/* wraps: loop_work fs_journal_orders syscall */
#include "edge/bucket_calls.h"

/* Folders that are made before the video has come. */

static void stop_loop(void *context)
{
    loop_stop(context);
}

static void turn_until_made(struct trial *trial)
{
    struct loop_timer *timer =
        loop_timer_new(trial->loop, stop_loop, trial->loop);
    do {
        loop_timer_set(timer, 1);
        loop_run(trial->loop);
    } while (fs_of(trial)->expecting);
    loop_timer_free(timer);
}

/** Expects it, some time after what came before, and lets it be made. */
static void expect(struct trial *trial, const char *key)
{
    (void)usleep(20000);
    bucket_expect(trial->bucket, str_of(key));
    turn_until_made(trial);
}

static bool has(const struct trial *trial, const char *path)
{
    char text[200];
    snprintf(text, sizeof text, "%s/%s", trial->root, path);
    return access(text, F_OK) == 0;
}

TEST_CASE(put__was_expected__only_its_bytes_and_name_are_left)
{
    struct trial trial;
    memset(&plan, 0, sizeof plan);
    begin(&trial, 0);
    put_whole(&trial, "t/2026/01/a/0.mp4", 65536, 0);
    expect(&trial, "t/2026/01/b/0.mp4");
    assert_true(has(&trial, "t/2026/01/b"));
    memset(&plan, 0, sizeof plan);
    put_whole(&trial, "t/2026/01/b/0.mp4", 65536, 0);
    assert_int_equal(plan.made[CALL_MKDIRAT], 0);
    assert_int_equal(plan.made[CALL_OPENAT2], 1);
    assert_int_equal(plan.made[CALL_OPENAT], 2); /* .incoming, the file */
    assert_int_equal(plan.made[CALL_FDATASYNC], 1);
    assert_int_equal(plan.made[CALL_FSYNC], 1);
    end(&trial);
}

TEST_CASE(expect__nothing_comes_of_it__its_folder_goes)
{
    struct trial trial;
    struct feeding feeding;
    memset(&plan, 0, sizeof plan);
    begin(&trial, 100 * MIB);
    expect(&trial, "t/a/0.mp4");
    assert_true(has(&trial, "t/a"));
    expect(&trial, "t/b/0.mp4"); /* a may still come */
    assert_true(has(&trial, "t/a") && !has(&trial, "t/b"));
    fs_of(&trial)->made_ms -= 120000; /* it never came */
    expect(&trial, "t/b/0.mp4");
    assert_false(has(&trial, "t/a"));
    assert_true(has(&trial, "t/b"));
    assert_int_equal(put_all(&trial, "t/b/0.mp4", "x", 1, 2, 1, &feeding),
                     BUCKET_FAILED);
    assert_false(has(&trial, "t/b"));
    expect(&trial, "t/c/0.mp4");
    assert_int_equal(put_all(&trial, "t/c/0.mp4", "x", 1, 1, 1, &feeding),
                     BUCKET_DONE);
    expect(&trial, "t/c/1.mp4"); /* there already: not its own */
    assert_int_equal(put_all(&trial, "t/c/1.mp4", "x", 1, 2, 1, &feeding),
                     BUCKET_FAILED);
    assert_true(has(&trial, "t/c/0.mp4"));
    expect(&trial, "t/d/0.mp4"); /* the last word, when all is closed */
    end(&trial);
}

/** Its bytes are here before its folder is, or never come. */
TEST_CASE(expect__its_put_comes_at_once__nobody_waits_for_it)
{
    struct trial trial;
    memset(&plan, 0, sizeof plan);
    begin(&trial, 100 * MIB);
    for (int i = 0; i < 4; i++) {
        char key[40];
        struct err err;
        struct answer answer = {.trial = &trial};
        snprintf(key, sizeof key, "t/%d/0.mp4", i);
        (void)usleep(20000);
        bucket_expect(trial.bucket, str_of(key));
        struct put *put = bucket_put(trial.bucket, str_of(key), 1, NULL,
                                     on_result, &answer, &err);
        assert_non_null(put);
        if (i % 2) {
            (void)put_write(put, "x", 1);
            put_finish(put, "");
        } else {
            turn_until_made(&trial);
            put_cancel(put);
        }
        wait_for(&trial, &answer);
        turn_until_made(&trial);
        assert_null(fs_of(&trial)->expected);
        snprintf(key, sizeof key, "t/%d", i);
        assert_int_equal(has(&trial, key), i % 2);
    }
    end(&trial);
}

/** Its own put would make the folder durable with no more than one call, and
 * that one says nothing of what could not be written before. */
TEST_CASE(expect__it_can_not_stay__is_as_if_never_made)
{
    struct trial trial;
    memset(&plan, 0, sizeof plan);
    begin(&trial, 0);
    put_whole(&trial, "t/a/0.mp4", 65536, 0);
    memset(&plan, 0, sizeof plan);
    plan.call = CALL_FSYNC;
    plan.nth = 1;
    plan.code = EIO;
    plan.armed = true;
    expect(&trial, "t/b/0.mp4");
    plan.armed = false;
    assert_true(plan.hit);
    assert_false(has(&trial, "t/b"));
    assert_null(fs_of(&trial)->expected);
    memset(&plan, 0, sizeof plan);
    put_whole(&trial, "t/b/0.mp4", 65536, 0);
    assert_int_equal(plan.made[CALL_MKDIRAT], 1);
    end(&trial);
}

/** Nor where there is no folder to make. */
TEST_CASE(expect__many_come__has_no_thread_to_spare)
{
    struct trial trial;
    memset(&plan, 0, sizeof plan);
    begin(&trial, 100 * MIB);
    expect(&trial, "t/a/0.mp4");
    fs_of(&trial)->made_ms -= 120000;
    works = 0;
    (void)usleep(20000);
    bucket_expect(trial.bucket, STR("t/b/0.mp4"));
    bucket_expect(trial.bucket, STR("t/c/0.mp4"));
    bucket_expect(trial.bucket, STR("../d/0.mp4"));
    assert_int_equal(works, 1);
    fs_of(&trial)->made_ms -= 120000;
    expect(&trial, "e.mp4");
    assert_int_equal(works, 1);
    assert_false(has(&trial, "t/c"));
    end(&trial);
}

TESTS_RUN(NULL, NULL)
