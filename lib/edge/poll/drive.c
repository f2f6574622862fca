#include "edge/poll/drive.h"

#include "core/tunnel.h"
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

#define DOUBT_PAUSE_MS 5000
#define UNACKNOWLEDGED_MS 60000u
#define READS_MAX 8
#define OUT_KEPT 65536 /* bytes for requests, between them */

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

/** false: it is broken, and what may be read from it still tells more. */
static bool write_out(struct poll_conn *conn)
{
    bool fine = true;
    assert(conn->out_at <= conn->out.len);
    while (fine && conn->out_at < conn->out.len) {
        const struct str left = {conn->out.bytes + conn->out_at,
                                 conn->out.len - conn->out_at};
        const ssize_t len = conn_write(conn, left);
        if (len == IO_AGAIN) {
            return true;
        }
        fine = len > 0;
        conn->out_at += fine ? (size_t)len : 0;
    }
    if (conn->out.size > OUT_KEPT) {
        buf_done(&conn->out);
    } else {
        buf_reset(&conn->out);
    }
    conn->out_at = 0;
    return fine;
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
    /* A reply may have come before it broke: it is read first. Nothing more
     * goes where a request may lack its end. */
    if (!write_out(conn) && conn->active > 0) {
        conn_leave(conn);
    }
    watch_open(conn);
    settle(conn);
}

/* ---- calls ---- */

enum drive_taken drive_take(struct poll_conn *conn, struct poll_call *call)
{
    assert(conn->state == CONN_OPEN);
    assert(conn_has_room(conn) && !call->conn);
    assert(!conn->poller->once || (!conn->h2 && !call->sent));
    /* Before it is asked: a yes is as good as sent. */
    if (!poller_start_clock(call) || (!conn->h2 && !h1_write(conn, call))) {
        poller_stop_clock(call);
        return DRIVE_NO_MEMORY;
    }
    if (!call->asked && call->may_send && !call->may_send(call->context)) {
        buf_reset(&conn->out);
        poller_stop_clock(call);
        return DRIVE_SHUT;
    }
    call->asked = true;
    if (conn->h2 && !h2_submit(conn, call)) {
        poller_stop_clock(call);
        return DRIVE_NO_MEMORY;
    }
    call->sent = true;
    call->conn = conn;
    conn->active++;
    conn->used_ms = loop_boot_ms(conn->poller->loop);
    list_add_tail(&conn->calls, &call->link);
    conn_note_room(conn);
    return DRIVE_TAKEN;
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

bool drive_read(struct poll_conn *conn)
{
    assert(conn->state == CONN_OPEN);
    for (int i = 0; i < READS_MAX || (conn->tls && tls_holds_bytes(conn->tls));
         i++) {
        const ssize_t len = conn_read(conn);
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

void drive_look_into(struct poll_conn *conn)
{
    if (conn->state == CONN_OPEN && conn->active == 0 && drive_read(conn) &&
        conn->tls && tls_holds_bytes(conn->tls)) {
        conn_leave(conn); /* half a record that nobody asked for */
    }
}

/* ---- the way to being open ---- */

static void open_up(struct poll_conn *conn)
{
    assert(conn->state != CONN_OPEN && conn->state != CONN_CLOSED);
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
        tls_keep_buffers(conn->tls);
        conn->room = h2_room(conn->h2);
        conn->streams = true;
    }
    conn_note_room(conn);
    conn->origin->hooks->reached(conn);
    poller_turn_within(conn->poller, 0);
    drive_flush(conn);
}

/** What conn->why says, said of the proxy. */
static void fail_proxy(struct poll_conn *conn, enum reply_end end)
{
    char why[sizeof conn->why];
    assert(conn->origin->proxy);
    snprintf(why, sizeof why, "the proxy %.60s: %.80s",
             conn->origin->proxy->name, conn->why);
    conn_fail(conn, end, why, false);
}

static void ask_proxy(struct poll_conn *conn);

static void shake(struct poll_conn *conn)
{
    assert(conn->state == CONN_SHAKING || conn->state == CONN_GREETING);
    assert(conn->tls);
    enum reply_end end = REPLY_UNREACHED;
    switch (tls_shake(conn->tls, conn->why, sizeof conn->why)) {
    case TLS_DONE:
        if (conn->state == CONN_GREETING) {
            ask_proxy(conn);
        } else {
            open_up(conn);
        }
        return;
    case TLS_WANTS_READ:
        watch(conn, UV_READABLE);
        return;
    case TLS_WANTS_WRITE:
        watch(conn, UV_WRITABLE);
        return;
    case TLS_UNTRUSTED:
        end = REPLY_UNTRUSTED;
        break;
    case TLS_FAILED:
        break;
    }
    if (conn->state == CONN_GREETING) {
        fail_proxy(conn, end);
    } else {
        conn_fail(conn, end, conn->why, false);
    }
}

/** Bytes go to the host itself from here on, and come from it. */
static void reach_host(struct poll_conn *conn)
{
    const struct poll_origin *origin = conn->origin;
    struct tls *tls = NULL;
    if (!origin->secure) {
        open_up(conn);
        return;
    }
    conn->why[0] = '\0';
    struct tls_context *context = poller_tls(conn->poller, &conn->poller->hosts,
                                             conn->why, sizeof conn->why);
    if (context) {
        tls = conn->tls ? tls_open_inside(context, conn->tls, origin->host)
                        : tls_open(context, conn->fd, origin->host);
    }
    if (tls && conn->poller->once && !tls_no_h2(tls)) {
        tls_close(tls);
        conn->tls = NULL; /* what it stood on went with it */
        tls = NULL;
    }
    if (!tls) {
        conn_fail(conn, context ? REPLY_UNREACHED : REPLY_UNTRUSTED,
                  conn->why[0] ? conn->why : "no memory for TLS", false);
        return;
    }
    conn->tls = tls;
    conn->state = CONN_SHAKING;
    shake(conn);
}

/* ---- through a proxy ---- */

/** @return  false: the answer isn't there yet, or the connection is closed. */
static bool hear_proxy(struct poll_conn *conn)
{
    int status = 0;
    enum tunnel_read read = TUNNEL_MORE;
    ssize_t len = 0;
    while (read == TUNNEL_MORE && (len = conn_read(conn)) > 0) {
        buf_add(&conn->head, conn->poller->bytes, (size_t)len);
        read = conn->head.failed ? TUNNEL_BROKEN
                                 : tunnel_read(buf_str(&conn->head), &status);
    }
    switch (read) {
    case TUNNEL_OPEN:
        return true;
    case TUNNEL_REFUSED:
        tunnel_words(conn->origin->proxy, str_of(conn->origin->behind), status,
                     conn->why, sizeof conn->why);
        conn_fail(conn, REPLY_UNREACHED, conn->why, false);
        return false;
    case TUNNEL_BROKEN:
        snprintf(conn->why, sizeof conn->why,
                 "its answer to CONNECT can't be read");
        break;
    case TUNNEL_MORE:
        if (len == IO_AGAIN) {
            const bool writes = conn->out_at < conn->out.len;
            watch(conn, UV_READABLE | (writes ? UV_WRITABLE : 0));
            return false;
        }
        if (len == 0) {
            snprintf(conn->why, sizeof conn->why, "it answers nothing");
        }
        break;
    }
    fail_proxy(conn, REPLY_UNREACHED);
    return false;
}

static void tunnel(struct poll_conn *conn)
{
    assert(conn->state == CONN_ASKING);
    if (!write_out(conn)) {
        fail_proxy(conn, REPLY_UNREACHED);
    } else if (hear_proxy(conn)) {
        explicit_bzero(conn->out.bytes, conn->out.size); /* credentials */
        buf_done(&conn->head);
        reach_host(conn);
    }
}

static void ask_proxy(struct poll_conn *conn)
{
    const struct poll_origin *origin = conn->origin;
    conn->state = CONN_ASKING;
    buf_init(&conn->head, TUNNEL_HEAD_BYTES_MAX);
    tunnel_ask(origin->proxy, str_of(origin->behind), &conn->out);
    if (conn->out.failed) {
        buf_reset(&conn->out);
        conn_fail(conn, REPLY_UNREACHED, "no memory to ask the proxy", false);
        return;
    }
    tunnel(conn);
}

static void greet_proxy(struct poll_conn *conn)
{
    const struct proxy *proxy = conn->origin->proxy;
    if (!proxy->secure) {
        ask_proxy(conn);
        return;
    }
    conn->why[0] = '\0';
    struct tls_context *context = poller_tls(
        conn->poller, &conn->poller->proxies, conn->why, sizeof conn->why);
    conn->tls = context ? tls_open_proxy(context, conn->fd, proxy->host) : NULL;
    if (!conn->tls) {
        if (!conn->why[0]) {
            snprintf(conn->why, sizeof conn->why, "no memory for TLS");
        }
        fail_proxy(conn, context ? REPLY_UNREACHED : REPLY_UNTRUSTED);
        return;
    }
    conn->state = CONN_GREETING;
    shake(conn);
}

/* ---- dialing ---- */

static void say_unreached(const struct poll_origin *origin, const char *what,
                          char *why, size_t why_bytes)
{
    snprintf(why, why_bytes, "no connection to %s%.80s: %.50s",
             origin->proxy ? "the proxy " : "",
             origin->proxy ? origin->proxy->name : origin->authority, what);
}

static void dialed(struct poll_conn *conn)
{
    assert(conn->state == CONN_DIALING && !conn->tls);
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 ||
        error) {
        say_unreached(conn->origin, strerror(error ? error : errno), conn->why,
                      sizeof conn->why);
        conn_fail(conn, REPLY_UNREACHED, conn->why, false);
        return;
    }
    if (conn->origin->proxy) {
        greet_proxy(conn);
    } else {
        reach_host(conn);
    }
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
    case CONN_ASKING:
        tunnel(conn);
        break;
    case CONN_GREETING:
    case CONN_SHAKING:
        shake(conn);
        break;
    case CONN_OPEN:
        if (!(events & UV_READABLE) || drive_read(conn)) {
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
        say_unreached(origin, strerror(errno), why, why_bytes);
        if (fd >= 0) {
            close(fd);
        }
        free(conn);
        return NULL;
    }
    conn->origin = origin;
    conn->poller = origin->poller;
    conn->fd = fd;
    conn->address = *address;
    conn->born_ms = loop_boot_ms(origin->poller->loop);
    list_init(&conn->ready);
    list_init(&conn->calls);
    http1_init(&conn->reply);
    buf_init(&conn->out, 0);
    buf_init(&conn->head, 0);
    const int code =
        uv_poll_init_socket(loop_uv(conn->poller->loop), &conn->uv, fd);
    if (code != 0) {
        say_unreached(origin, uv_strerror(code), why, why_bytes);
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
