/* Clocks that jump: cc -shared -fPIC -o jump_clock.so jump_clock.c -ldl, then
 * LD_PRELOAD it. Every clock of a process is ahead by the nanoseconds that
 * stand, as one native int64_t, in the file that CLOCK_JUMP names: who writes
 * there moves all such processes on at once, as a machine that slept. Waits
 * that run already are not cut short. A negative number is a wall clock that is
 * behind; clocks that count since the boot stay right then: they can't be
 * behind it, and the machine may be up for minutes only. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000L
#define UPTIME_MAX_S 500000000L /* what is above is of a wall clock */

static const volatile int64_t *ahead;

__attribute__((constructor)) static void begin(void)
{
    const char *name = getenv("CLOCK_JUMP");
    int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        void *at = mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, fd, 0);
        ahead = at == MAP_FAILED ? NULL : at;
        close(fd);
    }
}

static struct timespec moved(struct timespec time, int64_t by)
{
    int64_t all = (int64_t)time.tv_sec * SECOND + time.tv_nsec + by;
    all = all < 0 ? 0 : all;
    return (struct timespec){.tv_sec = all / SECOND, .tv_nsec = all % SECOND};
}

/** How far the clock is ahead that shows such a time. */
static int64_t ahead_of(const struct timespec *time)
{
    int64_t by = ahead ? *ahead : 0;
    return by < 0 && time->tv_sec < UPTIME_MAX_S ? 0 : by;
}

int clock_gettime(clockid_t id, struct timespec *time)
{
    int rc = (int)syscall(SYS_clock_gettime, id, time);
    if (rc == 0 && id != CLOCK_PROCESS_CPUTIME_ID &&
        id != CLOCK_THREAD_CPUTIME_ID && id >= 0) {
        *time = moved(*time, ahead_of(time));
    }
    return rc;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    int rc = clock_gettime(CLOCK_REALTIME, &now);
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return rc;
}

time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}

int timespec_get(struct timespec *time, int base)
{
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, time) == 0 ? base
                                                                        : 0;
}

/* The kernel knows nothing of jumps: what waits until a moment of ours. */

int pthread_cond_timedwait(pthread_cond_t *restrict cond,
                           pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until)
{
    static int (*real)(pthread_cond_t *, pthread_mutex_t *,
                       const struct timespec *);
    if (!real) {
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    }
    const struct timespec then = moved(*until, -ahead_of(until));
    return real(cond, mutex, &then);
}

int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex,
                  const struct timespec *restrict until)
{
    static int (*real)(cnd_t *, mtx_t *, const struct timespec *);
    if (!real) {
        *(void **)&real = dlsym(RTLD_NEXT, "cnd_timedwait");
    }
    const struct timespec then = moved(*until, -ahead_of(until));
    return real(cond, mutex, &then);
}
