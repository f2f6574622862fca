#include "base/log_writer.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES ((size_t)1 << 20)
#define ROOM_TO_TELL ((size_t)64 * 1024)
#define AWAIT_MS 20

static struct {
    pthread_once_t once;
    pthread_mutex_t lock;
    pthread_cond_t filled;  /* the thread waits for it */
    pthread_cond_t written; /* callers wait for it */
    char bytes[BUFFER_BYTES];
    size_t from;         /* the oldest byte that is not yet taken */
    size_t len;          /* of what is not yet taken */
    uint64_t put_bytes;  /* ever put into the buffer */
    uint64_t done_bytes; /* of these, written or given up */
    uint64_t lost;       /* lines */
    bool stalled;        /* who reads is behind: callers don't wait */
    bool running;
} out = {.once = PTHREAD_ONCE_INIT};

static void init(void)
{
    pthread_condattr_t by_clock; /* that nobody sets */
    pthread_mutex_init(&out.lock, NULL);
    pthread_condattr_init(&by_clock);
    pthread_condattr_setclock(&by_clock, CLOCK_MONOTONIC);
    pthread_cond_init(&out.filled, &by_clock);
    pthread_cond_init(&out.written, &by_clock);
    pthread_condattr_destroy(&by_clock);
}

static void write_all(const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = write(STDERR_FILENO, bytes, len);
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            /* Somebody else who has it wants it so. */
            struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};
            (void)poll(&fd, 1, -1);
        } else if (n == 0 || errno != EINTR) {
            return; /* nobody to tell: the log itself is gone */
        }
    }
}

/** Whole lines where they fit: what is as short goes into a pipe undivided. */
static size_t take(char *chunk, size_t most)
{
    size_t len = out.len < most ? out.len : most;
    size_t lines = 0;
    for (size_t i = 0; i < len; i++) {
        chunk[i] = out.bytes[(out.from + i) % BUFFER_BYTES];
        lines = chunk[i] == '\n' ? i + 1 : lines;
    }
    return lines ? lines : len;
}

static void *write_on(void *context)
{
    static char chunk[PIPE_BUF];
    (void)context;
    pthread_mutex_lock(&out.lock);
    for (;;) {
        while (out.len == 0) {
            pthread_cond_wait(&out.filled, &out.lock);
        }
        size_t len = take(chunk, sizeof chunk);
        out.from = (out.from + len) % BUFFER_BYTES;
        out.len -= len;
        pthread_mutex_unlock(&out.lock);
        write_all(chunk, len);
        pthread_mutex_lock(&out.lock);
        out.done_bytes += len;
        if (out.len == 0) {
            out.stalled = false;
        }
        pthread_cond_broadcast(&out.written);
    }
    return NULL;
}

/** Signals are for the other threads. */
static bool run(void)
{
    sigset_t all;
    sigset_t before;
    pthread_t thread;
    if (!out.running) {
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        out.running = pthread_create(&thread, NULL, write_on, NULL) == 0;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (out.running) {
            pthread_detach(thread);
        }
    }
    return out.running;
}

/** Whether all that was put so far is written within the time. */
static bool wait_written(int64_t limit_ms)
{
    struct timespec until;
    uint64_t want = out.put_bytes;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + limit_ms % 1000 * 1000000;
    until.tv_sec += limit_ms / 1000 + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    int late = 0;
    while (out.done_bytes < want && late == 0) {
        late = pthread_cond_timedwait(&out.written, &out.lock, &until);
    }
    return out.done_bytes >= want;
}

static bool is_file(void)
{
    struct stat info;
    return fstat(STDERR_FILENO, &info) != 0 || S_ISREG(info.st_mode);
}

void log_writer_put(const char *line, size_t len)
{
    assert(len > 0 && line[len - 1] == '\n');
    pthread_once(&out.once, init);
    pthread_mutex_lock(&out.lock);
    bool pending = out.done_bytes < out.put_bytes;
    if (!pending && (is_file() || !run())) {
        write_all(line, len);
    } else if (len > BUFFER_BYTES - out.len) {
        out.lost++;
    } else {
        size_t at = (out.from + out.len) % BUFFER_BYTES;
        size_t first = BUFFER_BYTES - at < len ? BUFFER_BYTES - at : len;
        memcpy(out.bytes + at, line, first);
        memcpy(out.bytes, line + first, len - first);
        out.len += len;
        out.put_bytes += len;
        pthread_cond_signal(&out.filled);
        if (!out.stalled && !wait_written(AWAIT_MS)) {
            out.stalled = true;
        }
    }
    pthread_mutex_unlock(&out.lock);
}

uint64_t log_writer_take_lost(void)
{
    pthread_once(&out.once, init);
    pthread_mutex_lock(&out.lock);
    uint64_t lost = BUFFER_BYTES - out.len < ROOM_TO_TELL ? 0 : out.lost;
    out.lost -= lost;
    pthread_mutex_unlock(&out.lock);
    return lost;
}

bool log_writer_flush(int64_t limit_ms)
{
    pthread_once(&out.once, init);
    pthread_mutex_lock(&out.lock);
    bool done = wait_written(limit_ms);
    pthread_mutex_unlock(&out.lock);
    return done;
}
