/* wraps: loop_work fs_journal_orders syscall */
#include "edge/bucket_trial.h"

#include "edge/bucket/fs.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/*
 * System calls that fail. The functions below stand before libc's: what
 * bucket_fs calls comes here first, and the n-th call of the chosen one ends
 * with the chosen error.
 */

enum call {
    CALL_OPEN,
    CALL_OPENAT,
    CALL_PWRITE,
    CALL_FDATASYNC,
    CALL_FSYNC,
    CALL_RENAMEAT2,
    CALL_MKDIRAT,
    CALL_FALLOCATE,
    CALL_OPENAT2,
    CALL_SYNC_FILE_RANGE,
    CALLS_LEN
};

static struct {
    bool armed;
    bool half; /* pwrite() takes half of what it is given, and nothing fails */
    enum call call;
    int nth; /* from 1 */
    int code;
    int made[CALLS_LEN];
    bool hit;
    bool no_direct;     /* the filesystem knows no O_DIRECT */
    bool odd_blocks;    /* it says so only when a direct write comes */
    int direct;         /* writes past the page cache */
    int direct_refused; /* of those */
    /* errno of each renameat2(): the filesystem can't; 0: it can */
    int no_rename;
    int no_link;
    int no_folder_sync;
    bool replaces; /* it renames over what is there */
} plan;

static bool ordered; /* the folder's journal orders all, whatever it is */

bool __wrap_fs_journal_orders(int folder_fd);
bool __wrap_fs_journal_orders(int folder_fd)
{
    (void)folder_fd;
    return ordered;
}

/** Whether this call has to fail; sets errno. One step runs at a time. */
static bool fails(enum call call)
{
    if (!plan.armed) {
        return false;
    }
    plan.made[call]++;
    if (plan.half || call != plan.call || plan.made[call] != plan.nth) {
        return false;
    }
    plan.hit = true;
    errno = plan.code;
    return true;
}

static int works; /* steps on other threads */

void __real_loop_work(struct loop *loop, loop_fn *work, loop_fn *done,
                      void *context);
void __wrap_loop_work(struct loop *loop, loop_fn *work, loop_fn *done,
                      void *context);

void __wrap_loop_work(struct loop *loop, loop_fn *work, loop_fn *done,
                      void *context)
{
    works++;
    __real_loop_work(loop, work, done, context);
}

#define REAL(name) ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))

static mode_t mode_of(int flags, va_list args)
{
    return flags & O_CREAT ? va_arg(args, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return fails(CALL_OPEN) ? -1 : REAL(open)(path, flags, mode);
}

int openat(int folder_fd, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return fails(CALL_OPENAT) ? -1 : REAL(openat)(folder_fd, path, flags, mode);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    if (fails(CALL_PWRITE)) {
        return -1;
    }
    if (plan.armed && REAL(fcntl)(fd, F_GETFL) & O_DIRECT) {
        plan.direct++;
        if (plan.odd_blocks) {
            plan.direct_refused++;
            errno = EINVAL;
            return -1;
        }
    }
    len = plan.armed && plan.half && len > 1 ? len / 2 : len;
    return REAL(pwrite)(fd, bytes, len, at);
}

int fdatasync(int fd)
{
    return fails(CALL_FDATASYNC) ? -1 : REAL(fdatasync)(fd);
}

int sync_file_range(int fd, off_t at, off_t len, unsigned flags)
{
    return fails(CALL_SYNC_FILE_RANGE)
               ? -1
               : REAL(sync_file_range)(fd, at, len, flags);
}

long __wrap_syscall(long number, int folder_fd, const char *path,
                    const void *how, size_t bytes);
long __wrap_syscall(long number, int folder_fd, const char *path,
                    const void *how, size_t bytes)
{
    assert_int_equal(number, SYS_openat2);
    return fails(CALL_OPENAT2)
               ? -1
               : REAL(syscall)(number, folder_fd, path, how, bytes);
}

int fsync(int fd)
{
    struct stat there;
    if (plan.no_folder_sync && fstat(fd, &there) == 0 &&
        S_ISDIR(there.st_mode)) {
        errno = plan.no_folder_sync;
        return -1;
    }
    return fails(CALL_FSYNC) ? -1 : REAL(fsync)(fd);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    if (plan.no_link) {
        errno = plan.no_link;
        return -1;
    }
    return REAL(linkat)(from_fd, from, to_fd, to, flags);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to,
              unsigned flags)
{
    if (plan.no_rename) {
        errno = plan.no_rename;
        return -1;
    }
    if (plan.replaces) {
        return REAL(renameat2)(from_fd, from, to_fd, to, 0);
    }
    return fails(CALL_RENAMEAT2)
               ? -1
               : REAL(renameat2)(from_fd, from, to_fd, to, flags);
}

int mkdirat(int folder_fd, const char *path, mode_t mode)
{
    return fails(CALL_MKDIRAT) ? -1 : REAL(mkdirat)(folder_fd, path, mode);
}

int fcntl(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    long value = va_arg(args, long); /* what bucket_fs gives is an int */
    va_end(args);
    if (plan.armed && plan.no_direct && command == F_SETFL &&
        value & O_DIRECT) {
        errno = EINVAL;
        return -1;
    }
    return REAL(fcntl)(fd, command, value);
}

int fallocate(int fd, int mode, off_t at, off_t len)
{
    return fails(CALL_FALLOCATE) ? -1 : REAL(fallocate)(fd, mode, at, len);
}

/* ---- what is there afterwards ---- */

static int entries(const char *path)
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

static int incoming(const struct trial *trial)
{
    char path[100];
    snprintf(path, sizeof path, "%s/.incoming", trial->root);
    return entries(path);
}

/** Nothing, or the whole of it: false means that nothing is there. */
static bool whole_or_nothing(const struct trial *trial, const char *key,
                             const char *bytes, size_t len)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", trial->root, key);
    FILE *file = fopen(path, "rb");
    if (!file) {
        return false;
    }
    char *there = malloc(len + 1);
    assert_int_equal(fread(there, 1, len + 1, file), len);
    assert_int_equal(memcmp(there, bytes, len), 0);
    free(there);
    fclose(file);
    return true;
}

/** Faults of the store, whichever call tells them first. */
static bool is_unusable(int code)
{
    return code == ENOSPC || code == EDQUOT || code == EROFS || code == EIO ||
           code == EACCES;
}

/** One put under the plan, judged. false: the plan's call was never made. */
static bool try_put(struct trial *trial, enum call call, int nth, int code,
                    const char *bytes, size_t len)
{
    static int count;
    struct feeding feeding;
    char key[60];
    snprintf(key, sizeof key, "k%d/a/0.mp4", ++count);
    int open_before = entries("/proc/self/fd");
    memset(&plan, 0, sizeof plan);
    plan.call = call;
    plan.nth = nth;
    plan.code = code;
    plan.armed = true;
    enum bucket_end ended =
        put_all(trial, key, bytes, len, (int64_t)len, 100000, &feeding);
    plan.armed = false;
    bool there = whole_or_nothing(trial, key, bytes, len);
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
                    call == CALL_OPENAT2);
        assert_true(call != CALL_FDATASYNC && call != CALL_SYNC_FILE_RANGE);
        return true;
    }
    assert_true(ended == BUCKET_FAILED || ended == BUCKET_UNUSABLE);
    assert_true(!is_unusable(code) || ended == BUCKET_UNUSABLE);
    assert_true(feeding.answer.result.why[0] != '\0');
    /* After it is visible, only its name is made durable; who comes next
     * finds it there, and makes up for that. */
    assert_true(!there || call == CALL_FSYNC || call == CALL_OPENAT);
    if (there) {
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

static void fail_each(void)
{
    static const int codes[] = {ENOSPC, EIO,    EDQUOT, EINTR,
                                EROFS,  EMFILE, ENOMEM, EACCES};
    struct trial trial;
    size_t len = 0;
    char *bytes = video_of(2500000, &len);
    begin(&trial, 0);
    struct feeding feeding;
    assert_int_equal(put_all(&trial, "first.mp4", bytes, len, (int64_t)len,
                             100000, &feeding),
                     BUCKET_DONE);
    int hits[CALLS_LEN] = {0};
    for (int call = 0; call < CALLS_LEN; call++) {
        for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
            int nth = 1;
            while (
                try_put(&trial, (enum call)call, nth, codes[i], bytes, len)) {
                assert_true(nth < 100);
                hits[call]++;
                nth++;
            }
        }
        const bool is_made =
            call != (ordered ? CALL_FDATASYNC : CALL_SYNC_FILE_RANGE);
        assert_true((hits[call] > 0) == is_made);
    }
    assert_int_equal(
        put_all(&trial, "last.mp4", bytes, len, (int64_t)len, 100000, &feeding),
        BUCKET_DONE);
    free(bytes);
    end(&trial);
}

TEST_CASE(put__any_call_fails__nothing_half_is_visible)
{
    fail_each();
}

TEST_CASE(put__any_call_fails_in_a_journals_order__nothing_half_is_visible)
{
    ordered = true;
    fail_each();
    ordered = false;
}

/** A sandbox knows no sync_file_range() and no openat2(). */
TEST_CASE(put__new_calls_refused__goes_the_old_way)
{
    struct trial trial;
    begin(&trial, 0);
    ordered = true;
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

static void put_whole(struct trial *trial, const char *key, size_t body,
                      int64_t announced)
{
    struct feeding feeding;
    size_t len = 0;
    char *bytes = video_of(body, &len);
    plan.armed = true;
    enum bucket_end ended =
        put_all(trial, key, bytes, len,
                announced < 0 ? announced : (int64_t)len, 100000, &feeding);
    plan.armed = false;
    assert_int_equal(ended, BUCKET_DONE);
    assert_true(whole_or_nothing(trial, key, bytes, len));
    free(bytes);
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
    assert_int_equal(plan.made[CALL_FDATASYNC], 1);
    assert_int_equal(plan.made[CALL_FSYNC], 1);
    memset(&plan, 0, sizeof plan);
    put_whole(&trial, "t/2026/01/b/0.mp4", 65536, 0);
    assert_int_equal(plan.made[CALL_MKDIRAT], 1);
    assert_int_equal(plan.made[CALL_OPENAT2], 2);
    end(&trial);
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
    begin(&trial, 0);
    ordered = true;
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
