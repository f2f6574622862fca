#include "edge/schema.h"

#include "base/str.h"
#include "edge/sql_text.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOCK "SELECT pg_advisory_lock(7304920010)"
#define CONNECT_TIMEOUT_S "10"

static bool failed(PGconn *conn, const char *what, enum err_kind kind,
                   struct err *err)
{
    const char *text = PQerrorMessage(conn);
    size_t len = strlen(text);
    while (len && text[len - 1] == '\n') {
        len--;
    }
    return err_set(err, kind, "%s: %.*s", what, (int)len, text);
}

static PGconn *open_connection(const char *url, struct err *err)
{
    const char *const names[] = {"dbname", "application_name",
                                 "connect_timeout", NULL};
    const char *const values[] = {url, "pixverse-worker migrate",
                                  CONNECT_TIMEOUT_S, NULL};
    PGconn *conn = PQconnectdbParams(names, values, 1);
    if (PQstatus(conn) == CONNECTION_OK) {
        return conn;
    }
    failed(conn, "PostgreSQL can't be reached", ERR_TRANSIENT, err);
    PQfinish(conn);
    return NULL;
}

static bool run(PGconn *conn, const char *sql, struct err *err)
{
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ||
           failed(conn, "PostgreSQL", ERR_PERMANENT, err);
}

bool schema_read_on(void *connection, struct schema_state *state,
                    struct err *err)
{
    PGconn *conn = connection;
    *state = (struct schema_state){0};
    PGresult *result = PQexec(conn, "SELECT number, program_min FROM meta");
    bool good = PQresultStatus(result) == PGRES_TUPLES_OK;
    const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    bool absent = code && strcmp(code, "42P01") == 0; /* no such table */
    if (good && PQntuples(result) == 1) {
        state->number = atoi(PQgetvalue(result, 0, 0));
        state->program_min = atoi(PQgetvalue(result, 0, 1));
    }
    PQclear(result);
    return good || absent || failed(conn, "PostgreSQL", ERR_TRANSIENT, err);
}

bool schema_read(const char *url, struct schema_state *state, struct err *err)
{
    PGconn *conn = open_connection(url, err);
    if (!conn) {
        return false;
    }
    bool good = schema_read_on(conn, state, err);
    PQfinish(conn);
    return good;
}

bool schema_fits(const struct schema_state *state, struct err *err)
{
    if (state->number == 0) {
        return err_set(err, ERR_PERMANENT,
                       "the database has no schema yet; run: pixverse-worker "
                       "migrate");
    }
    if (state->number < SCHEMA_NUMBER) {
        return err_set(err, ERR_PERMANENT,
                       "the schema is at %d and this program needs %d; run: "
                       "pixverse-worker migrate",
                       state->number, SCHEMA_NUMBER);
    }
    if (state->program_min > PROGRAM_NUMBER) {
        return err_set(err, ERR_PERMANENT,
                       "the schema asks for programs of number %d or later and "
                       "this one is %d; install a newer pixverse-worker",
                       state->program_min, PROGRAM_NUMBER);
    }
    return true;
}

/** "schema/0001_first.sql" is number 1. */
static int number_of(const char *name)
{
    const char *digits = name + strlen("schema/");
    return str_starts(str_of(name), STR("schema/")) ? atoi(digits) : 0;
}

static bool apply(PGconn *conn, const struct sql_text *sql, struct err *err)
{
    char number[128];
    snprintf(number, sizeof number, "UPDATE meta SET number = %d",
             number_of(sql->name));
    if (!run(conn, "BEGIN", err)) {
        return false;
    }
    if (run(conn, sql->text, err) && run(conn, number, err) &&
        run(conn, "COMMIT", err)) {
        return true;
    }
    (void)run(conn, "ROLLBACK", NULL);
    return err_wrap(err, "%s", sql->name);
}

static bool migrate_on(PGconn *conn,
                       void (*on_step)(void *context, int number,
                                       const char *name),
                       void *context, struct err *err)
{
    struct schema_state state;
    /* One migration at a time; the lock ends with the connection. */
    if (!run(conn, "SET client_min_messages = warning", err) ||
        !run(conn, LOCK, err) || !schema_read_on(conn, &state, err)) {
        return false;
    }
    for (const struct sql_text *sql = sql_texts; sql->name; sql++) {
        int number = number_of(sql->name);
        if (number <= state.number) {
            continue;
        }
        if (!apply(conn, sql, err)) {
            return false;
        }
        if (on_step) {
            on_step(context, number, sql->name);
        }
    }
    return true;
}

bool schema_migrate(const char *url,
                    void (*on_step)(void *context, int number, const char *name),
                    void *context, struct err *err)
{
    PGconn *conn = open_connection(url, err);
    if (!conn) {
        return false;
    }
    bool good = migrate_on(conn, on_step, context, err);
    PQfinish(conn);
    return good;
}
