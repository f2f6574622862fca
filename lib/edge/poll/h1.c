#include "edge/poll/h1.h"

#include "edge/web/decode.h"

#include <assert.h>

bool h1_write(struct poll_conn *conn, const struct poll_call *call)
{
    assert(conn->active == 0 && !call->conn);
    struct buf *out = &conn->out;
    assert(out->len == 0 && conn->out_at == 0);
    buf_add_text(out, "GET ");
    buf_add_str(out, call->path);
    buf_add_text(out, " HTTP/1.1\r\nHost: ");
    buf_add_text(out, call->origin->authority);
    buf_add_text(out, "\r\nUser-Agent: pixverse-worker/" PROGRAM_VERSION
                      "\r\nAccept: application/json\r\n"
                      "Accept-Encoding: identity\r\n");
    if (call->bearer.at) {
        buf_add_text(out, "Authorization: ");
        buf_add_str(out, call->bearer);
        buf_add_text(out, "\r\n");
    }
    buf_add_text(out, "\r\n");
    if (out->failed) {
        buf_reset(out);
        return false;
    }
    http1_begin(&conn->reply);
    return true;
}

static void answer(struct poll_conn *conn, struct poll_call *call)
{
    assert(!call->conn);
    char coding[POLL_CODING_BYTES];
    http1_list(&conn->reply, "Content-Encoding", coding, sizeof coding);
    decode_label_show(coding);
    const struct poll_answer whole = {
        .end = REPLY_WHOLE,
        .status = conn->reply.status,
        .body = buf_str(&conn->reply.body),
        .retry_after = http1_header(&conn->reply, "Retry-After"),
        .content_type = http1_header(&conn->reply, "Content-Type"),
        .coding = coding,
    };
    poller_answer(call, &whole);
}

/** @return  false: it is closed. */
static bool end_call(struct poll_conn *conn, struct poll_call *call, bool more)
{
    assert(conn->active == 1 && call->conn == conn);
    /* What comes behind a reply nobody asked for, and a request of which the
     * server has read a part is none that can be followed by another. */
    const bool keeps =
        conn->reply.keeps && !more && conn->out_at == conn->out.len;
    conn->kept = true;
    conn->room = 0; /* not before the reply is used */
    conn_give_up(conn, call);
    answer(conn, call);
    conn->room = 1;
    if (!keeps || conn->left || conn->poller->closing) {
        conn_leave(conn);
        return false;
    }
    conn_note_room(conn);
    return true;
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
    switch (http1_read(&conn->reply, &bytes)) {
    case HTTP1_MORE:
        return true;
    case HTTP1_WHOLE:
        return end_call(conn, call, bytes.len > 0);
    case HTTP1_BROKEN:
        conn_fail(conn, REPLY_BROKEN, conn->reply.why, false);
        return false;
    case HTTP1_TOO_LARGE:
        break;
    }
    conn_fail(conn, REPLY_TOO_LARGE, "the body is over 1 MiB", false);
    return false;
}

void h1_end(struct poll_conn *conn)
{
    assert(!conn->h2);
    struct poll_call *call =
        LIST_OWNER(conn->calls.next, struct poll_call, link);
    assert(conn->active == 1);
    if (http1_end(&conn->reply) == HTTP1_WHOLE) {
        (void)end_call(conn, call, true);
    } else {
        conn_fail(conn, REPLY_BROKEN, conn->reply.why, false);
    }
}
