#ifndef EDGE_POLL_H1_H
#define EDGE_POLL_H1_H

#include "edge/poll/conn.h"

/** HTTP/1.1 on a connection: one exchange after the other. */

/** Writes origin.h1_head; its authority is there. */
void h1_head(struct poll_origin *origin);

/** The request goes into conn.out; false: no memory. */
MUST_CHECK bool h1_write(struct poll_conn *conn, const struct poll_call *call);

/** Bytes came. @return  false: the connection is closed. */
MUST_CHECK bool h1_read(struct poll_conn *conn, struct str bytes);

/** No more bytes come, and a call waits for some. The connection is closed. */
void h1_end(struct poll_conn *conn);

#endif
