#ifndef TESTS_EDGE_H2_SERVER_H
#define TESTS_EDGE_H2_SERVER_H

/**
 * A server of HTTP/2 over TLS that does what a path says, by nghttp2 and
 * OpenSSL, with a thread for each connection. It answers any path with {}, but
 *
 *   /never          not at all
 *   /hints          after 103, with trailers
 *   /large /flood   a body, a head over the bounds
 *   /reset          ends the stream with INTERNAL_ERROR
 *   /refused        ends it with REFUSED_STREAM, the first time
 *   /away           names, in a GOAWAY, the stream before it as the last
 *   /garbage        with bytes that are no frame
 *   /cut            closes the connection in the middle of a body
 *   /close          closes it without a word, the first time
 *   /dead           does so each time
 */

#include "edge/tls.h"

#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>

struct h2_server {
    struct tls tls;
    SSL_CTX *ctx;
    int fd;
    int port;
    uint32_t streams_max; /* 0: 100 */
    pthread_t thread;
    pthread_t threads[64];
    int fds[64]; /* under lock, as `len`; -1: closed */
    int len;
    pthread_mutex_t lock;
    atomic_int connections;
    atomic_int requests;
    atomic_int at_once; /* the most streams that were open on one connection */
    atomic_int odd;     /* times that /refused and /close did so */
    atomic_bool stopping;
    char last[512]; /* headers of the last request */
    char url[64];
};

struct h2_connection {
    struct h2_server *server;
    int slot;
    SSL *ssl;
    nghttp2_session *session;
    int open;
    char paths[128][64]; /* by stream */
    size_t sent;         /* of a large body */
    bool cut;
    bool garbage;
};

static inline ssize_t h2_body(nghttp2_session *session, int32_t stream,
                              uint8_t *out, size_t room, uint32_t *flags,
                              nghttp2_data_source *source, void *context)
{
    struct h2_connection *c = context;
    const char *path = source->ptr;
    if (strstr(path, "/large")) {
        const size_t left = (1 << 20) + 1 - c->sent;
        const size_t len = left < room ? left : room;
        memset(out, 'a', len);
        c->sent += len;
        *flags |= left == len ? NGHTTP2_DATA_FLAG_EOF : 0;
        return (ssize_t)len;
    }
    memcpy(out, "{}", 2);
    if (strstr(path, "/cut")) {
        if (c->cut) {
            return NGHTTP2_ERR_DEFERRED;
        }
        c->cut = true;
        return 2;
    }
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (strstr(path, "/hints")) {
        const nghttp2_nv trailer = {(uint8_t *)"retry-after", (uint8_t *)"9",
                                    11, 1, NGHTTP2_NV_FLAG_NONE};
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        nghttp2_submit_trailer(session, stream, &trailer, 1);
    }
    return 2;
}

#define H2_NV(name, value)                                                     \
    {                                                                          \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value),           \
            strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE                  \
    }

static inline void h2_reply(struct h2_connection *c, int32_t stream,
                            const char *path)
{
    static char value[4000];
    const nghttp2_nv hints[] = {H2_NV(":status", "103"),
                                H2_NV("retry-after", "5")};
    nghttp2_nv head[40] = {H2_NV(":status", "200"),
                           H2_NV("content-type", "application/json"),
                           H2_NV("x-empty", "")};
    size_t len = 2;
    const nghttp2_data_provider body = {.source.ptr = (void *)(uintptr_t)path,
                                        .read_callback = h2_body};
    if (strstr(path, "/hints")) {
        nghttp2_submit_headers(c->session, NGHTTP2_FLAG_NONE, stream, NULL,
                               hints, 2, NULL);
    }
    if (strstr(path, "/flood")) {
        memset(value, 'v', sizeof value - 1);
        const nghttp2_nv flood = H2_NV("x-flood", value);
        while (len < 25) {
            head[len++] = flood;
        }
    }
    nghttp2_submit_response(c->session, stream, head, len, &body);
}

/** Whether it is the first time. */
static inline bool h2_once(struct h2_connection *c)
{
    return atomic_fetch_add(&c->server->odd, 1) == 0;
}

static inline void h2_serve(struct h2_connection *c, int32_t stream,
                            const char *path)
{
    c->server->requests++;
    if (strstr(path, "/never")) {
        return;
    }
    if (strstr(path, "/reset") || (strstr(path, "/refused") && h2_once(c))) {
        nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, stream,
                                  strstr(path, "/reset")
                                      ? NGHTTP2_INTERNAL_ERROR
                                      : NGHTTP2_REFUSED_STREAM);
    } else if (strstr(path, "/away") && h2_once(c)) {
        nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE, stream - 2,
                              NGHTTP2_NO_ERROR, NULL, 0);
    } else if (strstr(path, "/dead") ||
               (strstr(path, "/close") && h2_once(c))) {
        c->cut = true;
    } else if (strstr(path, "/garbage")) {
        c->garbage = true;
    } else {
        h2_reply(c, stream, path);
    }
}

static inline int h2_on_header(nghttp2_session *session,
                               const nghttp2_frame *frame, const uint8_t *name,
                               size_t name_len, const uint8_t *value,
                               size_t len, uint8_t flags, void *context)
{
    struct h2_connection *c = context;
    char *last = c->server->last;
    (void)flags;
    pthread_mutex_lock(&c->server->lock);
    if (name_len == 7 && memcmp(name, ":method", 7) == 0) {
        last[0] = '\0';
    }
    const size_t had = strlen(last);
    snprintf(last + had, sizeof c->server->last - had, "%.*s=%.*s\n",
             (int)name_len, (const char *)name, (int)len, (const char *)value);
    pthread_mutex_unlock(&c->server->lock);
    if (name_len == 5 && memcmp(name, ":path", 5) == 0) {
        char *path = c->paths[frame->hd.stream_id / 2 % 128];
        snprintf(path, 64, "%.*s", (int)len, (const char *)value);
        nghttp2_session_set_stream_user_data(session, frame->hd.stream_id,
                                             path);
    }
    return 0;
}

static inline int h2_on_frame(nghttp2_session *session,
                              const nghttp2_frame *frame, void *context)
{
    struct h2_connection *c = context;
    if (frame->hd.type == NGHTTP2_HEADERS &&
        frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
        c->open++;
        if (c->open > c->server->at_once) {
            c->server->at_once = c->open;
        }
        h2_serve(
            c, frame->hd.stream_id,
            nghttp2_session_get_stream_user_data(session, frame->hd.stream_id));
    }
    return 0;
}

static inline int h2_on_close(nghttp2_session *session, int32_t stream,
                              uint32_t code, void *context)
{
    struct h2_connection *c = context;
    (void)code;
    (void)session;
    (void)stream;
    c->open--;
    return 0;
}

static inline nghttp2_session *h2_session(struct h2_connection *c)
{
    const uint32_t most = c->server->streams_max;
    const nghttp2_settings_entry settings = {
        NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, most ? most : 100};
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session = NULL;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, h2_on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks,
                                                         h2_on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks,
                                                           h2_on_close);
    nghttp2_option *option;
    nghttp2_option_new(&option);
    nghttp2_option_set_max_send_header_block_length(option, 1 << 20);
    nghttp2_session_server_new2(&session, callbacks, c, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, &settings, 1);
    return session;
}

static inline bool h2_say(struct h2_connection *c)
{
    const uint8_t *bytes;
    ssize_t len;
    while ((len = nghttp2_session_mem_send(c->session, &bytes)) > 0) {
        if (SSL_write(c->ssl, bytes, (int)len) <= 0) {
            return false;
        }
    }
    if (c->garbage) {
        SSL_write(c->ssl, "\xff\xff\xff\xff no frame at all, and more", 30);
        c->garbage = false;
    }
    return len == 0 && !c->cut;
}

static inline void *h2_run(void *context)
{
    struct h2_connection *c = context;
    char bytes[16384];
    if (SSL_accept(c->ssl) == 1) {
        c->session = h2_session(c);
        int len;
        while (h2_say(c) && (len = SSL_read(c->ssl, bytes, sizeof bytes)) > 0 &&
               nghttp2_session_mem_recv(c->session, (uint8_t *)bytes,
                                        (size_t)len) >= 0) {
        }
        nghttp2_session_del(c->session);
    }
    /* In order: what was said arrives, whatever was not read. */
    const int fd = SSL_get_fd(c->ssl);
    shutdown(fd, SHUT_WR);
    while (recv(fd, bytes, sizeof bytes, 0) > 0) {
    }
    pthread_mutex_lock(&c->server->lock);
    close(c->server->fds[c->slot]);
    c->server->fds[c->slot] = -1;
    pthread_mutex_unlock(&c->server->lock);
    SSL_free(c->ssl);
    free(c);
    return NULL;
}

static inline void *h2_accept(void *context)
{
    struct h2_server *server = context;
    int fd;
    while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
        struct h2_connection *c = calloc(1, sizeof *c);
        SSL *ssl = c ? SSL_new(server->ctx) : NULL;
        pthread_mutex_lock(&server->lock);
        if (server->stopping || server->len == 64 || !ssl) {
            close(fd);
            SSL_free(ssl);
            free(c);
        } else {
            c->server = server;
            c->slot = server->len;
            c->ssl = ssl;
            SSL_set_fd(c->ssl, fd);
            server->connections++;
            server->fds[server->len] = fd;
            pthread_create(&server->threads[server->len++], NULL, h2_run, c);
        }
        pthread_mutex_unlock(&server->lock);
    }
    return NULL;
}

static inline int h2_choose(SSL *ssl, const unsigned char **out,
                            unsigned char *out_len, const unsigned char *in,
                            unsigned in_len, void *context)
{
    (void)ssl;
    (void)context;
    return nghttp2_select_next_protocol((unsigned char **)(uintptr_t)out,
                                        out_len, in, in_len) == 1
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_NOACK;
}

static inline struct h2_server *h2_server_start(uint32_t streams_max)
{
    struct h2_server *server = calloc(1, sizeof *server);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    char key[80];
    server->streams_max = streams_max;
    pthread_mutex_init(&server->lock, NULL);
    server->ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_alpn_select_cb(server->ctx, h2_choose, NULL);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (!tls_certify(&server->tls, "127.0.0.1,DNS:localhost")) {
        abort();
    }
    snprintf(key, sizeof key, "%s/k.pem", server->tls.folder);
    if (SSL_CTX_use_certificate_file(server->ctx, server->tls.cert,
                                     SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_use_PrivateKey_file(server->ctx, key, SSL_FILETYPE_PEM) != 1 ||
        bind(server->fd, (struct sockaddr *)&address, len) != 0 ||
        listen(server->fd, 64) != 0 ||
        getsockname(server->fd, (struct sockaddr *)&address, &len) != 0) {
        perror("a server of HTTP/2 for the test");
        abort();
    }
    server->port = ntohs(address.sin_port);
    snprintf(server->url, sizeof server->url, "https://127.0.0.1:%d",
             server->port);
    pthread_create(&server->thread, NULL, h2_accept, server);
    return server;
}

static inline void h2_server_stop(struct h2_server *server)
{
    char command[80];
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    shutdown(server->fd, SHUT_RDWR);
    for (int i = 0; i < server->len; i++) {
        if (server->fds[i] >= 0) {
            shutdown(server->fds[i], SHUT_RDWR);
        }
    }
    pthread_mutex_unlock(&server->lock);
    pthread_join(server->thread, NULL);
    for (int i = 0; i < server->len; i++) {
        pthread_join(server->threads[i], NULL);
    }
    close(server->fd);
    SSL_CTX_free(server->ctx);
    snprintf(command, sizeof command, "rm -r %s", server->tls.folder);
    if (system(command) != 0) {
        perror(command);
    }
    free(server);
}

#endif
