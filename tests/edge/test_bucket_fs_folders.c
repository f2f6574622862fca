/* wraps: loop_work fs_journal_orders syscall */
#include "edge/bucket_calls.h"

/* Folders that go, come and are others while a put is under way. */

/** The root's journal says nothing of it, and no file gets there in one step.
 */
static void mount_below(void)
{
    struct trial trial;
    struct feeding feeding;
    char path[100];
    ordered = true;
    begin(&trial, 100 * MIB);
    snprintf(path, sizeof path, "%s/t", trial.root);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(mount("tmpfs", path, "tmpfs", 0, "size=1m"), 0);
    memset(&plan, 0, sizeof plan);
    plan.armed = true;
    const enum bucket_end ended =
        put_all(&trial, "t/0.mp4", "x", 1, 1, 1, &feeding);
    plan.armed = false;
    assert_int_equal(umount(path), 0);
    assert_int_equal(ended, BUCKET_FAILED);
    assert_int_equal(plan.made[CALL_LINKAT], 0);
    assert_int_equal(plan.made[CALL_SYNC_FILE_RANGE], trial_named);
    assert_non_null(strstr(feeding.answer.result.why,
                           "another file system is mounted where t/0.mp4"));
    assert_int_equal(fs_of(&trial)->nameless, !trial_named);
    assert_int_equal(incoming(&trial), 0);
    end(&trial);
    ordered = false;
}

TEST_CASE(put__another_disk_is_mounted_below__says_so_and_has_no_order)
{
    each_way(mount_below);
}

/** Before the file is made in it, a folder may be gone as well: whatever the
 * answer is then, it says nothing of files without a name. */
TEST_CASE(put__its_folder_is_removed_at_once__is_made_again)
{
    ordered = true;
    for (int times = 1; times <= 3; times++) {
        struct trial trial;
        struct feeding feeding;
        memset(&plan, 0, sizeof plan);
        begin(&trial, 100 * MIB);
        snprintf(plan.removed, sizeof plan.removed, "%s/t/r", trial.root);
        plan.removals = times;
        assert_int_equal(put_all(&trial, "t/r/0.mp4", "x", 1, 1, 1, &feeding),
                         times < 3 ? BUCKET_DONE : BUCKET_FAILED);
        assert_int_equal(plan.removals, 0);
        assert_true(fs_of(&trial)->nameless);
        assert_int_equal(whole_or_nothing(&trial, "t/r/0.mp4", "x", 1),
                         times < 3);
        end(&trial);
    }
    ordered = false;
}

/** The put has made its folder and is in it: in between, it would come to
 * nothing without it, rightly. */
static void await_file(void)
{
    for (int i = 0; opened_nameless == 0; i++) {
        assert_true(i < 60000);
        (void)usleep(1000);
    }
}

/**
 * While its bytes come, which may take minutes, somebody puts its folder away,
 * or takes it away who came to nothing in it: its name is where it is said to
 * be.
 */
static void lose_folder_of_put(bool moved)
{
    struct trial trial;
    size_t len = 0;
    char path[100];
    char *bytes = video_of(2500000, &len);
    char away[100];
    memset(&plan, 0, sizeof plan);
    begin(&trial, 100 * MIB);
    snprintf(path, sizeof path, "%s/t/r", trial.root);
    snprintf(away, sizeof away, "%s/away", trial.root);
    struct answer answer = {.trial = &trial};
    struct err err;
    opened_nameless = 0; /* the probe's */
    struct put *put = bucket_put(trial.bucket, STR("t/r/0.mp4"), (int64_t)len,
                                 NULL, on_result, &answer, &err);
    assert_non_null(put);
    await_file();
    assert_int_equal(moved ? rename(path, away) : rmdir(path), 0);
    (void)put_write(put, bytes, len);
    put_finish(put, "");
    wait_for(&trial, &answer);
    assert_int_equal(answer.result.end, BUCKET_DONE);
    assert_true(whole_or_nothing(&trial, "t/r/0.mp4", bytes, len));
    free(bytes);
    end(&trial);
}

TEST_CASE(put__its_folder_is_removed_meanwhile__is_made_again)
{
    ordered = true;
    lose_folder_of_put(false);
    lose_folder_of_put(true);
    ordered = false;
}

/** What is known of folders is of the disk that was there. */
TEST_CASE(check__another_disk_was_mounted_meanwhile__keeps_each_folder)
{
    struct trial trial;
    struct bucket_result result;
    char path[100];
    begin(&trial, 0);
    put_whole(&trial, "t/a/0.mp4", 10, 0);
    assert_int_equal(mount("tmpfs", trial.root, "tmpfs", 0, "size=1m"), 0);
    snprintf(path, sizeof path, "%s/t", trial.root);
    assert_int_equal(mkdir(path, 0755), 0);
    strcat(path, "/a");
    assert_int_equal(mkdir(path, 0755), 0);
    strcat(path, "/0.mp4");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    memset(&plan, 0, sizeof plan);
    plan.armed = true;
    plan.call = CALLS_LEN;
    const enum bucket_end ended = check(&trial, "t/a/0.mp4", &result);
    plan.armed = false;
    assert_int_equal(umount(trial.root), 0);
    assert_int_equal(ended, BUCKET_DONE);
    assert_int_equal(plan.made[CALL_FSYNC], 3);
    end(&trial);
}

TESTS_RUN(NULL, NULL)
