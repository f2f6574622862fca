#include "console_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OUT_BYTES_MAX ((size_t)8 << 20)
#define ERR_BYTES_MAX ((size_t)64 << 10)
#define RUN_S_MAX 20
#define AT_ONCE_MAX 6

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t one_ended = PTHREAD_COND_INITIALIZER;
static int running;

void console_args_add(struct console_args *args, const char *word)
{
    char *copy = args->len < CONSOLE_ARGS_MAX ? strdup(word) : NULL;
    if (copy) {
        args->words[args->len++] = copy;
    } else {
        args->failed = true;
    }
}

void console_args_flag(struct console_args *args, const char *name,
                       const char *value)
{
    struct buf word;
    buf_init(&word, 0);
    buf_printf(&word, "--%s=%s", name, value);
    if (word.failed) {
        args->failed = true;
    } else {
        console_args_add(args, word.bytes);
    }
    buf_done(&word);
}

void console_args_done(struct console_args *args)
{
    for (size_t i = 0; i < args->len; i++) {
        free(args->words[i]);
    }
    *args = (struct console_args){0};
}

/** Whether a shell takes the word as it is. */
static bool is_simple(const char *word)
{
    return word[0] && !word[strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "abcdefghijklmnopqrstuvwxyz"
                                         "0123456789-_=.,:/+@%")];
}

void console_args_line(const struct console_args *args, struct buf *line)
{
    buf_add_text(line, "pixverse-ctl");
    for (size_t i = 0; i < args->len; i++) {
        const char *word = args->words[i];
        if (strcmp(word, "--json") == 0) {
            continue;
        }
        buf_add_char(line, ' ');
        if (is_simple(word)) {
            buf_add_text(line, word);
            continue;
        }
        buf_add_char(line, '\'');
        for (; *word; word++) {
            if (*word == '\'') {
                buf_add_text(line, "'\\''");
            } else {
                buf_add_char(line, *word);
            }
        }
        buf_add_char(line, '\'');
    }
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/** Appends what there is; false at its end, or when it is too much. */
static bool take(int fd, struct buf *into)
{
    char room[16384];
    ssize_t got = read(fd, room, sizeof room);
    if (got > 0) {
        buf_add(into, room, (size_t)got);
    }
    return got > 0 ? !into->failed : got < 0 && errno == EINTR;
}

/** Reads both to their ends; false: it takes too long, or says too much. */
static bool read_both(struct console_run *run, int out, int err)
{
    const int64_t until_ms = now_ms() + (int64_t)RUN_S_MAX * 1000;
    struct pollfd fds[2] = {{.fd = out, .events = POLLIN},
                            {.fd = err, .events = POLLIN}};
    struct buf *into[2] = {&run->out, &run->err};
    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        const int64_t left_ms = until_ms - now_ms();
        if (left_ms <= 0) {
            buf_reset(&run->err);
            buf_printf(&run->err, "no answer within %d s", RUN_S_MAX);
            return false;
        }
        if (poll(fds, 2, (int)left_ms) < 0 && errno != EINTR) {
            return false;
        }
        for (int i = 0; i < 2; i++) {
            if (fds[i].fd >= 0 && fds[i].revents && !take(fds[i].fd, into[i])) {
                fds[i].fd = -1;
            }
        }
        if (run->out.failed) {
            buf_reset(&run->err);
            buf_printf(&run->err, "more than %zu bytes: ask for less",
                       OUT_BYTES_MAX);
            return false;
        }
    }
    return true;
}

static pid_t start(const struct console_args *args, char *const *environment,
                   int out, int err)
{
    char *argv[CONSOLE_ARGS_MAX + 2] = {"pixverse-ctl"};
    memcpy(argv + 1, args->words, args->len * sizeof *argv);
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none; /* the console blocks what ends it */
    pid_t pid = -1;
    if (posix_spawn_file_actions_init(&files) != 0) {
        return -1;
    }
    if (posix_spawnattr_init(&how) != 0) {
        posix_spawn_file_actions_destroy(&files);
        return -1;
    }
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK);
    int fault =
        posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    fault = fault ? fault : posix_spawn_file_actions_adddup2(&files, out, 1);
    fault = fault ? fault : posix_spawn_file_actions_adddup2(&files, err, 2);
    fault = fault ? fault
                  : posix_spawn(&pid, "/proc/self/exe", &files, &how, argv,
                                environment);
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    return fault ? -1 : pid;
}

static void run_one(struct console_run *run, const struct console_args *args,
                    char *const *environment)
{
    int out[2] = {-1, -1};
    int err[2] = {-1, -1};
    pid_t pid = -1;
    if (pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0) {
        pid = start(args, environment, out[1], err[1]);
    }
    if (out[1] >= 0) {
        close(out[1]);
    }
    if (err[1] >= 0) {
        close(err[1]);
    }
    if (pid > 0) {
        int how = 0;
        const bool whole = read_both(run, out[0], err[0]);
        if (!whole) {
            kill(pid, SIGKILL);
        }
        while (waitpid(pid, &how, 0) < 0 && errno == EINTR) {
        }
        run->status = whole && WIFEXITED(how) ? WEXITSTATUS(how) : -1;
    } else {
        buf_printf(&run->err, "can't run pixverse-ctl: %s", strerror(errno));
    }
    if (out[0] >= 0) {
        close(out[0]);
    }
    if (err[0] >= 0) {
        close(err[0]);
    }
}

void console_run(struct console_run *run, const struct console_args *args,
                 char *const *environment)
{
    *run = (struct console_run){.status = -1};
    buf_init(&run->out, OUT_BYTES_MAX);
    buf_init(&run->err, ERR_BYTES_MAX);
    if (args->failed) {
        buf_add_text(&run->err, "too many words, or no memory");
        return;
    }
    pthread_mutex_lock(&lock);
    while (running >= AT_ONCE_MAX) {
        pthread_cond_wait(&one_ended, &lock);
    }
    running++;
    pthread_mutex_unlock(&lock);
    run_one(run, args, environment);
    pthread_mutex_lock(&lock);
    running--;
    pthread_cond_signal(&one_ended);
    pthread_mutex_unlock(&lock);
}

void console_run_done(struct console_run *run)
{
    buf_done(&run->out);
    buf_done(&run->err);
}
