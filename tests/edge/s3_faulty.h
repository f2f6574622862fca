#ifndef TESTS_EDGE_S3_FAULTY_H
#define TESTS_EDGE_S3_FAULTY_H

/**
 * An S3 that answers as the test says: one connection after the other, one
 * request each. It reads bodies and notes heads; it checks nothing.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FAULTY_STEPS_MAX 16
#define FAULTY_HEAD_BYTES 16384

struct faulty_step {
    const char *starts; /* the request that is expected: "PUT /videos/…" */
    enum {
        FAULTY_ANSWER, /* read all, then say it */
        FAULTY_EARLY,  /* say it after the head, then a reset */
        FAULTY_LOSE,   /* read all, say nothing */
        FAULTY_SLOW,   /* read all, slowly, then say it */
    } how;
    int status;
    const char *headers; /* each ending in \r\n; null: none */
    const char *body;    /* null: none */
};

struct faulty {
    int fd;
    pthread_t thread;
    atomic_bool stopping;
    const struct faulty_step *steps;
    int len;
    atomic_int done; /* steps */
    char url[64];
    char heads[FAULTY_STEPS_MAX][FAULTY_HEAD_BYTES]; /* read when it is done */
    char unexpected[200];
};

static inline void faulty_say(int fd, const char *text)
{
    (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static inline bool faulty_head(int fd, char *head)
{
    size_t len = 0;
    head[0] = '\0';
    while (len + 1 < FAULTY_HEAD_BYTES && !strstr(head, "\r\n\r\n")) {
        if (recv(fd, head + len, 1, 0) != 1) {
            return false;
        }
        head[++len] = '\0';
    }
    return true;
}

static inline void faulty_body(int fd, const char *head, bool slow)
{
    const char *length = strcasestr(head, "\r\ncontent-length:");
    size_t left = length ? strtoul(length + 17, NULL, 10) : 0;
    char bytes[16384];
    if (strcasestr(head, "\r\nexpect:")) {
        faulty_say(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    while (left > 0) {
        ssize_t n =
            recv(fd, bytes, left < sizeof bytes ? left : sizeof bytes, 0);
        if (n <= 0) {
            return;
        }
        left -= (size_t)n;
        if (slow) {
            const struct timespec wait = {0, 10000000};
            nanosleep(&wait, NULL);
        }
    }
}

static inline void faulty_answer(int fd, const struct faulty_step *step,
                                 const char *head)
{
    char text[8192];
    const char *body = step->body ? step->body : "";
    bool no_body = strncmp(head, "HEAD ", 5) == 0;
    snprintf(text, sizeof text,
             "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: "
             "close\r\n%s\r\n%s",
             step->status, no_body ? 0 : strlen(body),
             step->headers ? step->headers : "", no_body ? "" : body);
    faulty_say(fd, text);
}

static inline void faulty_one(struct faulty *faulty, int fd)
{
    int at = faulty->done;
    char *head = faulty->heads[at < faulty->len ? at : faulty->len - 1];
    char own[FAULTY_HEAD_BYTES];
    if (!faulty_head(fd, own)) {
        return;
    }
    if (at >= faulty->len && strncmp(own, "GET /videos/?uploads=", 21) == 0 &&
        !strstr(own, "key-marker=")) {
        return; /* a sweep begins, of which nobody awaits the end */
    }
    const struct faulty_step *step = &faulty->steps[at];
    if (at >= faulty->len ||
        strncmp(own, step->starts, strlen(step->starts)) != 0) {
        snprintf(faulty->unexpected, sizeof faulty->unexpected, "%.150s", own);
        return;
    }
    memcpy(head, own, sizeof own);
    if (step->how == FAULTY_EARLY) {
        const struct linger linger = {.l_onoff = 1};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    } else {
        faulty_body(fd, own, step->how == FAULTY_SLOW);
    }
    faulty->done++;
    if (step->how != FAULTY_LOSE) {
        faulty_answer(fd, step, own);
    }
}

static inline void *faulty_run(void *context)
{
    struct faulty *faulty = context;
    int fd;
    while ((fd = accept(faulty->fd, NULL, NULL)) >= 0) {
        if (!faulty->stopping) {
            faulty_one(faulty, fd);
        }
        close(fd);
    }
    return NULL;
}

static inline struct faulty *faulty_start(const struct faulty_step *steps,
                                          int len)
{
    struct faulty *faulty = calloc(1, sizeof *faulty);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t address_len = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    faulty->steps = steps;
    faulty->len = len;
    faulty->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(faulty->fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(faulty->fd, 64) != 0) {
        abort();
    }
    getsockname(faulty->fd, (struct sockaddr *)&address, &address_len);
    snprintf(faulty->url, sizeof faulty->url, "http://127.0.0.1:%d",
             ntohs(address.sin_port));
    pthread_create(&faulty->thread, NULL, faulty_run, faulty);
    return faulty;
}

static inline void faulty_stop(struct faulty *faulty)
{
    faulty->stopping = true;
    shutdown(faulty->fd, SHUT_RDWR);
    pthread_join(faulty->thread, NULL);
    close(faulty->fd);
}

/** Keys of the environment and none elsewhere; or none at all. */
static inline int static_keys(void **state)
{
    (void)state;
    static const char *const names[] = {
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_ROLE_ARN",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        "AWS_ENDPOINT_URL_STS",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_CONFIG_FILE",
        "AWS_REGION",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        unsetenv(names[i]);
    }
    setenv("HOME", "/nonexistent", 1);
    setenv("AWS_ACCESS_KEY_ID", "AKIA", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    return 0;
}

static inline int no_keys(void **state)
{
    static_keys(state);
    unsetenv("AWS_ACCESS_KEY_ID");
    unsetenv("AWS_SECRET_ACCESS_KEY");
    return 0;
}

#endif
