#include "edge/poll/conn.h"

#include "edge/poll/tls.h"
#include "edge/web/decode.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOST_MAX 5 /* a server may close each connection after one reply */
/* One that was used again, and brought no answer to what is sent once, is a
 * server that closes sooner than it says: for so long each has a connection of
 * its own, so that it costs one doubt, not one after the other. */
#define FRESH_MS 600000

/* ---- its bytes ---- */

static ssize_t judge(struct poll_conn *conn, ssize_t len)
{
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

ssize_t conn_read(struct poll_conn *conn)
{
    char *bytes = conn->poller->bytes;
    return conn->tls ? tls_read(conn->tls, bytes, POLL_READ_BYTES, conn->why,
                                sizeof conn->why)
                     : judge(conn, recv(conn->fd, bytes, POLL_READ_BYTES, 0));
}

ssize_t conn_write(struct poll_conn *conn, struct str bytes)
{
    return conn->tls
               ? tls_write(conn->tls, bytes, conn->why, sizeof conn->why)
               : judge(conn, send(conn->fd, bytes.at, bytes.len, MSG_NOSIGNAL));
}

/* ---- its end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct poll_conn *conn = handle->data;
    http1_done(&conn->reply);
    buf_done(&conn->out);
    buf_done(&conn->head);
    free(conn);
}

void conn_close(struct poll_conn *conn)
{
    assert(conn->active == 0 && !conn->inside);
    assert(conn->state != CONN_CLOSED);
    struct poll_origin *origin = conn->origin;
    origin->conns_len -= !conn->left;
    origin->dialing -= conn->state != CONN_OPEN;
    conn->state = CONN_CLOSED;
    list_remove(&conn->link);
    list_remove(&conn->ready);
    if (conn->h2) {
        conn->h2_close(conn->h2);
    }
    tls_close(conn->tls);
    conn->h2 = NULL;
    conn->tls = NULL;
    uv_poll_stop(&conn->uv);
    uv_close((uv_handle_t *)&conn->uv, on_closed);
    close(conn->fd);
}

/** A call may go to another connection when this one, kept from before, had
 * been closed by the server: not a byte of a reply came. */
static bool may_go_on(const struct poll_conn *conn,
                      const struct poll_call *call, enum reply_end end,
                      bool again)
{
    const bool began = conn->streams ? call->head_bytes > 0 : conn->reply.began;
    const int most = again ? 2 : LOST_MAX;
    if (conn->poller->once) {
        return false; /* it was sent */
    }
    return end == REPLY_BROKEN && !began && call->lost < most &&
           (again || conn->kept);
}

void conn_answer(struct poll_conn *conn, struct poll_call *call,
                 enum reply_end end, const char *why)
{
    assert(!call->conn && !conn->streams);
    const struct http1 *reply = &conn->reply;
    char coding[POLL_CODING_BYTES];
    http1_list(reply, HTTP1_CONTENT_ENCODING, coding, sizeof coding);
    decode_label_show(coding);
    const struct poll_answer answer = {
        .end = end,
        .why = why,
        .status = reply->status,
        .body = buf_str(&reply->body),
        .retry_after = http1_header(reply, HTTP1_RETRY_AFTER),
        .content_type = http1_header(reply, HTTP1_CONTENT_TYPE),
        .coding = coding,
        .replayed = str_eq_nocase(
            http1_header(reply, HTTP1_IDEMPOTENCY_REPLAYED), STR("true")),
    };
    poller_answer(call, &answer);
}

/** An answer that breaks off may have a status already. Of a poll the rest
 * comes again; to what is sent once it may hold an id that was paid for. */
static void answer_broken(struct poll_conn *conn, struct poll_call *call,
                          enum reply_end end, const char *why)
{
    assert(!call->conn && end != REPLY_WHOLE);
    if (conn->streams || conn->reply.status < 200) {
        poller_fail(call, end, why);
        return;
    }
    if (conn->poller->once) {
        http1_keep(&conn->reply, STR(""));
    } else {
        buf_reset(&conn->reply.body);
    }
    conn_answer(conn, call, end, why);
}

/** The connections that stand idle are as old as one that was dead. */
static void drop_idle(struct poll_origin *origin)
{
    for (struct list *at = origin->conns.next; at != &origin->conns;) {
        struct poll_conn *conn = LIST_OWNER(at, struct poll_conn, link);
        at = at->next;
        if (conn->state == CONN_OPEN && conn->active == 0) {
            conn_leave(conn);
        }
    }
}

/** What was sent once over a connection that had been used, and not answered:
 * whether nothing of an answer came. */
static bool doubt_reuse(const struct poll_conn *conn, enum reply_end end)
{
    struct poller *poller = conn->poller;
    if (!poller->once || !conn->kept || conn->active == 0 ||
        (end != REPLY_BROKEN && end != REPLY_TIMED_OUT)) {
        return false;
    }
    poller->fresh_until_ms = loop_boot_ms(poller->loop) + FRESH_MS;
    return end == REPLY_BROKEN && !conn->reply.began;
}

void conn_fail(struct poll_conn *conn, enum reply_end end, const char *why,
               bool again)
{
    assert(conn->state != CONN_CLOSED && end != REPLY_WHOLE && why);
    struct list calls;
    char words[160];
    struct poll_origin *origin = conn->origin;
    const bool dialing = conn->state != CONN_OPEN;
    const bool kept = conn->kept && !conn->reply.began;
    snprintf(words, sizeof words, "%s",
             doubt_reuse(conn, end)
                 ? "a connection that had answered before was closed without "
                   "an answer to this"
                 : why);
    list_take_all(&calls, &conn->calls);
    conn->active = 0;
    if (!conn->left) {
        conn_leave(conn);
    } else {
        conn_close(conn);
    }
    if (kept && end == REPLY_BROKEN) {
        drop_idle(origin);
    }
    while (!list_is_empty(&calls)) {
        struct poll_call *call = LIST_OWNER(calls.prev, struct poll_call, link);
        list_remove(&call->link);
        call->conn = NULL;
        poller_stop_clock(call);
        if (may_go_on(conn, call, end, again)) {
            call->fresh = true;    /* others may be as dead */
            poller_put_back(call); /* the last one first */
        } else {
            answer_broken(conn, call, end, words);
        }
    }
    if (dialing) {
        origin->hooks->dial_failed(conn, end, words);
    }
}

void conn_leave(struct poll_conn *conn)
{
    if (!conn->left) {
        conn->left = true;
        conn->origin->conns_len--;
        list_remove(&conn->ready);
    }
    if (conn->active == 0 && !conn->inside) {
        conn_close(conn);
    }
}

/* ---- its calls ---- */

void conn_note_room(struct poll_conn *conn)
{
    assert(conn->active >= 0);
    const bool listed = !list_is_empty(&conn->ready);
    const bool room = conn_has_room(conn);
    if (room && !listed) {
        list_add_tail(&conn->origin->ready, &conn->ready);
    } else if (!room && listed) {
        list_remove(&conn->ready);
    }
}

bool conn_has_room(const struct poll_conn *conn)
{
    assert(conn->active >= 0 && conn->room >= 0);
    return conn->state == CONN_OPEN && !conn->left && conn->active < conn->room;
}

void conn_give_up(struct poll_conn *conn, struct poll_call *call)
{
    assert(call->conn == conn && conn->active > 0);
    poller_stop_clock(call);
    list_remove(&call->link);
    call->conn = NULL;
    conn->active--;
    conn->used_ms = loop_boot_ms(conn->poller->loop);
    conn_note_room(conn);
}
