#include "edge/pg/pg.h"
#include "edge/pg/pooler.h"

PGconn *pg_connect(const struct pg_address *address, struct err *err)
{
    PGconn *conn = pg_dial(address, err);
    if (conn && !pg_pooler_check(conn, address, err)) {
        PQfinish(conn);
        conn = NULL;
    }
    return conn;
}
