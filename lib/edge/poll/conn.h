#ifndef EDGE_POLL_CONN_H
#define EDGE_POLL_CONN_H

#include "core/http1.h"
#include "edge/loop/uv.h"
#include "edge/poll/hub.h"

/**
 * One connection to an origin: it dials one address, agrees on TLS, then
 * carries exchanges: one at a time with HTTP/1.1, many with HTTP/2. Here: the
 * calls that it has, and its end, of which its origin is told; drive.h moves
 * it on.
 */

enum conn_state {
    CONN_DIALING,
    CONN_GREETING, /* TLS with the proxy */
    CONN_ASKING,   /* the proxy, for a tunnel */
    CONN_SHAKING,
    CONN_OPEN,
    CONN_CLOSED, /* libuv has its memory still */
};

struct tls;
struct h2;

struct poll_conn {
    uv_poll_t uv;
    struct list link;  /* in origin.conns */
    struct list ready; /* in origin.ready, while it has room */
    struct poll_origin *origin;
    struct poller *poller;
    enum conn_state state;
    union lookup_address address; /* that was dialed */
    int fd;
    int watching;    /* what libuv was told */
    struct tls *tls; /* null: plain; behind a proxy it stands on that one's */
    struct buf head; /* of the proxy's answer, while it is asked */
    struct h2 *h2;   /* null: HTTP/1.1 */
    void (*h2_close)(struct h2 *h2); /* frees it */
    bool streams;                    /* it is, or was, HTTP/2 */
    struct http1 reply;
    const char *spoiled; /* why it can't be read; null: it can. What else comes
                            is kept, for the id that may stand in it */
    enum reply_end spoiled_end;
    struct list calls; /* with it */
    int active;        /* their number */
    int room;          /* for so many at once */
    bool kept;      /* it has stood idle: its server may have closed it since */
    bool inside;    /* nghttp2 is at work on it: it must not be closed */
    bool left;      /* no more calls */
    struct buf out; /* to be written */
    size_t out_at;
    int64_t born_ms;
    int64_t used_ms;  /* a call was given, or ended */
    int64_t heard_ms; /* bytes came */
    int64_t pinged_ms;
    char why[160];
};

/** Some bytes, over TLS if it has that. @return  As tls_read(), whose words go
 * into conn->why; what is read stands in poller->bytes. */
ssize_t conn_read(struct poll_conn *conn);
ssize_t conn_write(struct poll_conn *conn, struct str bytes);

/** One more call fits. */
bool conn_has_room(const struct poll_conn *conn);

/** After a change of that: its origin is told. */
void conn_note_room(struct poll_conn *conn);

/** It gets no more calls, and closes when those that it has are done. */
void conn_leave(struct poll_conn *conn);

/** Takes a call from it that has ended; it is answered afterwards. */
void conn_give_up(struct poll_conn *conn, struct poll_call *call);

/**
 * It is dead: its calls go to another connection where that may be, else they
 * end so.
 *
 * @param again  They may, though it is no kept one: nothing was answered.
 */
void conn_fail(struct poll_conn *conn, enum reply_end end, const char *why,
               bool again);

/** What HTTP/1.1 has brought until a call ended: all of its answer, or some.
 * The call is with it no longer. */
void conn_answer(struct poll_conn *conn, struct poll_call *call,
                 enum reply_end end, const char *why);

/** Without a word to its calls: it has none, or they are somebody else's. */
void conn_close(struct poll_conn *conn);

#endif
