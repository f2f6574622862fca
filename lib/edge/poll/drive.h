#ifndef EDGE_POLL_DRIVE_H
#define EDGE_POLL_DRIVE_H

#include "edge/poll/conn.h"

/** Drives a connection: it dials, agrees on TLS and on a version of HTTP, reads
 * and writes. */

/** @return  null, with words in `why`: it can't even begin. */
struct poll_conn *drive_dial(struct poll_origin *origin,
                             const union lookup_address *address, char *why,
                             size_t why_bytes);

/** The call is with it from now on; false: no memory, it is not. drive_flush()
 * sends it. */
MUST_CHECK bool drive_take(struct poll_conn *conn, struct poll_call *call);

/** What is to be written goes out, as far as the socket takes it. The
 * connection may be closed then. */
void drive_flush(struct poll_conn *conn);

/** A call's time is over: it is taken away, and answered. */
void drive_time_out(struct poll_conn *conn, struct poll_call *call);

/** What its clocks say, each second. */
void drive_look(struct poll_conn *conn, int64_t now_ms);

#endif
