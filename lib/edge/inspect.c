#include "edge/inspect.h"

#include "edge/sql_text.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 64
#define CONNECT_TIMEOUT_S "10"

struct inspect {
    PGconn *conn;
};

static bool failed(PGconn *conn, const char *what, struct err *err)
{
    const char *text = PQerrorMessage(conn);
    size_t len = strlen(text);
    while (len && text[len - 1] == '\n') {
        len--;
    }
    return err_set(err, ERR_TRANSIENT, "%s: %.*s", what, (int)len, text);
}

struct inspect *inspect_open(const char *url, struct err *err)
{
    const char *const names[] = {"dbname", "application_name",
                                 "connect_timeout", "client_encoding", NULL};
    const char *const values[] = {url, "pixverse-ctl", CONNECT_TIMEOUT_S,
                                  "UTF8", NULL};
    struct inspect *inspect = calloc(1, sizeof *inspect);
    if (!inspect) {
        err_set(err, ERR_TRANSIENT, "no memory");
        return NULL;
    }
    inspect->conn = PQconnectdbParams(names, values, 1);
    if (PQstatus(inspect->conn) != CONNECTION_OK) {
        failed(inspect->conn, "PostgreSQL can't be reached", err);
        inspect_close(inspect);
        return NULL;
    }
    return inspect;
}

static const char *text_of(const char *query)
{
    char name[128];
    snprintf(name, sizeof name, "query/%s.sql", query);
    for (const struct sql_text *sql = sql_texts; sql->name; sql++) {
        if (strcmp(sql->name, name) == 0) {
            return sql->text;
        }
    }
    return NULL;
}

static void tell_rows(PGresult *result,
                      void (*on_row)(void *context, const char *const *names,
                                     const struct str *values, size_t len),
                      void *context)
{
    const char *names[COLUMNS_MAX];
    struct str values[COLUMNS_MAX];
    int columns = PQnfields(result);
    columns = columns < COLUMNS_MAX ? columns : COLUMNS_MAX;
    for (int row = 0; row < PQntuples(result); row++) {
        for (int i = 0; i < columns; i++) {
            names[i] = PQfname(result, i);
            values[i] = (struct str){0};
            if (!PQgetisnull(result, row, i)) {
                values[i].at = PQgetvalue(result, row, i);
                values[i].len = (size_t)PQgetlength(result, row, i);
            }
        }
        on_row(context, names, values, (size_t)columns);
    }
}

bool inspect_rows(struct inspect *inspect, const char *query,
                  const char *const *params, size_t params_len,
                  void (*on_row)(void *context, const char *const *names,
                                 const struct str *values, size_t len),
                  void *context, struct err *err)
{
    const char *sql = text_of(query);
    if (!sql) {
        return err_set(err, ERR_PERMANENT, "no query named %s", query);
    }
    PGresult *result = PQexecParams(inspect->conn, sql, (int)params_len, NULL,
                                    params, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);
    bool good = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
    if (!good) {
        failed(inspect->conn, query, err);
    } else if (on_row) {
        tell_rows(result, on_row, context);
    }
    PQclear(result);
    return good;
}

void inspect_close(struct inspect *inspect)
{
    PQfinish(inspect->conn);
    free(inspect);
}
