#ifndef TESTS_EDGE_LINE_H
#define TESTS_EDGE_LINE_H

/**
 * A line between a client and a server of the loopback, as a proxy or a
 * router's table makes it: connections that are there can be swallowed, so that
 * their bytes vanish while they stay open; those that come later are well.
 */

#include "edge/web.h"

#include <poll.h>

#define LINE_CONNECTIONS_MAX 64

struct line {
    int fd;
    int port;
    int to_port;
    pthread_t thread;
    pthread_t threads[LINE_CONNECTIONS_MAX];
    atomic_int len;       /* connections so far */
    atomic_int swallowed; /* so many of the first are dead */
    atomic_int words;     /* bytes with which the last client began */
    atomic_int longest;   /* whoever begins with more is cut off; 0: nobody */
    atomic_bool stopping;
};

struct line_connection {
    struct line *line;
    int number;
    int fd;
    bool began;
};

static inline int line_connect(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/** One side's bytes to the other, or to nowhere; false: it has closed. */
static inline bool line_pass(struct line_connection *c, int from, int to)
{
    char bytes[16384];
    ssize_t n = recv(from, bytes, sizeof bytes, 0);
    if (n <= 0) {
        return false;
    }
    if (from == c->fd && !c->began) {
        c->began = true;
        c->line->words = (int)n;
        if (c->line->longest > 0 && n > c->line->longest) {
            return false;
        }
    }
    return c->number < c->line->swallowed || web_send(to, bytes, (size_t)n);
}

static inline void *line_run(void *context)
{
    struct line_connection *c = context;
    int far = line_connect(c->line->to_port);
    struct pollfd fds[2] = {{.fd = c->fd, .events = POLLIN},
                            {.fd = far, .events = POLLIN}};
    bool open = far >= 0;
    while (open && !c->line->stopping) {
        if (poll(fds, 2, 50) > 0) {
            open = (!fds[0].revents || line_pass(c, c->fd, far)) &&
                   (!fds[1].revents || line_pass(c, far, c->fd));
        }
    }
    close(c->fd);
    close(far);
    free(c);
    return NULL;
}

static inline void *line_accept(void *context)
{
    struct line *line = context;
    int fd;
    while ((fd = accept(line->fd, NULL, NULL)) >= 0) {
        struct line_connection *c = malloc(sizeof *c);
        if (!c || line->stopping || line->len == LINE_CONNECTIONS_MAX) {
            close(fd);
            free(c);
            continue;
        }
        /* Counted before its thread may serve it: who has an answer finds it
         * counted, and line_swallow() has it. */
        const int number = line->len++;
        *c = (struct line_connection){line, number, fd, false};
        pthread_create(&line->threads[number], NULL, line_run, c);
    }
    return NULL;
}

static inline struct line *line_start(int to_port)
{
    struct line *line = calloc(1, sizeof *line);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    line->to_port = to_port;
    line->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(line->fd, (struct sockaddr *)&address, len) != 0 ||
        listen(line->fd, 64) != 0 ||
        getsockname(line->fd, (struct sockaddr *)&address, &len) != 0) {
        perror("a line for the test");
        abort();
    }
    line->port = ntohs(address.sin_port);
    pthread_create(&line->thread, NULL, line_accept, line);
    return line;
}

/** All connections that are open now are dead from here on. */
static inline void line_swallow(struct line *line)
{
    line->swallowed = line->len;
}

static inline void line_stop(struct line *line)
{
    line->stopping = true;
    shutdown(line->fd, SHUT_RDWR);
    pthread_join(line->thread, NULL);
    for (int i = 0; i < line->len; i++) {
        pthread_join(line->threads[i], NULL);
    }
    close(line->fd);
    free(line);
}

#endif
