#include "edge/schema.h"

#include "edge/pg/pg.h"
#include "edge/pg/sql_text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Workers go on meanwhile. Behind one that waits to change a table (a long dump
 * reads it) all others wait, too: so it waits for less than a lease bears,
 * gives back what it has, and tries again. For more than deadlock_timeout (1
 * s), since an autovacuum gives way only then. */
#define LOCK_WAIT_SQL "SET LOCAL lock_timeout = '1500ms'"
#define APPLY_TRIES 60
#define APPLY_PAUSE_MS 500

#define LOCK_SQL "SELECT pg_advisory_lock(7264930518)"
#define POSTGRES_MIN 150000 /* pg_terminate_backend with a limit is from 14 */

/** A lock was not to be had, or two waited for each other. */
static bool is_in_use(const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return state &&
           (strcmp(state, "55P03") == 0 || strcmp(state, "40P01") == 0);
}

/** *in_use, unless null: whether that was why. */
static bool run_tried(PGconn *conn, const char *sql, bool *in_use,
                      struct err *err)
{
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    if (in_use) {
        *in_use = is_in_use(result);
    }
    PQclear(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        return pg_err(err,
                      PQstatus(conn) == CONNECTION_OK ? ERR_PERMANENT
                                                      : ERR_TRANSIENT,
                      conn);
    }
    return true;
}

static bool run(PGconn *conn, const char *sql, struct err *err)
{
    return run_tried(conn, sql, NULL, err);
}

static bool read_state(PGconn *conn, struct schema_state *state,
                       struct err *err)
{
    PGresult *result = PQexec(conn, pg_sql("query", "schema"));
    bool done = PQresultStatus(result) == PGRES_TUPLES_OK;
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (done && PQntuples(result) == 1) {
        *state = (struct schema_state){(int)pg_i64(result, 0, 0),
                                       (int)pg_i64(result, 0, 1)};
    } else if (done || (sqlstate && strcmp(sqlstate, "42P01") == 0)) {
        *state = (struct schema_state){0};
        done = true;
    } else {
        pg_err(err, ERR_TRANSIENT, conn);
    }
    PQclear(result);
    return done;
}

static bool keeps_texts(PGconn *conn, struct err *err)
{
    const char *encoding = PQparameterStatus(conn, "server_encoding");
    return pg_encoding_fits(str_of(encoding ? encoding : "unknown"), err);
}

bool schema_read(const char *url, struct schema_state *state, struct err *err)
{
    assert(url && state);
    const struct pg_address address = {.url = url};
    PGconn *conn = pg_connect(&address, err);
    if (!conn) {
        return false;
    }
    bool done = keeps_texts(conn, err) && read_state(conn, state, err);
    PQfinish(conn);
    return done;
}

static bool apply_once(PGconn *conn, const struct sql_text *file, int number,
                       bool *in_use, struct err *err)
{
    struct schema_state state = {0};
    bool done = run(conn, "BEGIN", err) && run(conn, LOCK_WAIT_SQL, err) &&
                run_tried(conn, file->text, in_use, err) &&
                read_state(conn, &state, err);
    if (done && state.number != number) {
        done =
            err_set(err, ERR_FATAL, "it leaves the schema at %d", state.number);
    }
    if (done && run(conn, "COMMIT", err)) {
        return true;
    }
    run(conn, "ROLLBACK", NULL);
    return false;
}

static bool apply(PGconn *conn, const struct sql_text *file, int number,
                  struct err *err)
{
    for (int tries = 1;; tries++) {
        bool in_use = false;
        if (apply_once(conn, file, number, &in_use, err)) {
            return true;
        }
        if (!in_use || tries == APPLY_TRIES) {
            return err_wrap(
                err,
                in_use ? "%s: its tables are in use: end what holds them "
                         "(a dump, an old transaction: pg_stat_activity "
                         "has it), then migrate again"
                       : "%s",
                file->name);
        }
        nanosleep(&(struct timespec){.tv_nsec = APPLY_PAUSE_MS * 1000000L},
                  NULL);
        *err = (struct err){0};
    }
}

/** Made before the first release: nothing leads from there to here. */
static bool is_too_old(const struct schema_state *state, struct err *err)
{
    if (state->number == 0 || state->number >= SCHEMA_FIRST) {
        return false;
    }
    err_set(err, ERR_PERMANENT,
            "the schema is at %d, which no migration leads from (the oldest is "
            "%d): give DATABASE_URL an empty database and run "
            "`pixverse-worker migrate`",
            state->number, SCHEMA_FIRST);
    return true;
}

static bool apply_missing(PGconn *conn,
                          void (*on_step)(void *context, int number,
                                          const char *name),
                          void *context, struct err *err)
{
    struct schema_state state = {0};
    if (!read_state(conn, &state, err) || is_too_old(&state, err)) {
        return false;
    }
    for (const struct sql_text *at = sql_texts; at->name; at++) {
        if (strncmp(at->name, "schema/", 7) != 0) {
            continue;
        }
        int number = (int)strtol(at->name + 7, NULL, 10);
        if (number <= state.number) {
            continue;
        }
        if (!apply(conn, at, number, err)) {
            return false;
        }
        if (on_step) {
            on_step(context, number, at->name + 7);
        }
    }
    return true;
}

bool schema_migrate(const char *url,
                    void (*on_step)(void *context, int number,
                                    const char *name),
                    void *context, struct err *err)
{
    assert(url);
    const struct pg_address address = {.url = url, .writes = true};
    PGconn *conn = pg_connect(&address, err);
    if (!conn) {
        return false;
    }
    bool done = PQserverVersion(conn) >= POSTGRES_MIN ||
                err_set(err, ERR_PERMANENT,
                        "PostgreSQL 15 or later is needed, this is %d",
                        PQserverVersion(conn) / 10000);
    /* The lock ends with the session. */
    done = done && keeps_texts(conn, err) && run(conn, LOCK_SQL, err) &&
           apply_missing(conn, on_step, context, err);
    PQfinish(conn);
    return done;
}

/* ---- a copy for trials ---- */

static bool copy_look(PGconn *conn, struct schema_copy *copy, struct err *err)
{
    PGresult *result = PQexec(conn, pg_sql("query", "copy_look"));
    bool done = PQresultStatus(result) == PGRES_TUPLES_OK;
    int64_t sessions = done ? pg_i64(result, 0, 2) : 0;
    if (!done) {
        pg_err(err, ERR_PERMANENT, conn);
    } else if (sessions > 0) {
        done = err_set(err, ERR_PERMANENT,
                       "%lld sessions of workers are connected to it: is this "
                       "the copy? Stop them first",
                       (long long)sessions);
    } else {
        snprintf(copy->database, sizeof copy->database, "%s",
                 PQgetvalue(result, 0, 0));
        copy->open = pg_i64(result, 0, 1);
    }
    PQclear(result);
    return done;
}

static bool with_conn(const char *url, struct schema_copy *copy,
                      const char *write, struct err *err)
{
    assert(url && copy);
    const struct pg_address address = {.url = url, .writes = true};
    PGconn *conn = pg_connect(&address, err);
    if (!conn) {
        return false;
    }
    bool done = (!write || run(conn, LOCK_SQL, err)) &&
                copy_look(conn, copy, err) &&
                (!write || run(conn, pg_sql("query", write), err));
    PQfinish(conn);
    return done;
}

bool schema_copy_look(const char *url, struct schema_copy *copy,
                      struct err *err)
{
    return with_conn(url, copy, NULL, err);
}

bool schema_copy(const char *url, struct schema_copy *copy, struct err *err)
{
    return with_conn(url, copy, "copy", err);
}

bool schema_fits(const struct schema_state *state, struct err *err)
{
    if (state->number == 0) {
        return err_set(err, ERR_PERMANENT,
                       "the database has no schema: run `pixverse-worker "
                       "migrate`");
    }
    if (is_too_old(state, err)) {
        return false;
    }
    if (state->number < SCHEMA_NUMBER) {
        return err_set(err, ERR_PERMANENT,
                       "the schema is at %d, this program needs %d: run "
                       "`pixverse-worker migrate`",
                       state->number, SCHEMA_NUMBER);
    }
    if (state->program_min > PROGRAM_NUMBER) {
        return err_set(err, ERR_PERMANENT,
                       "the schema asks for program %d or later, this is %d: "
                       "run a newer release",
                       state->program_min, PROGRAM_NUMBER);
    }
    return true;
}
