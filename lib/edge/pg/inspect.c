#include "edge/inspect.h"

#include "edge/pg/pg.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 64

struct inspect {
    PGconn *conn;
};

struct inspect *inspect_open(const char *url, struct err *err)
{
    assert(url);
    const struct pg_address address = {.url = url, .name = "pixverse-ctl"};
    PGconn *conn = pg_connect(&address, err);
    struct inspect *inspect = conn ? malloc(sizeof *inspect) : NULL;
    if (conn && !inspect) {
        PQfinish(conn);
        err_set(err, ERR_TRANSIENT, "no memory");
    }
    if (inspect) {
        inspect->conn = conn;
    }
    return inspect;
}

static void give_rows(const PGresult *result,
                      void (*on_row)(void *context, const char *const *names,
                                     const struct str *values, size_t len),
                      void *context)
{
    const char *names[COLUMNS_MAX];
    struct str values[COLUMNS_MAX];
    int columns = PQnfields(result);
    columns = columns < COLUMNS_MAX ? columns : COLUMNS_MAX;
    for (int c = 0; c < columns; c++) {
        names[c] = PQfname(result, c);
    }
    for (int r = 0; r < PQntuples(result); r++) {
        for (int c = 0; c < columns; c++) {
            values[c] = pg_str(result, r, c);
        }
        on_row(context, names, values, (size_t)columns);
    }
}

/** A table, column or schema that isn't there. */
static bool is_schema_fault(const char *sqlstate)
{
    return strcmp(sqlstate, "42P01") == 0 || strcmp(sqlstate, "42703") == 0 ||
           strcmp(sqlstate, "3F000") == 0;
}

bool inspect_rows(struct inspect *inspect, const char *query,
                  const char *const *params, size_t params_len,
                  void (*on_row)(void *context, const char *const *names,
                                 const struct str *values, size_t len),
                  void *context, struct err *err)
{
    assert(query && on_row);
    PGresult *result =
        PQexecParams(inspect->conn, pg_sql("query", query), (int)params_len,
                     NULL, params, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);
    bool done = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
    const char *sqlstate =
        done ? NULL : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (sqlstate && is_schema_fault(sqlstate)) {
        err_set(err, ERR_PERMANENT,
                "this database has no schema of this program (%s): run "
                "pixverse-worker migrate",
                PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
    } else if (!done) {
        pg_err(err,
               PQstatus(inspect->conn) == CONNECTION_OK ? ERR_PERMANENT
                                                        : ERR_TRANSIENT,
               inspect->conn);
        err_wrap(err, "%s", query);
    } else if (on_row) {
        give_rows(result, on_row, context);
    }
    PQclear(result);
    return done;
}

static bool run(struct inspect *inspect, const char *sql, struct err *err)
{
    PGresult *result = PQexec(inspect->conn, sql);
    bool done = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (!done) {
        pg_err(err, ERR_TRANSIENT, inspect->conn);
        err_wrap(err, "%s", sql);
    }
    PQclear(result);
    return done;
}

bool inspect_begin(struct inspect *inspect, struct err *err)
{
    return run(inspect, "BEGIN", err);
}

bool inspect_commit(struct inspect *inspect, struct err *err)
{
    return run(inspect, "COMMIT", err);
}

bool inspect_rollback(struct inspect *inspect, struct err *err)
{
    return run(inspect, "ROLLBACK", err);
}

void inspect_close(struct inspect *inspect)
{
    if (inspect) {
        PQfinish(inspect->conn);
        free(inspect);
    }
}
