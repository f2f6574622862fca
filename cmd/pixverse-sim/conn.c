#include "conn.h"

#include <stdlib.h>

enum {
    CHUNK_BYTES = 256 * 1024,       /* of a body made while it is sent */
    AT_ONCE_BYTES_MAX = 128 * 1024, /* replies that go out by one write */
    DISCARD_MS = 1000,
};

static void conn_pump(struct conn *conn);

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
    reply_done(&conn->reply);
    buf_done(&conn->in);
    buf_done(&conn->out);
    free(conn);
    server->on_gone(server);
}

void conn_close(struct conn *conn, bool reset)
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
        conn->server->on_ready(conn);
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

void conn_send(struct conn *conn)
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
