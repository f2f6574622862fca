#ifndef TESTS_EDGE_WEB_H
#define TESTS_EDGE_WEB_H

/**
 * A web server of a few lines for the tests of the HTTP edges: raw sockets, a
 * thread for each connection, on a free port of the loopback. It answers what
 * the test says, byte by byte, and counts what came.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WEB_CONNECTIONS_MAX 512
#define WEB_REQUEST_BYTES (64 * 1024)

struct web;

/**
 * Answers one request; on the connection's thread.
 *
 * @param request  Head and body, NUL-terminated.
 * @param number   1 for the server's first request.
 * @return         false: close the connection.
 */
typedef bool web_fn(struct web *web, int fd, const char *request, int number);

struct web {
    int fd;
    int port;
    web_fn *serve;
    void *_Atomic context; /* a test may change it between two requests */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_t threads[WEB_CONNECTIONS_MAX]; /* under lock, as are the next */
    int fds[WEB_CONNECTIONS_MAX];           /* -1: closed */
    int len;
    atomic_int connections;
    atomic_int requests;
    atomic_bool stopping;
    /* the last request; read it when it is done */
    char last[WEB_REQUEST_BYTES];
    char url[128];
};

struct web_connection {
    struct web *web;
    int slot;
    int fd;
};

static inline void web_sleep_ms(long ms)
{
    struct timespec wait = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&wait, NULL);
}

static inline bool web_send(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static inline bool web_say(int fd, const char *text)
{
    return web_send(fd, text, strlen(text));
}

/**
 * Says it while this process stands still, for `for_ms` and a little more from
 * `after_ms` on. A child does both, the server being a thread of this process.
 * After 1.2 s libcurl has no timer left that would look into the socket by
 * chance. A busy machine may begin late: what is to end meanwhile should have
 * seconds left by then.
 */
static inline bool web_say_while_stopped(int fd, const char *text, int after_ms,
                                         int for_ms)
{
    const pid_t us = getpid();
    const pid_t child = fork();
    if (child == 0) {
        web_sleep_ms(after_ms);
        kill(us, SIGSTOP);
        web_sleep_ms(100);
        web_say(fd, text);
        web_sleep_ms(for_ms);
        kill(us, SIGCONT);
        _exit(0);
    }
    return child > 0 && waitpid(child, NULL, 0) == child;
}

/** Holds the connection until the client or the test ends it. */
static inline void web_hold(int fd)
{
    char byte;
    while (recv(fd, &byte, 1, 0) > 0) {
    }
}

/** Closes with a reset instead of an orderly end. */
static inline void web_reset(int fd)
{
    struct linger linger = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

/** Bytes of the request when it is whole; 0: not yet. */
static inline size_t web_request_bytes(const char *bytes)
{
    const char *end = strstr(bytes, "\r\n\r\n");
    if (!end) {
        return 0;
    }
    size_t head = (size_t)(end - bytes) + 4;
    const char *length = strcasestr(bytes, "\r\nContent-Length:");
    size_t body = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    return strlen(bytes) >= head + body ? head + body : 0;
}

static inline bool web_read_request(int fd, char *bytes)
{
    size_t len = 0;
    while (len + 1 < WEB_REQUEST_BYTES) {
        ssize_t n = recv(fd, bytes + len, WEB_REQUEST_BYTES - 1 - len, 0);
        if (n <= 0) {
            return false;
        }
        len += (size_t)n;
        bytes[len] = '\0';
        if (web_request_bytes(bytes)) {
            return true;
        }
    }
    return false;
}

static inline void *web_serve(void *context)
{
    struct web_connection connection = *(struct web_connection *)context;
    struct web *web = connection.web;
    char *bytes = malloc(WEB_REQUEST_BYTES);
    free(context);
    while (!web->stopping && web_read_request(connection.fd, bytes)) {
        pthread_mutex_lock(&web->lock);
        int number = ++web->requests;
        memcpy(web->last, bytes, WEB_REQUEST_BYTES);
        pthread_mutex_unlock(&web->lock);
        if (!web->serve(web, connection.fd, bytes, number)) {
            break;
        }
    }
    free(bytes);
    pthread_mutex_lock(&web->lock);
    web->fds[connection.slot] = -1;
    close(connection.fd);
    pthread_mutex_unlock(&web->lock);
    return NULL;
}

static inline void *web_accept(void *context)
{
    struct web *web = context;
    int fd;
    while ((fd = accept(web->fd, NULL, NULL)) >= 0) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct web_connection *connection = malloc(sizeof *connection);
        pthread_mutex_lock(&web->lock);
        if (web->stopping || web->len == WEB_CONNECTIONS_MAX || !connection) {
            close(fd);
            free(connection);
        } else {
            web->connections++;
            *connection = (struct web_connection){web, web->len, fd};
            web->fds[web->len] = fd;
            pthread_create(&web->threads[web->len++], NULL, web_serve,
                           connection);
        }
        pthread_mutex_unlock(&web->lock);
    }
    return NULL;
}

/**
 * A port of the loopback on which nothing listens. It stays bound while this
 * process lives, so that nobody on the machine is given it meanwhile; who sets
 * SO_REUSEADDR, as servers do, can listen there.
 */
static inline int web_free_port(void)
{
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *)&address, len) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        perror("a free port for the test");
        abort();
    }
    return ntohs(address.sin_port);
}

static inline struct web *web_start(web_fn *serve, void *context)
{
    struct web *web = calloc(1, sizeof *web);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    web->serve = serve;
    web->context = context;
    web->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(web->fd, (struct sockaddr *)&address, len) != 0 ||
        listen(web->fd, 512) != 0 ||
        getsockname(web->fd, (struct sockaddr *)&address, &len) != 0) {
        perror("a web server for the test");
        abort();
    }
    web->port = ntohs(address.sin_port);
    snprintf(web->url, sizeof web->url, "http://127.0.0.1:%d", web->port);
    pthread_mutex_init(&web->lock, NULL);
    pthread_create(&web->thread, NULL, web_accept, web);
    return web;
}

static inline void web_stop(struct web *web)
{
    pthread_mutex_lock(&web->lock);
    web->stopping = true;
    shutdown(web->fd, SHUT_RDWR);
    for (int i = 0; i < web->len; i++) {
        if (web->fds[i] >= 0) {
            shutdown(web->fds[i], SHUT_RDWR);
        }
    }
    pthread_mutex_unlock(&web->lock);
    pthread_join(web->thread, NULL);
    for (int i = 0; i < web->len; i++) {
        pthread_join(web->threads[i], NULL);
    }
    close(web->fd);
    pthread_mutex_destroy(&web->lock);
    free(web);
}

#endif
