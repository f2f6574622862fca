#include "edge/s3/aws_process.h"

#include "core/aws_chain.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OUT_BYTES_MAX ((size_t)64 << 10)
#define LIMIT_MS 60000
#define LOOK_MS 100 /* whether it shall stop */
#define END_LOOK_MS 10

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void aws_process_init(struct aws_process *process)
{
    process->stop = false;
    process->ran = false;
    process->why[0] = '\0';
    buf_init(&process->out, OUT_BYTES_MAX);
}

/** 0, or the errno why not. It leads a group of its own. */
static int spawn(pid_t *pid, char **argv, int out)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP |
                                        POSIX_SPAWN_SETSIGMASK |
                                        POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    int code =
        posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    code = code ? code : posix_spawn_file_actions_adddup2(&files, out, 1);
    code = code ? code
                : posix_spawn_file_actions_addopen(&files, 2, "/dev/null",
                                                   O_WRONLY, 0);
    code =
        code ? code : posix_spawnp(pid, argv[0], &files, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return code;
}

/** A reason to kill it; null: none. */
static const char *is_over(const struct aws_process *process, int64_t until_ms)
{
    if (process->out.failed) {
        return "printed more than 64 KiB";
    }
    return process->stop            ? "was stopped"
           : clock_ms() >= until_ms ? "did not end within 60 s"
                                    : NULL;
}

/** Until it closes its output. @return  Why not; null: it has. */
static const char *read_all(struct aws_process *process, int fd,
                            int64_t until_ms)
{
    char bytes[4096];
    const char *why = NULL;
    ssize_t n = 1;
    while (n != 0 && !(why = is_over(process, until_ms))) {
        struct pollfd wait = {fd, POLLIN, 0};
        if (poll(&wait, 1, LOOK_MS) <= 0) {
            continue;
        }
        n = read(fd, bytes, sizeof bytes);
        if (n > 0) {
            buf_add(&process->out, bytes, (size_t)n);
        } else if (n < 0 && errno != EINTR) {
            break;
        }
    }
    explicit_bzero(bytes, sizeof bytes);
    return why;
}

static const char *await(struct aws_process *process, pid_t pid,
                         int64_t until_ms, int *status)
{
    const char *why = NULL;
    pid_t ended;
    while ((ended = waitpid(pid, status, WNOHANG)) == 0 &&
           !(why = is_over(process, until_ms))) {
        struct timespec pause = {0, END_LOOK_MS * 1000000};
        nanosleep(&pause, NULL);
    }
    if (ended == 0) {
        kill(-pid, SIGKILL);
        waitpid(pid, status, 0);
    }
    return why;
}

static void run(struct aws_process *process, char **argv)
{
    int ends[2];
    pid_t pid = 0;
    int status = 0;
    const int64_t until_ms = clock_ms() + LIMIT_MS;
    int code = pipe2(ends, O_CLOEXEC) == 0 ? 0 : errno;
    if (code == 0) {
        code = spawn(&pid, argv, ends[1]);
        close(ends[1]);
    }
    if (code != 0) {
        snprintf(process->why, sizeof process->why, "can't be started: %s",
                 strerror(code));
        if (pid) {
            close(ends[0]);
        }
        return;
    }
    const char *why = read_all(process, ends[0], until_ms);
    if (why) {
        kill(-pid, SIGKILL);
    }
    const char *later = await(process, pid, until_ms, &status);
    close(ends[0]);
    why = why ? why : later;
    if (why) {
        snprintf(process->why, sizeof process->why, "%s", why);
    } else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        snprintf(process->why, sizeof process->why,
                 "ended with %s %d: run it by hand, as this user, to see why",
                 WIFEXITED(status) ? "status" : "signal",
                 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    }
}

void aws_process_run(struct aws_process *process, struct str command)
{
    char *argv[AWS_ARGUMENTS_MAX + 1];
    assert(command.len > 0 && !process->ran);
    process->ran = true;
    char *text = strndup(command.at, command.len);
    if (!text) {
        snprintf(process->why, sizeof process->why, "can't be started: %s",
                 strerror(ENOMEM));
    } else if (!aws_words_of(text, argv)) {
        snprintf(process->why, sizeof process->why,
                 "is no command: a quote is open, or it has over 64 words");
    } else {
        run(process, argv);
    }
    free(text);
}
