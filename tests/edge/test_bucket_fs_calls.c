#include "edge/bucket_trial.h"

#include <dlfcn.h>
#include <errno.h>

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
} plan;

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
    len = plan.armed && plan.half && len > 1 ? len / 2 : len;
    return REAL(pwrite)(fd, bytes, len, at);
}

int fdatasync(int fd)
{
    return fails(CALL_FDATASYNC) ? -1 : REAL(fdatasync)(fd);
}

int fsync(int fd)
{
    return fails(CALL_FSYNC) ? -1 : REAL(fsync)(fd);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to,
              unsigned flags)
{
    return fails(CALL_RENAMEAT2)
               ? -1
               : REAL(renameat2)(from_fd, from, to_fd, to, flags);
}

int mkdirat(int folder_fd, const char *path, mode_t mode)
{
    return fails(CALL_MKDIRAT) ? -1 : REAL(mkdirat)(folder_fd, path, mode);
}

int fallocate(int fd, int mode, off_t at, off_t len)
{
    return fails(CALL_FALLOCATE) ? -1 : REAL(fallocate)(fd, mode, at, len);
}

/* ---- what is there afterwards -------------------------------------------- */

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

static bool is_full(int code)
{
    return code == ENOSPC || code == EDQUOT;
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
    assert_true(plan.made[CALL_FDATASYNC] <= 1); /* never tried again */
    if (!plan.hit) {
        assert_int_equal(ended, BUCKET_DONE);
        assert_true(there);
        return false;
    }
    if (ended == BUCKET_DONE) {
        /* Only what may be asked for again, or done another way. */
        assert_true(there);
        assert_true(code == EINTR || call == CALL_FALLOCATE);
        assert_true(call != CALL_FDATASYNC);
        return true;
    }
    assert_true(ended == BUCKET_FAILED || ended == BUCKET_UNUSABLE);
    assert_true(!is_full(code) || ended == BUCKET_UNUSABLE);
    assert_true(feeding.answer.result.why[0] != '\0');
    /* Only the folder's fsync comes after it is visible. */
    assert_true(!there || call == CALL_FSYNC);
    return true;
}

static void put__any_call_fails__nothing_half_is_visible(void **state)
{
    static const int codes[] = {ENOSPC, EIO,    EDQUOT, EINTR,
                                EROFS,  EMFILE, ENOMEM, EACCES};
    (void)state;
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
        assert_true(hits[call] > 0);
    }
    assert_int_equal(
        put_all(&trial, "last.mp4", bytes, len, (int64_t)len, 100000, &feeding),
        BUCKET_DONE);
    free(bytes);
    end(&trial);
}

static void put__writes_fall_short__is_whole(void **state)
{
    (void)state;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put__any_call_fails__nothing_half_is_visible),
        cmocka_unit_test(put__writes_fall_short__is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
