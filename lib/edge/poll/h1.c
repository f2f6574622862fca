#include "edge/poll/h1.h"

#include <assert.h>
#include <stdio.h>

void h1_head(struct poll_origin *origin)
{
    const int len = snprintf(origin->h1_head, sizeof origin->h1_head,
                             " HTTP/1.1\r\nHost: %s\r\n"
                             "User-Agent: pixverse-worker/" PROGRAM_VERSION
                             "\r\nAccept: application/json\r\n"
                             "Accept-Encoding: identity\r\n",
                             origin->authority);
    assert(len > 0 && (size_t)len < sizeof origin->h1_head);
}

/** A line of a head; absent: none. */
static void add_line(struct buf *out, const char *name, struct str value)
{
    if (value.at) {
        buf_add_text(out, name);
        buf_add_str(out, value);
        buf_add(out, "\r\n", 2);
    }
}

bool h1_write(struct poll_conn *conn, const struct poll_call *call)
{
    assert(conn->active == 0 && !call->conn);
    struct buf *out = &conn->out;
    assert(out->len == 0 && conn->out_at == 0);
    const bool post = call->posted.at != NULL;
    buf_add_text(out, post ? "POST " : "GET ");
    buf_add_str(out, call->path);
    buf_add_text(out, call->origin->h1_head);
    add_line(out, "Authorization: ", call->bearer);
    add_line(out, "Idempotency-Key: ", call->key);
    if (post) {
        buf_add_text(out, "Content-Type: application/json\r\nContent-Length: ");
        buf_add_i64(out, (int64_t)call->posted.len);
        buf_add(out, "\r\n", 2);
    }
    buf_add(out, "\r\n", 2);
    buf_add_str(out, call->posted);
    if (out->failed) {
        buf_reset(out);
        return false;
    }
    http1_begin(&conn->reply);
    return true;
}

/** @return  false: it is closed. */
static bool end_call(struct poll_conn *conn, struct poll_call *call, bool more)
{
    assert(conn->active == 1 && call->conn == conn);
    /* What comes behind a reply nobody asked for, and a request of which the
     * server has read a part is none that can be followed by another. */
    const bool alone = conn->poller->once && call->fresh;
    const bool keeps =
        conn->reply.keeps && !more && conn->out_at == conn->out.len && !alone;
    conn->kept = true;
    conn->room = 0; /* not before the reply is used */
    conn_give_up(conn, call);
    conn_answer(conn, call, REPLY_WHOLE, NULL);
    conn->room = 1;
    if (!keeps || conn->left || conn->poller->closing) {
        conn_leave(conn);
        return false;
    }
    conn_note_room(conn);
    return true;
}

/** What can't be read as it should may hold an id all the same, and that of
 * what was bought counts wherever it stands, in this read or in the next one.
 * @return  false: it is closed. */
static bool spoil(struct poll_conn *conn, enum reply_end end, const char *why,
                  struct str rest)
{
    struct http1 *reply = &conn->reply;
    assert(end != REPLY_WHOLE && why);
    const bool looks = conn->poller->once && reply->status / 100 == 2;
    if (looks) {
        http1_keep(reply, rest);
        conn->spoiled = why;
        conn->spoiled_end = end;
    }
    if (!looks || http1_is_full(reply)) {
        conn_fail(conn, end, why, false);
        return false;
    }
    return true;
}

/** A length that counts characters, where some are of several bytes, leaves the
 * last ones out: an id may end in them. Nobody else's reply can stand there. */
static void keep_behind(struct poll_conn *conn, struct str rest)
{
    struct http1 *reply = &conn->reply;
    if (conn->poller->once && reply->status / 100 == 2 && reply->body.len > 0 &&
        !http1_header(reply, HTTP1_TRANSFER_ENCODING).at &&
        !http1_header(reply, HTTP1_CONTENT_ENCODING).at) {
        http1_keep(reply, rest);
    }
}

bool h1_read(struct poll_conn *conn, struct str bytes)
{
    assert(!conn->h2 && bytes.len > 0);
    if (conn->active == 0) {
        conn_leave(conn); /* nobody asked for that */
        return false;
    }
    struct poll_call *call =
        LIST_OWNER(conn->calls.next, struct poll_call, link);
    if (conn->spoiled) {
        return spoil(conn, conn->spoiled_end, conn->spoiled, bytes);
    }
    switch (http1_read(&conn->reply, &bytes)) {
    case HTTP1_MORE:
        return true;
    case HTTP1_WHOLE:
        keep_behind(conn, bytes);
        return end_call(conn, call, bytes.len > 0);
    case HTTP1_BROKEN:
        return spoil(conn, REPLY_BROKEN, conn->reply.why, bytes);
    case HTTP1_TOO_LARGE:
        break;
    }
    return spoil(conn, REPLY_TOO_LARGE, "the body is over 1 MiB", bytes);
}

void h1_end(struct poll_conn *conn)
{
    assert(!conn->h2);
    struct poll_call *call =
        LIST_OWNER(conn->calls.next, struct poll_call, link);
    assert(conn->active == 1);
    if (conn->spoiled) {
        conn_fail(conn, conn->spoiled_end, conn->spoiled, false);
    } else if (http1_end(&conn->reply) == HTTP1_WHOLE) {
        (void)end_call(conn, call, true);
    } else {
        conn_fail(conn, REPLY_BROKEN, conn->reply.why, false);
    }
}
