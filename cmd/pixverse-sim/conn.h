#ifndef SIM_CONN_H
#define SIM_CONN_H

#include "server_calls.h"

#include <uv.h>

/**
 * Inside the server: a connection, and how a reply leaves it. server.c reads
 * requests, conn.c sends replies.
 */

enum { READ_BYTES = 256 * 1024 };

struct conn;

struct server {
    uv_loop_t *loop;
    uv_tcp_t tcp;
    struct server_calls calls;
    /* The reply is out, and the client takes another: it goes on with what was
     * read. */
    void (*on_ready)(struct conn *conn);
    void (*on_gone)(struct server *server); /* a connection was freed */
    struct conn *conns;
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
    bool answered;  /* a request before */
    bool discard;   /* what comes is thrown away, until the client ends */
    bool hanging;
    bool closing;
    bool last_sent; /* of the chunks, whole or broken */
};

/** Send server->reply; it may move into the connection, which is busy then. */
void conn_send(struct conn *conn);
/** End it; `reset` with RST. Freed later, see server->on_gone(). */
void conn_close(struct conn *conn, bool reset);

#endif
