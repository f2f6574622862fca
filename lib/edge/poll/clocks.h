#ifndef EDGE_POLL_CLOCKS_H
#define EDGE_POLL_CLOCKS_H

#include "edge/poll/conn.h"

#include <stdint.h>

/** What a connection's clocks say, each second: too slow to open, too old,
 * unused, or silent. It may be closed then. */
void clocks_look(struct poll_conn *conn, int64_t now_ms);

#endif
