#ifndef EDGE_POLL_H2_H
#define EDGE_POLL_H2_H

#include "edge/poll/conn.h"

/**
 * HTTP/2 on a connection, by nghttp2, whose types stay in h2.c. It writes into
 * conn.out and ends calls itself.
 */

/** Our settings are ready to be written; false: no memory. */
MUST_CHECK bool h2_open(struct poll_conn *conn);

/** Streams that the server allows at once. */
int h2_room(const struct h2 *h2);

MUST_CHECK bool h2_submit(struct poll_conn *conn, struct poll_call *call);

/** The stream of a call that is with it no longer is reset. */
void h2_cancel(struct poll_conn *conn, struct poll_call *call);
void h2_ping(struct poll_conn *conn);

/** Bytes came; false, with words in conn.why: they are no HTTP/2. */
MUST_CHECK bool h2_read(struct poll_conn *conn, struct str bytes);

/** What it has to say goes into conn.out; false, as above. */
MUST_CHECK bool h2_write(struct poll_conn *conn);

/** It has nothing more to say, and wants to hear nothing. */
bool h2_is_over(const struct h2 *h2);

#endif
