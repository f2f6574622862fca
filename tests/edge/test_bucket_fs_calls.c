/* wraps: loop_work fs_journal_orders syscall */
#include "edge/bucket_calls.h"

/* ---- what is there afterwards ---- */

/** Faults of the store, whichever call tells them first. */
static bool is_unusable(int code)
{
    return code == ENOSPC || code == EDQUOT || code == EROFS || code == EIO ||
           code == EACCES;
}

/** A store that is well, and a file that needs a name there. */
static bool says_named(enum call call, int code)
{
    return call == CALL_LINKAT && code == EACCES;
}

/** What comes to nothing leaves not even its folder. */
static void assert_no_folder(const struct trial *trial, const char *key)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", trial->root, key);
    *strrchr(path, '/') = '\0';
    assert_int_not_equal(access(path, F_OK), 0);
}

/**
 * One put under the plan, judged. false: the plan's call was never made.
 *
 * @param known  Of its folders, only the last one is new.
 */
static bool try_put(struct trial *trial, enum call call, int nth, int code,
                    bool known, struct str bytes)
{
    static int count;
    struct feeding feeding;
    char key[60];
    const size_t len = bytes.len;
    snprintf(key, sizeof key, known ? "k/%d/0.mp4" : "k%d/a/0.mp4", ++count);
    int open_before = entries("/proc/self/fd");
    fs_of(trial)->nameless = !trial_named;
    memset(&plan, 0, sizeof plan);
    plan.call = call;
    plan.nth = nth;
    plan.code = code;
    plan.armed = true;
    enum bucket_end ended =
        put_all(trial, key, bytes.at, len, (int64_t)len, 100000, &feeding);
    plan.armed = false;
    bool there = whole_or_nothing(trial, key, bytes.at, len);
    assert_int_equal(incoming(trial), 0);
    assert_int_equal(entries("/proc/self/fd"), open_before);
    /* Never tried again. */
    assert_true(plan.made[CALL_FDATASYNC] <= !ordered);
    assert_true(plan.made[CALL_SYNC_FILE_RANGE] <= ordered);
    assert_true(!ordered || plan.made[CALL_FSYNC] <= 1);
    if (!plan.hit) {
        assert_int_equal(ended, BUCKET_DONE);
        assert_true(there);
        return false;
    }
    if (ended == BUCKET_DONE) {
        /* Only what may be asked for again, or done another way. */
        assert_true(there);
        assert_true(code == EINTR || call == CALL_FALLOCATE ||
                    call == CALL_OPENAT2 ||
                    (call == CALL_OPENAT && code == EACCES && !trial_named));
        assert_true(call != CALL_FDATASYNC && call != CALL_SYNC_FILE_RANGE);
        return true;
    }
    assert_true(ended == BUCKET_FAILED || ended == BUCKET_UNUSABLE);
    assert_true(!is_unusable(code) || says_named(call, code) ||
                ended == BUCKET_UNUSABLE);
    assert_true(feeding.answer.result.why[0] != '\0');
    /* After it is visible, only its name is made durable; who comes next
     * finds it there, and makes up for that. */
    assert_true(!there || call == CALL_FSYNC || call == CALL_OPENAT);
    if (!there) {
        assert_no_folder(trial, key);
    } else {
        struct bucket_result result;
        memset(&plan, 0, sizeof plan);
        plan.armed = true;
        plan.call = CALLS_LEN;
        assert_int_equal(check(trial, key, &result), BUCKET_DONE);
        plan.armed = false;
        assert_true(plan.made[CALL_FSYNC] >= 1);
        assert_int_equal(plan.made[CALL_FDATASYNC], 1);
    }
    return true;
}

static bool is_made(enum call call, bool small)
{
    const bool none[CALLS_LEN] = {
        [CALL_FDATASYNC] = ordered,      [CALL_SYNC_FILE_RANGE] = !ordered,
        [CALL_RENAMEAT2] = !trial_named, [CALL_LINKAT] = trial_named,
        [CALL_FALLOCATE] = small,
    };
    return !none[call];
}

/** On the disk, whose writes may go past its cache, or where nothing waits for
 * one. */
static void fail_each(bool known, bool small, size_t tmpfs_bytes)
{
    static const int codes[] = {ENOSPC, EIO,    EDQUOT, EINTR,
                                EROFS,  EMFILE, ENOMEM, EACCES};
    struct trial trial;
    struct str bytes;
    bytes.at = video_of(small ? 65536 : 2500000, &bytes.len);
    memset(&plan, 0, sizeof plan);
    begin(&trial, tmpfs_bytes);
    struct feeding feeding;
    assert_int_equal(put_all(&trial, "k/first.mp4", bytes.at, bytes.len,
                             (int64_t)bytes.len, 100000, &feeding),
                     BUCKET_DONE);
    int hits[CALLS_LEN] = {0};
    for (int call = 0; call < CALLS_LEN; call++) {
        for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
            int nth = 1;
            while (
                try_put(&trial, (enum call)call, nth, codes[i], known, bytes)) {
                assert_true(nth < 100);
                hits[call]++;
                nth++;
            }
        }
        assert_true((hits[call] > 0) == is_made((enum call)call, small));
    }
    assert_int_equal(put_all(&trial, "last.mp4", bytes.at, bytes.len,
                             (int64_t)bytes.len, 100000, &feeding),
                     BUCKET_DONE);
    free((char *)(uintptr_t)bytes.at);
    end(&trial);
}

static void fail_each_of_large(void)
{
    fail_each(false, false, ordered ? 2000 * MIB : 0);
}

static void fail_each_of_small(void)
{
    fail_each(true, true, 200 * MIB);
}

TEST_CASE(put__any_call_fails__nothing_half_is_visible)
{
    trial_named = true;
    fail_each_of_large();
    trial_named = false;
}

TEST_CASE(put__any_call_of_a_small_one_fails__nothing_half_is_visible)
{
    trial_named = true;
    fail_each_of_small();
    trial_named = false;
}

TEST_CASE(put__any_call_fails_in_a_journals_order__nothing_half_is_visible)
{
    ordered = true;
    each_way(fail_each_of_large);
    each_way(fail_each_of_small);
    ordered = false;
}

/** A sandbox knows no sync_file_range() and no openat2(). */
TEST_CASE(put__new_calls_refused__goes_the_old_way)
{
    struct trial trial;
    ordered = true;
    begin(&trial, 0);
    static const struct {
        enum call call;
        int code;
        int syncs;
    } rows[] = {{CALL_SYNC_FILE_RANGE, ENOSYS, 1},
                {CALL_SYNC_FILE_RANGE, EPERM, 1},
                {CALL_OPENAT2, ENOSYS, 0},
                {CALL_OPENAT2, EPERM, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char key[60];
        size_t len = 0;
        struct feeding feeding;
        char *bytes = video_of(65536, &len);
        snprintf(key, sizeof key, "t/2026/%zu/0.mp4", i);
        memset(&plan, 0, sizeof plan);
        plan.call = rows[i].call;
        plan.nth = 1;
        plan.code = rows[i].code;
        plan.armed = true;
        assert_int_equal(
            put_all(&trial, key, bytes, len, (int64_t)len, 100000, &feeding),
            BUCKET_DONE);
        plan.armed = false;
        assert_true(plan.hit);
        assert_int_equal(plan.made[CALL_FDATASYNC], rows[i].syncs);
        assert_true(whole_or_nothing(&trial, key, bytes, len));
        free(bytes);
    }
    ordered = false;
    end(&trial);
}

TEST_CASE(put__writes_fall_short__is_whole)
{
    struct trial trial;
    size_t len = 0;
    char *bytes = video_of(2500000, &len);
    begin(&trial, 0);
    memset(&plan, 0, sizeof plan);
    plan.half = true;
    plan.armed = true;
    struct feeding feeding;
    enum bucket_end ended = put_all(&trial, "short.mp4", bytes, len,
                                    (int64_t)len, 100000, &feeding);
    plan.armed = false;
    assert_int_equal(ended, BUCKET_DONE);
    assert_true(plan.made[CALL_PWRITE] > 10);
    assert_true(whole_or_nothing(&trial, "short.mp4", bytes, len));
    free(bytes);
    end(&trial);
}

/** Whether the folder of the trial takes writes past the page cache. */
static bool takes_direct(const struct trial *trial)
{
    char path[100];
    snprintf(path, sizeof path, "%s/try", trial->root);
    int fd = open(path, O_WRONLY | O_CREAT | O_DIRECT, 0644);
    unlink(path);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

TEST_CASE(put__large_or_small__only_large_ones_are_direct)
{
    struct trial trial;
    begin(&trial, 0);
    bool direct = takes_direct(&trial);
    memset(&plan, 0, sizeof plan);
    put_whole(&trial, "large.mp4", 2500000, 0);
    assert_int_equal(plan.direct, direct ? 3 : 0);
    assert_int_equal(plan.made[CALL_PWRITE], direct ? 4 : 3);
    memset(&plan, 0, sizeof plan);
    put_whole(&trial, "unknown.mp4", 2500000, -1);
    assert_int_equal(plan.direct, direct ? 3 : 0);
    memset(&plan, 0, sizeof plan);
    put_whole(&trial, "small.mp4", 65536, 0);
    assert_int_equal(plan.direct, 0);
    assert_int_equal(plan.made[CALL_PWRITE], 1);
    end(&trial);
}

TEST_CASE(put__small_into_known_folders__is_one_step)
{
    struct trial trial;
    begin(&trial, 0);
    put_whole(&trial, "t/2026/01/a/0.mp4", 65536, 0);
    memset(&plan, 0, sizeof plan);
    works = 0;
    put_whole(&trial, "t/2026/01/a/1.mp4", 65536, 0);
    assert_int_equal(works, 1);
    assert_int_equal(plan.made[CALL_OPEN], 1);    /* the root */
    assert_int_equal(plan.made[CALL_OPENAT], 2);  /* .incoming, the file */
    assert_int_equal(plan.made[CALL_OPENAT2], 1); /* its folder */
    assert_int_equal(plan.made[CALL_RENAMEAT2], 1);
    assert_int_equal(plan.made[CALL_FDATASYNC], 1);
    assert_int_equal(plan.made[CALL_FSYNC], 1);
    memset(&plan, 0, sizeof plan);
    put_whole(&trial, "t/2026/01/b/0.mp4", 65536, 0);
    assert_int_equal(plan.made[CALL_MKDIRAT], 1);
    assert_int_equal(plan.made[CALL_OPENAT], 3);
    assert_int_equal(plan.made[CALL_OPENAT2], 2);
    assert_int_equal(plan.made[CALL_FSYNC], 2);
    end(&trial);
}

TEST_CASE(put__small_in_a_journals_order__needs_no_name_and_one_sync)
{
    struct trial trial;
    ordered = true;
    begin(&trial, 100 * MIB);
    put_whole(&trial, "t/2026/01/a/0.mp4", 65536, 0);
    memset(&plan, 0, sizeof plan);
    put_whole(&trial, "t/2026/01/b/0.mp4", 65536, 0);
    assert_int_equal(plan.made[CALL_OPEN], 1);
    assert_int_equal(plan.made[CALL_OPENAT2], 2); /* its folder; above */
    assert_int_equal(plan.made[CALL_MKDIRAT], 1);
    assert_int_equal(plan.made[CALL_OPENAT], 2); /* its folder, the file */
    assert_int_equal(plan.made[CALL_LINKAT], 1);
    assert_int_equal(plan.made[CALL_SYNC_FILE_RANGE], 1);
    assert_int_equal(plan.made[CALL_FDATASYNC], 0);
    assert_int_equal(plan.made[CALL_FSYNC], 1);
    end(&trial);
    ordered = false;
}

/** A folder's fsync() may bring a name home there, and not that its file has
 * one: the file would be thrown away as one without. */
TEST_CASE(put__no_journals_order__a_file_has_a_name_from_the_start)
{
    struct trial trial;
    begin(&trial, 0);
    assert_false(fs_of(&trial)->nameless); /* the probe's word */
    fs_of(&trial)->nameless = true;        /* another disk came meanwhile */
    memset(&plan, 0, sizeof plan);
    put_whole(&trial, "t/0.mp4", 65536, 0);
    assert_int_equal(plan.made[CALL_LINKAT], 0);
    end(&trial);
}

/** No /proc, for one. It costs one download. */
TEST_CASE(put__a_file_needs_a_name_after_all__the_next_one_has_it)
{
    static const int codes[] = {ENOENT, EPERM, EACCES, EXDEV, EINVAL};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct trial trial;
        struct feeding feeding;
        memset(&plan, 0, sizeof plan);
        ordered = true;
        begin(&trial, 100 * MIB);
        plan.no_link = codes[i];
        assert_int_equal(put_all(&trial, "n/0.mp4", "x", 1, 1, 1, &feeding),
                         BUCKET_FAILED);
        assert_int_equal(put_all(&trial, "n/0.mp4", "x", 1, 1, 1, &feeding),
                         BUCKET_DONE);
        assert_int_equal(incoming(&trial), 0);
        end(&trial);
        ordered = false;
    }
}

TEST_CASE(put__direct_writes_refused__is_whole)
{
    struct trial trial;
    begin(&trial, 0);
    bool direct = takes_direct(&trial);
    memset(&plan, 0, sizeof plan);
    plan.no_direct = true;
    put_whole(&trial, "at_once.mp4", 2500000, 0);
    assert_int_equal(plan.direct, 0);
    memset(&plan, 0, sizeof plan);
    plan.odd_blocks = true;
    put_whole(&trial, "late.mp4", 2500000, 0);
    assert_int_equal(plan.direct_refused, direct ? 1 : 0);
    end(&trial);
}

/** Two folders are new, and one fsync() is enough. */
TEST_CASE(put__a_journal_orders__costs_one_fsync)
{
    struct trial trial;
    ordered = true;
    begin(&trial, 0);
    put_whole(&trial, "t/2026/01/a/0.mp4", 65536, 0);
    memset(&plan, 0, sizeof plan);
    put_whole(&trial, "t/2026/02/a/0.mp4", 65536, 0);
    assert_int_equal(plan.made[CALL_SYNC_FILE_RANGE], 1);
    assert_int_equal(plan.made[CALL_FDATASYNC], 0);
    assert_int_equal(plan.made[CALL_FSYNC], 1);
    ordered = false;
    end(&trial);
}

TEST_CASE(put__folders_known__cost_no_fsync_again)
{
    struct trial trial;
    begin(&trial, 0);
    memset(&plan, 0, sizeof plan);
    put_whole(&trial, "t/2026/01/a/0.mp4", 1000, 0);
    assert_int_equal(plan.made[CALL_FSYNC], 5);
    memset(&plan, 0, sizeof plan);
    put_whole(&trial, "t/2026/01/b/0.mp4", 1000, 0);
    assert_int_equal(plan.made[CALL_FSYNC], 2);
    memset(&plan, 0, sizeof plan);
    put_whole(&trial, "t/2026/01/b/1.mp4", 1000, 0);
    assert_int_equal(plan.made[CALL_FSYNC], 1);

    /* What somebody removed and we make again is new. */
    char from[100];
    char to[100];
    snprintf(from, sizeof from, "%s/t", trial.root);
    snprintf(to, sizeof to, "%s/gone", trial.root);
    assert_int_equal(rename(from, to), 0);
    memset(&plan, 0, sizeof plan);
    put_whole(&trial, "t/2026/01/c/0.mp4", 1000, 0);
    assert_int_equal(plan.made[CALL_FSYNC], 5);
    end(&trial);
}

/** Each has a folder of its own; those above are known for as long as they are
 * used. */
TEST_CASE(put__more_folders_than_are_remembered__those_above_stay_known)
{
    struct trial trial;
    begin(&trial, 100 << 20);
    put_whole(&trial, "t/2026/first/0.mp4", 10, 0);
    for (int i = 0; i < 3 * FS_KEPT_MAX; i++) {
        char key[60];
        snprintf(key, sizeof key, "t/2026/%d/0.mp4", i);
        memset(&plan, 0, sizeof plan);
        put_whole(&trial, key, 10, 0);
        assert_int_equal(plan.made[CALL_FSYNC], 2);
    }
    memset(&plan, 0, sizeof plan);
    put_whole(&trial, "t/2026/first/1.mp4", 10, 0); /* forgotten since */
    assert_int_equal(plan.made[CALL_FSYNC], 2);
    end(&trial);
}

static struct bucket_result probe(struct trial *trial)
{
    struct answer answer = {.trial = trial};
    bucket_probe(trial->bucket, on_result, &answer);
    wait_for(trial, &answer);
    return answer.result;
}

/** What NFS, CIFS and FUSE refuse: done otherwise, or said. */
TEST_CASE(probe__poor_filesystems__done_without_or_unusable)
{
    static const struct {
        int no_rename;
        int no_link;
        int no_folder_sync;
        bool replaces;
        enum bucket_end end;
        const char *why; /* "": nothing is said */
    } rows[] = {
        {0, 0, 0, false, BUCKET_DONE, ""},
        {EINVAL, 0, 0, false, BUCKET_DONE, ""},
        {ENOSYS, 0, 0, false, BUCKET_DONE, ""},
        {EINVAL, EPERM, 0, false, BUCKET_UNUSABLE, "never replaces"},
        {ENOSYS, ENOSYS, 0, false, BUCKET_UNUSABLE, "never replaces"},
        {EPERM, EOPNOTSUPP, 0, false, BUCKET_UNUSABLE, "never replaces"},
        {0, 0, EINVAL, false, BUCKET_DONE, "can't be made durable"},
        {0, 0, EIO, false, BUCKET_UNUSABLE, "make durable"},
        {0, 0, 0, true, BUCKET_UNUSABLE, "replace one that is there"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct trial trial;
        begin(&trial, 0);
        memset(&plan, 0, sizeof plan);
        plan.no_rename = rows[i].no_rename;
        plan.no_link = rows[i].no_link;
        plan.no_folder_sync = rows[i].no_folder_sync;
        plan.replaces = rows[i].replaces;
        const struct bucket_result result = probe(&trial);
        if (result.end != rows[i].end || !strstr(result.why, rows[i].why) ||
            (rows[i].why[0] == '\0') != (result.why[0] == '\0')) {
            fail_msg("row %zu: %d %s", i, (int)result.end, result.why);
        }
        if (result.end == BUCKET_DONE) {
            put_whole(&trial, "t/0.mp4", 1000, 0);
        }
        memset(&plan, 0, sizeof plan);
        end(&trial);
    }
}

TESTS_RUN(NULL, NULL)
