#ifndef TESTS_EDGE_S3_STRICT_H
#define TESTS_EDGE_S3_STRICT_H

/** A store that checks all it is sent, and says what came:
 * tests/lib/strict_s3.py. */

#include "edge/s3_trial.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct strict {
    pid_t pid;
    int in; /* its standard input: it ends when that does */
    char url[64];
};

static inline void strict_start(struct strict *strict, const char *path,
                                const char *words)
{
    int in[2];
    int out[2];
    char script[500];
    char copy[200];
    snprintf(script, sizeof script, "%s/tests/lib/strict_s3.py",
             env("TEST_ROOT"));
    assert_int_equal(pipe(in) | pipe(out), 0);
    strict->pid = fork();
    if (strict->pid == 0) {
        const char *argv[12] = {"python3", script};
        size_t n = 2;
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        if (path[0]) {
            argv[n++] = "--path";
            argv[n++] = path;
        }
        snprintf(copy, sizeof copy, "%s", words);
        for (char *word = strtok(copy, " "); word && n < 11;
             word = strtok(NULL, " ")) {
            argv[n++] = word;
        }
        execvp("python3", (char **)(uintptr_t)argv);
        _exit(1);
    }
    close(in[0]);
    close(out[1]);
    strict->in = in[1];
    FILE *said = fdopen(out[0], "r");
    assert_non_null(fgets(strict->url, sizeof strict->url, said));
    strict->url[strcspn(strict->url, "\n")] = '\0';
    fclose(said);
}

static inline void strict_stop(struct strict *strict)
{
    close(strict->in);
    waitpid(strict->pid, NULL, 0);
}

/** What it says to a question of the test's own. */
static inline char *ask(const struct strict *strict, const char *path,
                        const char *body)
{
    static char text[1 << 16];
    char head[400];
    struct sockaddr_in to = {.sin_family = AF_INET};
    size_t len = 0;
    ssize_t n;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons((uint16_t)atoi(strrchr(strict->url, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    snprintf(head, sizeof head,
             "POST /-/%s HTTP/1.1\r\nConnection: close\r\nContent-Length: "
             "%zu\r\n\r\n%s",
             path, strlen(body), body);
    assert_int_equal(write(fd, head, strlen(head)), strlen(head));
    while (len + 1 < sizeof text &&
           (n = read(fd, text + len, sizeof text - 1 - len)) > 0) {
        len += (size_t)n;
    }
    close(fd);
    text[len] = '\0';
    return strstr(text, "\r\n\r\n") + 4;
}

static inline void begin_strict(struct trial *trial,
                                const struct strict *strict, const char *path,
                                const char *options)
{
    char endpoint[200];
    setenv("AWS_ACCESS_KEY_ID", "AKIATEST", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    snprintf(endpoint, sizeof endpoint, "%s%s", strict->url, path);
    begin_with(trial, endpoint, "videos", options);
}

static inline size_t count(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word)) {
        n++;
    }
    return n;
}

#endif
