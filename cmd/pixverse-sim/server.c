#include "server.h"

#include <stdlib.h>

enum {
    READ_BYTES = 256 * 1024,
    CHUNK_BYTES = 256 * 1024,       /* of a body made while it is sent */
    AT_ONCE_BYTES_MAX = 128 * 1024, /* replies that go out by one write */
    PENDING_BYTES_MAX = HTTP_HEAD_BYTES_MAX + 2 * HTTP_BODY_BYTES_MAX,
    DISCARD_MS = 1000,
    BACKLOG = 1024,
};

struct server {
    uv_loop_t *loop;
    uv_tcp_t tcp;
    struct server_calls calls;
    struct conn *conns;
    size_t conns_count;
    bool closing;
    bool tcp_closed;
    struct http_request request; /* the one being answered */
    struct reply reply;
    struct buf out;     /* a reply that goes out at once */
    struct buf scratch; /* a chunked body put together */
    char read[READ_BYTES];
};

struct conn {
    struct server *server;
    struct conn *next, *prev;
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_write_t write;
    int handles;    /* still open, of tcp and timer */
    struct buf in;  /* read, not yet used */
    struct buf out; /* to be sent, from out_at on */
    size_t out_at;
    uint64_t sent;    /* of this reply */
    uint64_t free;    /* bytes at the front that are not paced */
    uint64_t body_at; /* of a body made while it is sent */
    struct reply reply;
    bool busy;      /* a reply is under way */
    bool head_seen; /* on_head was asked for the request being read */
    bool continued; /* 100 was sent for it */
    bool keep;      /* the client takes another reply */
    bool discard;   /* what comes is thrown away, until the client ends */
    bool hanging;
    bool closing;
    bool last_sent; /* of the chunks, whole or broken */
};

static void conn_pump(struct conn *conn);
static void conn_read_pending(struct conn *conn);

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

static void on_conn_closed(uv_handle_t *handle)
{
    struct conn *conn = handle->data;
    if (--conn->handles > 0) {
        return;
    }
    struct server *server = conn->server;
    *(conn->prev ? &conn->prev->next : &server->conns) = conn->next;
    if (conn->next) {
        conn->next->prev = conn->prev;
    }
    server->conns_count--;
    reply_done(&conn->reply);
    buf_done(&conn->in);
    buf_done(&conn->out);
    free(conn);
    if (server->closing) {
        server_free_if_done(server);
    }
}

static void conn_close(struct conn *conn, bool reset)
{
    if (conn->closing) {
        return;
    }
    conn->closing = true;
    uv_close((uv_handle_t *)&conn->timer, on_conn_closed);
    if (!reset || uv_tcp_close_reset(&conn->tcp, on_conn_closed) != 0) {
        uv_close((uv_handle_t *)&conn->tcp, on_conn_closed);
    }
}

static void on_close_timer(uv_timer_t *timer)
{
    conn_close(timer->data, false);
}

/** After a refusal in mid-request: let the client read it before the end. */
static void conn_discard(struct conn *conn)
{
    conn->discard = true;
    uv_timer_start(&conn->timer, on_close_timer, DISCARD_MS, 0);
}

static void conn_hang(struct conn *conn, uint32_t hang_ms)
{
    conn->busy = true;
    conn->hanging = true;
    if (hang_ms > 0) {
        uv_timer_start(&conn->timer, on_close_timer, hang_ms, 0);
    }
}

/** The reply is out: what now? */
static void conn_finish(struct conn *conn)
{
    const enum reply_end end = conn->reply.end;
    const uint32_t hang_ms = conn->reply.hang_ms;
    struct reply *reply = &conn->reply;
    if (reply->fill_done) {
        reply->fill_done(reply->fill_context,
                         conn->body_at == reply->fill_bytes);
        reply->fill_done = NULL;
    }
    reply_done(reply);
    reply_init(reply);
    buf_done(&conn->out);
    buf_init(&conn->out, 0);
    conn->busy = false;
    if (end == END_HANG) {
        conn_hang(conn, hang_ms);
    } else if (end == END_KEEP && conn->discard) {
        conn_discard(conn);
    } else if (end == END_KEEP && conn->keep) {
        conn_read_pending(conn);
    } else {
        conn_close(conn, end == END_RESET);
    }
}

static void compose_head(struct buf *out, const struct reply *reply, bool keep)
{
    for (uint32_t i = 0; i < reply->informational; i++) {
        buf_add_text(out, i % 2 ? "HTTP/1.1 100 Continue\r\n\r\n"
                                : "HTTP/1.1 103 Early Hints\r\n"
                                  "Link: </f>; rel=preload\r\n\r\n");
    }
    buf_add_text(out, "HTTP/1.1 ");
    buf_add_i64(out, reply->status);
    buf_add_char(out, ' ');
    buf_add_text(out, reply_reason(reply->status));
    buf_add_text(out, "\r\n");
    if (reply->type) {
        buf_add_text(out, "Content-Type: ");
        buf_add_text(out, reply->type);
        buf_add_text(out, "\r\n");
    }
    switch (reply->length) {
    case LENGTH_TRUE:
    case LENGTH_FALSE:
        buf_add_text(out, "Content-Length: ");
        buf_add_i64(out, (int64_t)(reply->length == LENGTH_TRUE
                                       ? reply_body_bytes(reply)
                                       : reply->length_told));
        buf_add_text(out, "\r\n");
        break;
    case LENGTH_NONE:
        break;
    case LENGTH_CHUNKED:
    case LENGTH_CHUNKED_BAD:
        buf_add_text(out, "Transfer-Encoding: chunked\r\n");
        break;
    }
    if (!keep || reply->end == END_CLOSE) {
        buf_add_text(out, "Connection: close\r\n");
    }
    buf_add(out, reply->head.bytes, reply->head.len);
    buf_add_text(out, "\r\n");
}

static bool is_chunked(const struct reply *reply)
{
    return reply->length == LENGTH_CHUNKED ||
           reply->length == LENGTH_CHUNKED_BAD;
}

/** Append body bytes [body_at, body_at + len) to what is to be sent. */
static void add_body(struct conn *conn, size_t len)
{
    struct reply *reply = &conn->reply;
    if (reply->fill) {
        char *room = buf_room(&conn->out, len);
        if (!room) {
            abort();
        }
        reply->fill(reply->fill_context, conn->body_at, room, len);
        buf_took(&conn->out, len);
    } else {
        buf_add(&conn->out, reply->body.bytes + conn->body_at, len);
    }
    conn->body_at += len;
}

/** Make the next part of the body ready; false at its end. */
static bool refill(struct conn *conn)
{
    struct reply *reply = &conn->reply;
    const uint64_t whole = reply->without_body ? 0 : reply_body_bytes(reply);
    const uint64_t left = whole - conn->body_at;
    buf_reset(&conn->out);
    conn->out_at = 0;
    if (!is_chunked(reply)) {
        if (left > 0) {
            add_body(conn, left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES);
        }
        return left > 0;
    }
    if (conn->last_sent) {
        return false;
    }
    if (reply->length == LENGTH_CHUNKED_BAD && conn->body_at >= whole / 2) {
        buf_add_text(&conn->out, "zz\r\nnot a chunk");
        conn->last_sent = true;
        return true;
    }
    size_t len = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
    if (reply->length == LENGTH_CHUNKED_BAD && len > whole / 2) {
        len = (size_t)(whole / 2);
    }
    if (len == 0) {
        buf_add_text(&conn->out, "0\r\n\r\n");
        conn->last_sent = true;
        return true;
    }
    buf_printf(&conn->out, "%zx\r\n", len);
    add_body(conn, len);
    buf_add_text(&conn->out, "\r\n");
    return true;
}

static void on_pace(uv_timer_t *timer)
{
    conn_pump(timer->data);
}

static void on_written(uv_write_t *write, int status)
{
    struct conn *conn = write->data;
    if (conn->closing) {
        return;
    }
    if (status != 0) {
        conn_close(conn, false);
        return;
    }
    const bool paced = conn->reply.pace_ms > 0 && conn->sent > conn->free;
    if (paced) {
        uv_timer_start(&conn->timer, on_pace, conn->reply.pace_ms, 0);
    } else {
        conn_pump(conn);
    }
}

/** Send what is ready, then what can be made, then finish. */
static void conn_pump(struct conn *conn)
{
    if (conn->out_at == conn->out.len && !refill(conn)) {
        conn_finish(conn);
        return;
    }
    size_t len = conn->out.len - conn->out_at;
    if (conn->reply.pace_ms > 0) {
        const uint64_t most = conn->sent < conn->free ? conn->free - conn->sent
                                                      : conn->reply.pace_bytes;
        len = len < most ? len : (size_t)most;
    }
    uv_buf_t part =
        uv_buf_init(conn->out.bytes + conn->out_at, (unsigned int)len);
    conn->out_at += len;
    conn->sent += len;
    conn->write.data = conn;
    if (uv_write(&conn->write, (uv_stream_t *)&conn->tcp, &part, 1,
                 on_written) != 0) {
        conn_close(conn, false);
    }
}

static void conn_begin(struct conn *conn)
{
    struct reply *reply = &conn->reply;
    if (reply->status == 0) {
        conn_finish(conn);
        return;
    }
    compose_head(&conn->out, reply, conn->keep);
    if (reply->pace_ms > 0) {
        conn->free = reply->pace_head ? 0 : conn->out.len;
    }
    conn_pump(conn);
}

static void on_delay(uv_timer_t *timer)
{
    conn_begin(timer->data);
}

/** The reply takes its time or is large: it moves into the connection. */
static void conn_take_reply(struct conn *conn)
{
    struct server *server = conn->server;
    reply_done(&conn->reply);
    conn->reply = server->reply;
    reply_init(&server->reply);
    conn->busy = true;
    conn->out_at = 0;
    conn->sent = 0;
    conn->free = 0;
    conn->body_at = 0;
    conn->last_sent = false;
    buf_reset(&conn->out);
}

static bool goes_at_once(const struct reply *reply)
{
    return reply->status != 0 && !reply->fill && !is_chunked(reply) &&
           reply->delay_ms == 0 && reply->pace_ms == 0 &&
           reply->end == END_KEEP && reply->informational == 0 &&
           reply->body.len <= AT_ONCE_BYTES_MAX &&
           reply->head.len <= AT_ONCE_BYTES_MAX;
}

/** One write; what the socket did not take goes the long way. */
static void conn_send_at_once(struct conn *conn)
{
    struct server *server = conn->server;
    struct reply *reply = &server->reply;
    buf_reset(&server->out);
    compose_head(&server->out, reply, conn->keep);
    if (!reply->without_body) {
        buf_add(&server->out, reply->body.bytes,
                (size_t)reply_body_bytes(reply));
    }
    uv_buf_t part =
        uv_buf_init(server->out.bytes, (unsigned int)server->out.len);
    int sent = uv_try_write((uv_stream_t *)&conn->tcp, &part, 1);
    if (sent < 0 && sent != UV_EAGAIN) {
        conn_close(conn, false);
        return;
    }
    if (sent == (int)server->out.len) {
        if (conn->discard) {
            conn_discard(conn);
        } else if (!conn->keep) {
            conn_close(conn, false);
        }
        return;
    }
    const size_t done = sent < 0 ? 0 : (size_t)sent;
    const size_t body =
        reply->without_body ? 0 : (size_t)reply_body_bytes(reply);
    conn_take_reply(conn);
    buf_add(&conn->out, server->out.bytes + done, server->out.len - done);
    conn->body_at = body;
    conn_pump(conn);
}

static void conn_send(struct conn *conn)
{
    if (goes_at_once(&conn->server->reply)) {
        conn_send_at_once(conn);
        return;
    }
    conn_take_reply(conn);
    if (conn->reply.delay_ms > 0) {
        uv_timer_start(&conn->timer, on_delay, conn->reply.delay_ms, 0);
    } else {
        conn_begin(conn);
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

static void conn_read_pending(struct conn *conn)
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
        conn_read_pending(conn);
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
    server->conns_count++;
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

size_t server_connections(const struct server *server)
{
    return server->conns_count;
}

void server_close(struct server *server)
{
    server->closing = true;
    for (struct conn *conn = server->conns; conn; conn = conn->next) {
        conn_close(conn, false);
    }
    uv_close((uv_handle_t *)&server->tcp, on_server_closed);
}
