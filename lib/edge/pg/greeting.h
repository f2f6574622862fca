#ifndef EDGE_PG_GREETING_H
#define EDGE_PG_GREETING_H

#include "core/idempotency.h"
#include "edge/pg/pg.h"

/** What a session is told before it is used (sql/query/session.sql, salt.sql).
 */

/** Why this session is of no use, in words; null: nothing. */
const char *pg_session_fault(const PGresult *session);

/** meta.salt. */
struct pg_salt {
    char bytes[SALT_BYTES];
    bool known;
};

/** @return false with *err: ERR_PERMANENT, the database has none. */
MUST_CHECK bool pg_salt_read(const PGresult *result, struct pg_salt *salt,
                             struct err *err);

/** Absent until it is known. */
struct str pg_salt_str(const struct pg_salt *salt);

#endif
