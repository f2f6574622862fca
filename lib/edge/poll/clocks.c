#include "edge/poll/clocks.h"

#include "edge/poll/drive.h"
#include "edge/poll/h2.h"

#include <assert.h>

#define DIAL_MS 10000   /* the address and TLS */
#define UNUSED_MS 50000 /* so long a connection may stand idle */
/* The same for what is sent once: the server may close it in the very moment
 * that a request leaves. That is a doubt, and the longer it was idle the
 * likelier. */
#define ONCE_UNUSED_MS 2000
#define LIFE_MS 600000  /* names move, and who is behind an address changes */
#define SILENT_MS 5000  /* then HTTP/2 is asked for a sign of life */
#define SPOILED_MS 2000 /* the rest of what can't be read is waited for */

static void look_open(struct poll_conn *conn, int64_t now_ms)
{
    assert(conn->state == CONN_OPEN);
    const int64_t unused_ms = conn->poller->once ? ONCE_UNUSED_MS : UNUSED_MS;
    if ((conn->active == 0 && now_ms - conn->used_ms >= unused_ms) ||
        (!conn->left && now_ms - conn->born_ms >= LIFE_MS)) {
        conn_leave(conn);
        return;
    }
    if (conn->spoiled && now_ms - conn->heard_ms >= SPOILED_MS) {
        /* After one more look: where we stood still, more may be there. */
        if (drive_read(conn) && now_ms - conn->heard_ms >= SPOILED_MS) {
            conn_fail(conn, conn->spoiled_end, conn->spoiled, false);
        }
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

void clocks_look(struct poll_conn *conn, int64_t now_ms)
{
    if (conn->state == CONN_OPEN) {
        look_open(conn, now_ms);
    } else if (now_ms - conn->born_ms >= DIAL_MS) {
        const bool proxied =
            conn->state == CONN_GREETING || conn->state == CONN_ASKING;
        conn_fail(conn, REPLY_TIMED_OUT,
                  proxied ? "the proxy opened no tunnel within 10 s"
                          : "no connection within 10 s",
                  false);
    }
}
