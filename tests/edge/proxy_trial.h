#ifndef TESTS_EDGE_PROXY_TRIAL_H
#define TESTS_EDGE_PROXY_TRIAL_H

/**
 * An HTTP proxy of a few lines: it answers CONNECT with what the test says, or
 * opens a tunnel, to this machine whatever host it is asked for. And one that
 * speaks TLS before it.
 */

#include "base/proxy.h"
#include "edge/tls.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <poll.h>

#define PROXY_TUNNEL "tunnel"
#define PROXY_HOLD "hold" /* never an answer */

/* What it was told, of the last CONNECT. */
static char connect_head[4096];
static atomic_int tunnels;

/** Both ways, until one end is closed. `ssl` is over `a`, or null. */
static inline void relay(int a, SSL *ssl, int b)
{
    static _Thread_local char bytes[32768];
    struct pollfd both[] = {{a, POLLIN, 0}, {b, POLLIN, 0}};
    for (;;) {
        const bool held = ssl && SSL_pending(ssl) > 0;
        if (!held && poll(both, 2, -1) < 0 && errno != EINTR) {
            return;
        }
        if (held || (both[0].revents & (POLLIN | POLLHUP | POLLERR))) {
            const ssize_t n = ssl ? SSL_read(ssl, bytes, sizeof bytes)
                                  : recv(a, bytes, sizeof bytes, 0);
            if (n <= 0 || !web_send(b, bytes, (size_t)n)) {
                return;
            }
        }
        if (!held && (both[1].revents & (POLLIN | POLLHUP | POLLERR))) {
            const ssize_t n = recv(b, bytes, sizeof bytes, 0);
            if (n <= 0 || (ssl ? SSL_write(ssl, bytes, (int)n) <= 0
                               : !web_send(a, bytes, (size_t)n))) {
                return;
            }
        }
    }
}

static inline int dial_loopback(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/** A web_fn; the context is PROXY_TUNNEL, PROXY_HOLD or an answer. */
static inline bool serve_proxy(struct web *w, int fd, const char *request,
                               int number)
{
    const char *mode = w->context;
    const char *colon = strchr(request, ':');
    (void)number;
    snprintf(connect_head, sizeof connect_head, "%s", request);
    if (strcmp(mode, PROXY_HOLD) == 0) {
        web_hold(fd);
        return false;
    }
    if (strcmp(mode, PROXY_TUNNEL) != 0) {
        web_say(fd, mode);
        return false;
    }
    const int there = strncmp(request, "CONNECT ", 8) == 0 && colon
                          ? dial_loopback(atoi(colon + 1))
                          : -1;
    if (there < 0) {
        web_say(fd, "HTTP/1.1 502 No\r\nContent-Length: 2\r\n\r\nno");
        return false;
    }
    tunnels++;
    web_say(fd, "HTTP/1.1 200 Connection established\r\nVia: us\r\n\r\n");
    relay(fd, NULL, there);
    close(there);
    return false;
}

/* ---- TLS before it ---- */

struct front {
    struct tls tls;
    SSL_CTX *ctx;
    int fd;
    int port;
    int behind;
    pthread_t thread;
    pthread_t threads[64];
    int fds[64];
    int len;
};

struct front_line {
    struct front *front;
    int fd;
};

static inline void *front_serve(void *context)
{
    struct front_line line = *(struct front_line *)context;
    free(context);
    SSL *ssl = SSL_new(line.front->ctx);
    SSL_set_fd(ssl, line.fd);
    if (SSL_accept(ssl) == 1) {
        const int there = dial_loopback(line.front->behind);
        if (there >= 0) {
            relay(line.fd, ssl, there);
            close(there);
        }
    }
    shutdown(line.fd, SHUT_RDWR);
    SSL_free(ssl);
    return NULL;
}

static inline void *front_accept(void *context)
{
    struct front *front = context;
    int fd;
    while ((fd = accept(front->fd, NULL, NULL)) >= 0) {
        struct front_line *line = malloc(sizeof *line);
        *line = (struct front_line){front, fd};
        front->fds[front->len] = fd;
        pthread_create(&front->threads[front->len++], NULL, front_serve, line);
        if (front->len == 64) {
            abort();
        }
    }
    return NULL;
}

static inline struct front *front_start(int behind)
{
    struct front *front = calloc(1, sizeof *front);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    char key[80];
    if (!tls_certify(&front->tls, "127.0.0.1")) {
        abort();
    }
    snprintf(key, sizeof key, "%s/k.pem", front->tls.folder);
    front->behind = behind;
    front->ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate_file(front->ctx, front->tls.cert, SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(front->ctx, key, SSL_FILETYPE_PEM);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    front->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(front->fd, (struct sockaddr *)&address, len) != 0 ||
        listen(front->fd, 64) != 0 ||
        getsockname(front->fd, (struct sockaddr *)&address, &len) != 0) {
        abort();
    }
    front->port = ntohs(address.sin_port);
    pthread_create(&front->thread, NULL, front_accept, front);
    return front;
}

static inline void front_stop(struct front *front)
{
    char command[64];
    shutdown(front->fd, SHUT_RDWR);
    pthread_join(front->thread, NULL);
    for (int i = 0; i < front->len; i++) {
        shutdown(front->fds[i], SHUT_RDWR);
        pthread_join(front->threads[i], NULL);
        close(front->fds[i]);
    }
    close(front->fd);
    SSL_CTX_free(front->ctx);
    snprintf(command, sizeof command, "rm -r %s", front->tls.folder);
    if (system(command) != 0) {
        perror(command);
    }
    free(front);
}

#endif
