#ifndef EDGE_POLL_DRIVE_H
#define EDGE_POLL_DRIVE_H

#include "edge/poll/conn.h"

/** Drives a connection: it dials, agrees on TLS and on a version of HTTP, reads
 * and writes. */

/** @return  null, with words in `why`: it can't even begin. */
struct poll_conn *drive_dial(struct poll_origin *origin,
                             const union lookup_address *address, char *why,
                             size_t why_bytes);

enum drive_taken {
    DRIVE_TAKEN,     /* the call is with it; drive_flush() sends it */
    DRIVE_SHUT,      /* may_send() said no */
    DRIVE_NO_MEMORY, /* nor was may_send() asked, with HTTP/1.1 */
};

MUST_CHECK enum drive_taken drive_take(struct poll_conn *conn,
                                       struct poll_call *call);

/** One that stands idle is looked into: whether its server has closed it
 * meanwhile, or said what nobody asked for. Then it is closed. */
void drive_look_into(struct poll_conn *conn);

/** What is to be written goes out, as far as the socket takes it. The
 * connection may be closed then. */
void drive_flush(struct poll_conn *conn);

/** A call's time is over: it is taken away, and answered. */
void drive_time_out(struct poll_conn *conn, struct poll_call *call);

/** What there is is read. @return  false: the connection is closed. */
MUST_CHECK bool drive_read(struct poll_conn *conn);

#endif
