#ifndef EDGE_PG_POOLER_H
#define EDGE_PG_POOLER_H

#include "edge/pg/pg.h"

/**
 * A pooler between us and PostgreSQL. Locks, settings and prepared statements
 * of ours belong to a session, so one that lends a backend for a transaction or
 * a statement is refused. One in session mode will do: what another client left
 * in the backend is cleared away.
 *
 * Blocks for some seconds at most, and at once if there is no pooler.
 *
 * @param conn     Connected. Nothing is left in a backend that may be
 * another's.
 * @param address  Opens a second connection, if it must.
 * @return         false with *err: ERR_TRANSIENT.
 */
MUST_CHECK bool pg_pooler_check(PGconn *conn, const struct pg_address *address,
                                struct err *err);

/** What is said of a pooler in another mode than session mode. */
extern const char pg_pooler_words[];

#endif
