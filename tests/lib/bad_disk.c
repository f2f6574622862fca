/* A disk that errs or is slow: cc -shared -fPIC -o bad_disk.so bad_disk.c -ldl,
 * then LD_PRELOAD it. Of what a process does with files below BAD_DISK, the
 * calls that the file BAD_DISK_PLAN names take longer, or end with an error. A
 * line of the plan is
 *
 *     CALL MILLISECONDS ERRNO TIMES
 *
 * with CALL one of openat pwrite fdatasync fsync renameat2, ERRNO 0 for none,
 * and TIMES -1 for ever; the plan may be written anew at any time (as a whole:
 * by a rename), and TIMES then counts from the start. What was asked of files,
 * and its errno, is added to the file BAD_DISK_LOG, a line each: CALL ERRNO
 * THREAD PATH, with THREAD "loop" for a process's first one, else "pool". */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name))
#define KINDS 16

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct stat plan_seen;
static struct {
    char call[16];
    long delay_ms;
    int code;
    long left;
} plan[KINDS];
static int plan_len;

/** Under the lock: the plan, if it is another one. */
static void read_plan(void)
{
    const char *path = getenv("BAD_DISK_PLAN");
    struct stat now;
    if (!path || stat(path, &now) != 0 ||
        (now.st_ino == plan_seen.st_ino &&
         now.st_mtim.tv_sec == plan_seen.st_mtim.tv_sec &&
         now.st_mtim.tv_nsec == plan_seen.st_mtim.tv_nsec)) {
        return;
    }
    FILE *file = fopen(path, "re");
    plan_seen = now;
    plan_len = 0;
    while (file && plan_len < KINDS &&
           fscanf(file, "%15s %ld %d %ld", plan[plan_len].call,
                  &plan[plan_len].delay_ms, &plan[plan_len].code,
                  &plan[plan_len].left) == 4) {
        plan_len++;
    }
    if (file) {
        fclose(file);
    }
}

static int of_ours(const char *path)
{
    const char *folder = getenv("BAD_DISK");
    size_t len = folder ? strlen(folder) : 0;
    return len && strncmp(path, folder, len) == 0 &&
           (path[len] == '/' || path[len] == '\0');
}

static int path_of(int fd, char path[PATH_MAX])
{
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, PATH_MAX - 1);
    path[len > 0 ? len : 0] = '\0';
    return len > 0;
}

/** What the plan says: the errno that the call has to end with. */
static int strike(const char *call, const char *path)
{
    const char *log = getenv("BAD_DISK_LOG");
    long delay_ms = 0;
    int code = 0;
    pthread_mutex_lock(&lock);
    read_plan();
    for (int i = 0; i < plan_len; i++) {
        if (strcmp(plan[i].call, call) == 0 && plan[i].left != 0) {
            delay_ms = plan[i].delay_ms;
            code = plan[i].code;
            plan[i].left -= plan[i].left > 0;
            break;
        }
    }
    int fd = log ? REAL(openat)(AT_FDCWD, log,
                                O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)
                 : -1;
    if (fd >= 0) {
        dprintf(fd, "%s %d %s %s\n", call, code,
                gettid() == getpid() ? "loop" : "pool", path);
        close(fd);
    }
    pthread_mutex_unlock(&lock);
    struct timespec wait = {delay_ms / 1000, delay_ms % 1000 * 1000000};
    nanosleep(&wait, NULL);
    return code;
}

static int fails(const char *call, int fd)
{
    char path[PATH_MAX];
    int code = path_of(fd, path) && of_ours(path) ? strike(call, path) : 0;
    errno = code ? code : errno;
    return code;
}

int openat(int folder_fd, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return fails("openat", folder_fd)
               ? -1
               : REAL(openat)(folder_fd, path, flags, mode);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    return fails("pwrite", fd) ? -1 : REAL(pwrite)(fd, bytes, len, at);
}

int fdatasync(int fd)
{
    return fails("fdatasync", fd) ? -1 : REAL(fdatasync)(fd);
}

/** No journal orders anything here, whatever the test's machine has: each step
 * is made durable on its own. */
int fstatfs(int fd, struct statfs *out)
{
    const int result = REAL(fstatfs)(fd, out);
    out->f_type = TMPFS_MAGIC;
    return result;
}

int fsync(int fd)
{
    return fails("fsync", fd) ? -1 : REAL(fsync)(fd);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to,
              unsigned flags)
{
    return fails("renameat2", from_fd)
               ? -1
               : REAL(renameat2)(from_fd, from, to_fd, to, flags);
}
