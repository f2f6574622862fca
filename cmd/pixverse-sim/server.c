#include "server.h"

#include "conn.h"

#include <stdlib.h>

enum {
    PENDING_BYTES_MAX = HTTP_HEAD_BYTES_MAX + 2 * HTTP_BODY_BYTES_MAX,
    BACKLOG = 1024,
};

static void server_free_if_done(struct server *server)
{
    if (!server->tcp_closed || server->conns) {
        return;
    }
    reply_done(&server->reply);
    buf_done(&server->out);
    buf_done(&server->scratch);
    free(server);
}

static void on_gone(struct server *server)
{
    if (server->closing) {
        server_free_if_done(server);
    }
}

static void conn_refuse(struct conn *conn, int status)
{
    struct reply *reply = &conn->server->reply;
    reply_reset(reply);
    reply->status = status;
    reply->type = "application/json";
    buf_printf(&reply->body,
               "{\"error\":{\"code\":%d,\"message\":\"%s\","
               "\"type\":\"invalid_request_error\"}}",
               status, reply_reason(status));
    conn->keep = false;
    conn->discard = true;
    conn_send(conn);
}

static void conn_continue(struct conn *conn)
{
    if (!conn->server->request.continue_wanted || conn->continued) {
        return;
    }
    conn->continued = true;
    uv_buf_t part = uv_buf_init((char *)"HTTP/1.1 100 Continue\r\n\r\n", 25);
    (void)uv_try_write((uv_stream_t *)&conn->tcp, &part, 1);
}

/** Read and answer one request; returns the bytes it took, 0 if incomplete. */
static size_t conn_read_one(struct conn *conn, struct str bytes)
{
    struct server *server = conn->server;
    size_t head = 0;
    size_t body = 0;
    int status = 400;
    enum http_read read =
        http_request_head(&server->request, bytes, &head, &status);
    if (read == HTTP_WHOLE) {
        if (!conn->head_seen) {
            conn->head_seen = true;
            if (!server->calls.on_head(server->calls.context,
                                       &server->request)) {
                conn_close(conn, false);
                return 0;
            }
        }
        read = http_request_body(
            &server->request, (struct str){bytes.at + head, bytes.len - head},
            &server->scratch, &body, &status);
        if (read == HTTP_MORE) {
            conn_continue(conn);
        }
    }
    if (read == HTTP_BAD) {
        conn_refuse(conn, status);
        return bytes.len;
    }
    if (read == HTTP_MORE) {
        return 0;
    }
    conn->head_seen = false;
    conn->continued = false;
    conn->keep = server->request.keep_alive;
    server->request.again = conn->answered;
    conn->answered = true;
    reply_reset(&server->reply);
    server->calls.on_request(server->calls.context, &server->request,
                             &server->reply);
    conn_send(conn);
    return head + body;
}

/** Answer what is whole in `bytes`; returns how much was used. */
static size_t conn_read_all(struct conn *conn, struct str bytes)
{
    size_t used = 0;
    while (used < bytes.len && !conn->busy && !conn->closing &&
           !conn->discard) {
        size_t one = conn_read_one(
            conn, (struct str){bytes.at + used, bytes.len - used});
        if (one == 0) {
            break;
        }
        used += one;
    }
    return used;
}

static void read_pending(struct conn *conn)
{
    if (conn->in.len == 0) {
        return;
    }
    size_t used = conn_read_all(conn, buf_str(&conn->in));
    if (conn->closing || used == 0) {
        return;
    }
    size_t left = conn->in.len - used;
    if (left == 0) {
        buf_done(&conn->in);
        buf_init(&conn->in, 0);
        return;
    }
    memmove(conn->in.bytes, conn->in.bytes + used, left);
    conn->in.len = left;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct conn *conn = handle->data;
    (void)suggested;
    *out = uv_buf_init(conn->server->read, READ_BYTES);
}

static void on_read_end(struct conn *conn)
{
    if (conn->busy && !conn->hanging) {
        conn->keep = false; /* it may still read what it asked for */
        uv_read_stop((uv_stream_t *)&conn->tcp);
        return;
    }
    conn_close(conn, false);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *read)
{
    struct conn *conn = stream->data;
    if (count == 0 || conn->closing) {
        return;
    }
    if (count < 0) {
        if (count == UV_EOF) {
            on_read_end(conn);
        } else {
            conn_close(conn, false);
        }
        return;
    }
    if (conn->discard) {
        return;
    }
    struct str bytes = {read->base, (size_t)count};
    if (conn->in.len == 0 && !conn->busy) {
        size_t used = conn_read_all(conn, bytes);
        if (!conn->closing && !conn->discard && used < bytes.len) {
            buf_add(&conn->in, bytes.at + used, bytes.len - used);
        }
        return;
    }
    if (conn->in.len + bytes.len > PENDING_BYTES_MAX) {
        conn_close(conn, true);
        return;
    }
    buf_add(&conn->in, bytes.at, bytes.len);
    if (!conn->busy) {
        read_pending(conn);
    }
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct server *server = stream->data;
    if (status != 0) {
        return;
    }
    struct conn *conn = calloc(1, sizeof(*conn));
    if (!conn) {
        abort();
    }
    conn->server = server;
    conn->handles = 2;
    buf_init(&conn->in, 0);
    buf_init(&conn->out, 0);
    reply_init(&conn->reply);
    uv_tcp_init(server->loop, &conn->tcp);
    uv_timer_init(server->loop, &conn->timer);
    conn->tcp.data = conn;
    conn->timer.data = conn;
    conn->next = server->conns;
    if (conn->next) {
        conn->next->prev = conn;
    }
    server->conns = conn;
    if (uv_accept(stream, (uv_stream_t *)&conn->tcp) != 0 ||
        !server->calls.on_accept(server->calls.context)) {
        conn_close(conn, false);
        return;
    }
    uv_tcp_nodelay(&conn->tcp, 1);
    if (uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read) != 0) {
        conn_close(conn, false);
    }
}

static void on_server_closed(uv_handle_t *handle)
{
    struct server *server = handle->data;
    server->tcp_closed = true;
    server_free_if_done(server);
}

bool server_open(struct server **out, uv_loop_t *loop, const char *host,
                 int port, const struct server_calls *calls, struct err *err)
{
    struct sockaddr_storage address = {0};
    if (uv_ip4_addr(host, port, (struct sockaddr_in *)&address) != 0 &&
        uv_ip6_addr(host, port, (struct sockaddr_in6 *)&address) != 0) {
        return err_set(err, ERR_PERMANENT, "%s is not an IP address", host);
    }
    struct server *server = calloc(1, sizeof(*server));
    if (!server) {
        abort();
    }
    server->loop = loop;
    server->calls = *calls;
    server->on_ready = read_pending;
    server->on_gone = on_gone;
    reply_init(&server->reply);
    buf_init(&server->out, 0);
    buf_init(&server->scratch, 0);
    uv_tcp_init(loop, &server->tcp);
    server->tcp.data = server;
    int status =
        uv_tcp_bind(&server->tcp, (const struct sockaddr *)&address, 0);
    if (status == 0) {
        status = uv_listen((uv_stream_t *)&server->tcp, BACKLOG, on_connection);
    }
    if (status != 0) {
        err_set(err, ERR_PERMANENT, "can't listen on %s:%d: %s", host, port,
                uv_strerror(status));
        server_close(server);
        return false;
    }
    *out = server;
    return true;
}

int server_port(const struct server *server)
{
    struct sockaddr_storage address = {0};
    int len = sizeof(address);
    if (uv_tcp_getsockname(&server->tcp, (struct sockaddr *)&address, &len) !=
        0) {
        return 0;
    }
    return address.ss_family == AF_INET6
               ? ntohs(((struct sockaddr_in6 *)&address)->sin6_port)
               : ntohs(((struct sockaddr_in *)&address)->sin_port);
}

void server_close(struct server *server)
{
    server->closing = true;
    for (struct conn *conn = server->conns; conn; conn = conn->next) {
        conn_close(conn, false);
    }
    uv_close((uv_handle_t *)&server->tcp, on_server_closed);
}
