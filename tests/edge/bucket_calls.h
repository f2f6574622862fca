#ifndef TESTS_EDGE_BUCKET_CALLS_H
#define TESTS_EDGE_BUCKET_CALLS_H

#include "edge/bucket_trial.h"

#include "edge/bucket/fs.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
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
    CALL_LINKAT,
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
    /* A folder that goes so often when a file without a name is to be made. */
    char removed[100];
    int removals;
} plan;

static bool ordered; /* the folder's journal orders all, whatever it is */
static atomic_int opened_nameless; /* files without a name, so far */

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
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE
               ? va_arg(args, mode_t)
               : 0;
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
    if (plan.removals > 0 && (flags & O_TMPFILE) == O_TMPFILE) {
        assert_int_equal(rmdir(plan.removed), 0);
        plan.removals--;
        errno = EPERM; /* as ext4 has it; some have no answer to that */
        return -1;
    }
    const int fd =
        fails(CALL_OPENAT) ? -1 : REAL(openat)(folder_fd, path, flags, mode);
    opened_nameless += fd >= 0 && (flags & O_TMPFILE) == O_TMPFILE;
    return fd;
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
    return fails(CALL_LINKAT) ? -1
                              : REAL(linkat)(from_fd, from, to_fd, to, flags);
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

/* ---- puts ---- */

static inline struct fs *fs_of(const struct trial *trial)
{
    return (struct fs *)(void *)trial->bucket;
}

/** Nothing, or the whole of it: false means that nothing is there. */
static inline bool whole_or_nothing(const struct trial *trial, const char *key,
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

static inline void put_whole(struct trial *trial, const char *key, size_t body,
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

#endif
