#ifndef EDGE_PG_PG_H
#define EDGE_PG_PG_H

#include "base/buf.h"
#include "base/err.h"

#include <libpq-fe.h>

/** What the doors to PostgreSQL share; only they include this. */

/** How long a connection waits for a host, in milliseconds. */
struct pg_patience {
    int64_t reach_ms;  /* for each of its addresses to take the connection */
    int64_t answer_ms; /* for each of its answers after that */
};

/** That of who has to be back within a lease. Names are resolved for as long as
 * the resolver takes. */
struct pg_patience pg_patience_of(int64_t lease_ms);

struct pg_address {
    const char *url;             /* libpq connection string */
    const char *password;        /* null: as the URL says */
    const char *name;            /* application_name; null: as the URL says */
    struct pg_patience patience; /* zero: seconds, as the URL says */
    /** A server that takes no writes is passed over. Of several hosts that
     * is so in any case, unless the URL says what else is wanted. */
    bool writes;
    /** In: of several hosts the one to begin with, any number; out: the one
     * that was reached. Null: the first. Only with patience. */
    size_t *turn;
};

/** Own copies of the texts; url is null without memory. They are wiped. The
 * copy has no turn. */
struct pg_address pg_address_copy(const struct pg_address *address);
void pg_address_free(struct pg_address *address);

/**
 * Connect, to a session of our own (pooler.h); blocks for at most a few
 * seconds a host. The caller finishes it.
 *
 * @return null with *err: ERR_TRANSIENT. The text holds no password.
 */
PGconn *pg_connect(const struct pg_address *address, struct err *err);

/** The same, whatever is at the other end. */
PGconn *pg_dial(const struct pg_address *address, struct err *err);

/**
 * Whether the database keeps every text, byte for byte: only UTF8 does.
 *
 * @param encoding  As server_encoding tells it.
 * @return          false with *err: ERR_PERMANENT.
 */
MUST_CHECK bool pg_encoding_fits(struct str encoding, struct err *err);

/** The message without white space at its end, in words for *err. */
bool pg_err(struct err *err, enum err_kind kind, const PGconn *conn);

/** Whether both are connected to the same host, as their URL names it. */
bool pg_same_place(const PGconn *a, const PGconn *b);

/**
 * Whether a notice says that a commit's wait for a synchronous standby was
 * ended by somebody. PostgreSQL then calls the commit done, and a failover may
 * forget it. Told by where it comes from, in any language.
 */
bool pg_is_unwaited(const PGresult *notice);

/** Text of sql/<folder>/<name>.sql; asserts that it is there. */
const char *pg_sql(const char *folder, const char *name);

/**
 * A column by its name; -1: there is none. `guess` is where it is as a rule:
 * such as come in the order in which they are asked for cost no search, and
 * libpq's makes a copy of the name each time.
 */
int pg_column(const PGresult *result, const char *name, int guess);

/** One row's values of a result. */
struct str pg_str(const PGresult *result, int row,
                  int column);                               /* absent: NULL */
int64_t pg_i64(const PGresult *result, int row, int column); /* NULL: 0 */
bool pg_bool(const PGresult *result, int row, int column);

#endif
