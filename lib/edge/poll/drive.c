#include "edge/poll/drive.h"

#include "edge/poll/h1.h"
#include "edge/poll/h2.h"
#include "edge/poll/tls.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DIAL_MS 10000   /* the address and TLS */
#define UNUSED_MS 50000 /* so long a connection may stand idle */
#define LIFE_MS 600000  /* names move, and who is behind an address changes */
#define SILENT_MS 5000  /* then HTTP/2 is asked for a sign of life */
#define DOUBT_PAUSE_MS 5000
#define UNACKNOWLEDGED_MS 60000u
#define READS_MAX 8

/* ---- watching ---- */

static void on_poll(uv_poll_t *uv, int status, int events);

static void watch(struct poll_conn *conn, int events)
{
    if (conn->state == CONN_CLOSED || events == conn->watching) {
        return;
    }
    if (uv_poll_start(&conn->uv, events, on_poll) == 0) {
        conn->watching = events;
    } else {
        conn->watching = 0;
        conn_fail(conn, REPLY_BROKEN, "its socket can't be watched", false);
    }
}

static void watch_open(struct poll_conn *conn)
{
    const bool writes = conn->out_at < conn->out.len;
    if (conn->state == CONN_OPEN) {
        watch(conn, UV_READABLE | (writes ? UV_WRITABLE : 0));
    }
}

/** Left, and nothing is under way on it; or its HTTP/2 is over. */
static void settle(struct poll_conn *conn)
{
    if (conn->state != CONN_OPEN || conn->inside) {
        return;
    }
    if (conn->left && conn->active == 0) {
        conn_close(conn);
    } else if (conn->h2 && h2_is_over(conn->h2)) {
        conn_fail(conn, REPLY_BROKEN, "the server ended the connection", false);
    }
}

/* ---- bytes out ---- */

static ssize_t write_some(struct poll_conn *conn, struct str bytes)
{
    if (conn->tls) {
        return tls_write(conn->tls, bytes, conn->why, sizeof conn->why);
    }
    const ssize_t len = send(conn->fd, bytes.at, bytes.len, MSG_NOSIGNAL);
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        return IO_AGAIN;
    }
    if (len < 0) {
        snprintf(conn->why, sizeof conn->why, "the connection broke: %s",
                 strerror(errno));
        return IO_FAILED;
    }
    return len;
}

/** false: it is broken, and what may be read from it still tells more. */
static bool write_out(struct poll_conn *conn)
{
    assert(conn->out_at <= conn->out.len);
    while (conn->out_at < conn->out.len) {
        const struct str left = {conn->out.bytes + conn->out_at,
                                 conn->out.len - conn->out_at};
        const ssize_t len = write_some(conn, left);
        if (len == IO_AGAIN) {
            return true;
        }
        if (len <= 0) {
            buf_reset(&conn->out);
            conn->out_at = 0;
            return false;
        }
        conn->out_at += (size_t)len;
    }
    buf_reset(&conn->out);
    conn->out_at = 0;
    return true;
}

void drive_flush(struct poll_conn *conn)
{
    if (conn->state != CONN_OPEN) {
        return;
    }
    if (conn->h2 && !h2_write(conn)) {
        conn_fail(conn, REPLY_BROKEN, conn->why, false);
        return;
    }
    /* A reply may have come before the connection broke: it is read first. */
    (void)write_out(conn);
    watch_open(conn);
    settle(conn);
}

/* ---- calls ---- */

bool drive_take(struct poll_conn *conn, struct poll_call *call)
{
    assert(conn->state == CONN_OPEN);
    assert(conn_has_room(conn) && !call->conn);
    if (!poller_start_clock(call)) {
        return false;
    }
    if (!(conn->h2 ? h2_submit(conn, call) : h1_write(conn, call))) {
        poller_stop_clock(call);
        return false;
    }
    call->conn = conn;
    call->sent = true;
    conn->active++;
    conn->used_ms = call->since_ms;
    list_add_tail(&conn->calls, &call->link);
    conn_note_room(conn);
    return true;
}

void drive_time_out(struct poll_conn *conn, struct poll_call *call)
{
    assert(call->conn == conn && conn->state == CONN_OPEN);
    const int64_t now_ms = loop_boot_ms(conn->poller->loop);
    struct poll_origin *origin = conn->origin;
    char why[60];
    snprintf(why, sizeof why, "not done within %lld s",
             (long long)(call->timeout_ms / 1000));
    if (!conn->h2) {
        conn_fail(conn, REPLY_TIMED_OUT, why, false);
        return;
    }
    /* A server that is merely unwell shall not see a connection for each. */
    const bool silent = conn->heard_ms < call->since_ms;
    const bool doubt = silent || !origin->doubted_ms ||
                       now_ms - origin->doubted_ms >= DOUBT_PAUSE_MS;
    conn_give_up(conn, call);
    h2_cancel(conn, call);
    if (doubt) {
        origin->doubted_ms = now_ms;
        conn->inside = true; /* the reset of its stream goes out first */
        conn_leave(conn);
        conn->inside = false;
    }
    drive_flush(conn);
    poller_fail(call, REPLY_TIMED_OUT, why);
}

/* ---- bytes in ---- */

static bool read_h2(struct poll_conn *conn, struct str bytes)
{
    assert(conn->h2 && !conn->inside && bytes.len > 0);
    conn->inside = true;
    const bool read = h2_read(conn, bytes);
    conn->inside = false;
    if (!read) {
        conn_fail(conn, REPLY_BROKEN, conn->why, false);
        return false;
    }
    conn_note_room(conn);
    return true;
}

/** The server has closed its side. */
static void end_of_bytes(struct poll_conn *conn)
{
    assert(conn->state == CONN_OPEN);
    if (conn->active == 0) {
        conn_leave(conn);
    } else if (conn->h2) {
        conn_fail(conn, REPLY_BROKEN, "the server ended the connection", false);
    } else {
        h1_end(conn);
    }
}

static ssize_t read_some(struct poll_conn *conn)
{
    char *bytes = conn->poller->bytes;
    if (conn->tls) {
        return tls_read(conn->tls, bytes, POLL_READ_BYTES, conn->why,
                        sizeof conn->why);
    }
    const ssize_t len = recv(conn->fd, bytes, POLL_READ_BYTES, 0);
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        return IO_AGAIN;
    }
    if (len < 0) {
        snprintf(conn->why, sizeof conn->why, "the connection broke: %s",
                 strerror(errno));
        return IO_FAILED;
    }
    return len;
}

/** @return  false: it is closed. */
static bool read_all(struct poll_conn *conn)
{
    assert(conn->state == CONN_OPEN);
    for (int i = 0; i < READS_MAX || (conn->tls && tls_holds_bytes(conn->tls));
         i++) {
        const ssize_t len = read_some(conn);
        if (len == IO_AGAIN) {
            break;
        }
        if (len == 0) {
            end_of_bytes(conn);
            return false;
        }
        if (len < 0) {
            conn_fail(conn, REPLY_BROKEN, conn->why, false);
            return false;
        }
        conn->heard_ms = loop_boot_ms(conn->poller->loop);
        const struct str bytes = {conn->poller->bytes, (size_t)len};
        if (!(conn->h2 ? read_h2(conn, bytes) : h1_read(conn, bytes))) {
            return false;
        }
        if (len < POLL_READ_BYTES &&
            !(conn->tls && tls_holds_bytes(conn->tls))) {
            break;
        }
    }
    return true;
}

/* ---- the way to being open ---- */

static void open_up(struct poll_conn *conn)
{
    assert(conn->state == CONN_DIALING || conn->state == CONN_SHAKING);
    assert(!conn->h2 && conn->active == 0);
    conn->state = CONN_OPEN;
    conn->origin->dialing--;
    conn->room = 1;
    conn->heard_ms = loop_boot_ms(conn->poller->loop);
    conn->used_ms = conn->heard_ms;
    if (conn->tls && tls_speaks_h2(conn->tls)) {
        if (!h2_open(conn)) {
            conn_fail(conn, REPLY_BROKEN, "no memory for HTTP/2", false);
            return;
        }
        conn->room = h2_room(conn->h2);
        conn->streams = true;
    }
    conn_note_room(conn);
    conn->origin->failed = 0;
    poller_turn_within(conn->poller, 0);
    drive_flush(conn);
}

static void shake(struct poll_conn *conn)
{
    assert(conn->state == CONN_SHAKING && conn->tls);
    switch (tls_shake(conn->tls, conn->why, sizeof conn->why)) {
    case TLS_DONE:
        open_up(conn);
        return;
    case TLS_WANTS_READ:
        watch(conn, UV_READABLE);
        return;
    case TLS_WANTS_WRITE:
        watch(conn, UV_WRITABLE);
        return;
    case TLS_UNTRUSTED:
        conn_fail(conn, REPLY_UNTRUSTED, conn->why, false);
        return;
    case TLS_FAILED:
        break;
    }
    conn_fail(conn, REPLY_UNREACHED, conn->why, false);
}

static void dialed(struct poll_conn *conn)
{
    assert(conn->state == CONN_DIALING && !conn->tls);
    int error = 0;
    socklen_t len = sizeof error;
    enum reply_end end = REPLY_UNREACHED;
    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 ||
        error) {
        snprintf(conn->why, sizeof conn->why, "no connection to %.80s: %.50s",
                 conn->origin->authority, strerror(error ? error : errno));
        conn_fail(conn, REPLY_UNREACHED, conn->why, false);
        return;
    }
    if (!conn->origin->secure) {
        open_up(conn);
        return;
    }
    struct tls_context *context =
        poller_tls(conn->poller, &end, conn->why, sizeof conn->why);
    conn->tls =
        context ? tls_open(context, conn->fd, conn->origin->host) : NULL;
    if (!conn->tls) {
        conn_fail(conn, end, conn->why[0] ? conn->why : "no memory for TLS",
                  false);
        return;
    }
    conn->state = CONN_SHAKING;
    shake(conn);
}

static void on_poll(uv_poll_t *uv, int status, int events)
{
    struct poll_conn *conn = uv->data;
    struct poll_origin *origin = conn->origin;
    if (status < 0) {
        conn->watching = 0; /* libuv has stopped by itself; the socket tells */
        events = UV_READABLE | UV_WRITABLE;
    }
    switch (conn->state) {
    case CONN_DIALING:
        dialed(conn);
        break;
    case CONN_SHAKING:
        shake(conn);
        break;
    case CONN_OPEN:
        if (!(events & UV_READABLE) || read_all(conn)) {
            drive_flush(conn);
        }
        break;
    case CONN_CLOSED:
        return;
    }
    if (!list_is_empty(&origin->waiting)) {
        origin->hooks->turn(origin);
    }
}

static int open_socket(int family)
{
    const unsigned wait_ms = UNACKNOWLEDGED_MS;
    const int on = 1;
    const int fd =
        socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        /* Where the kernel doesn't know them, our own clocks do. */
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &wait_ms, sizeof wait_ms);
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    return fd;
}

struct poll_conn *drive_dial(struct poll_origin *origin,
                             const union lookup_address *address, char *why,
                             size_t why_bytes)
{
    assert(address->any.sa_family == AF_INET ||
           address->any.sa_family == AF_INET6);
    const socklen_t len = address->any.sa_family == AF_INET
                              ? sizeof address->v4
                              : sizeof address->v6;
    struct poll_conn *conn = calloc(1, sizeof *conn);
    const int fd = conn ? open_socket(address->any.sa_family) : -1;
    if (fd < 0 || (connect(fd, &address->any, len) != 0 &&
                   errno != EINPROGRESS && errno != EINTR)) {
        snprintf(why, why_bytes, "no connection to %.80s: %.50s",
                 origin->authority, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        free(conn);
        return NULL;
    }
    conn->origin = origin;
    conn->poller = origin->poller;
    conn->fd = fd;
    conn->born_ms = loop_boot_ms(origin->poller->loop);
    list_init(&conn->ready);
    list_init(&conn->calls);
    http1_init(&conn->reply);
    buf_init(&conn->out, 0);
    const int code =
        uv_poll_init_socket(loop_uv(conn->poller->loop), &conn->uv, fd);
    if (code != 0) {
        snprintf(why, why_bytes, "no connection to %.80s: %.50s",
                 origin->authority, uv_strerror(code));
        close(fd);
        free(conn);
        return NULL;
    }
    conn->uv.data = conn;
    list_add_tail(&origin->conns, &conn->link);
    origin->conns_len++;
    origin->dialing++;
    conn->watching = UV_WRITABLE;
    if (uv_poll_start(&conn->uv, UV_WRITABLE, on_poll) != 0) {
        snprintf(why, why_bytes, "its socket can't be watched");
        conn_close(conn);
        return NULL;
    }
    return conn;
}

/* ---- its clocks ---- */

static void look_open(struct poll_conn *conn, int64_t now_ms)
{
    assert(conn->state == CONN_OPEN);
    if (conn->active == 0 && now_ms - conn->used_ms >= UNUSED_MS) {
        conn_leave(conn);
        return;
    }
    if (!conn->left && now_ms - conn->born_ms >= LIFE_MS) {
        conn_leave(conn);
        return;
    }
    if (!conn->h2 || conn->active == 0) {
        return;
    }
    const struct poll_call *first =
        LIST_OWNER(conn->calls.next, struct poll_call, link);
    const int64_t since_ms =
        conn->heard_ms > first->since_ms ? conn->heard_ms : first->since_ms;
    const bool asked = conn->pinged_ms > conn->heard_ms;
    if (asked && now_ms - conn->pinged_ms >= SILENT_MS) {
        conn_fail(conn, REPLY_BROKEN, "the connection fell silent", true);
    } else if (!asked && now_ms - since_ms >= SILENT_MS) {
        conn->pinged_ms = now_ms;
        h2_ping(conn);
        drive_flush(conn);
    }
}

void drive_look(struct poll_conn *conn, int64_t now_ms)
{
    if (conn->state == CONN_OPEN) {
        look_open(conn, now_ms);
    } else if (now_ms - conn->born_ms >= DIAL_MS) {
        conn_fail(conn, REPLY_TIMED_OUT, "no connection within 10 s", false);
    }
}
