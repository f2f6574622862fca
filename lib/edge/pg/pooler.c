#include "edge/pg/pooler.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ANSWER_MS 5000 /* where the address has no patience of its own */
#define SECOND_MS 300  /* for a second backend, before the first is asked */
#define SECOND_TRIES 4 /* so often: that it comes slowly is no sign */
#define ROUNDS 12      /* who else uses the pool may come between, in some */

const char pg_pooler_words[] =
    "there is a pooler before PostgreSQL that is not in session mode (it lends "
    "a connection for a transaction or a statement): DATABASE_URL needs "
    "PostgreSQL's own address or one in session mode";

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/** The last result of what was sent; null: none within the time, or lost. What
 * came while we stood still is read, however late. */
static PGresult *wait_result(PGconn *conn, int64_t wait_ms)
{
    int64_t until_ms = clock_ms() + wait_ms;
    PGresult *last = NULL;
    for (;;) {
        while (!PQisBusy(conn)) {
            PGresult *result = PQgetResult(conn);
            if (!result) {
                return last;
            }
            PQclear(last);
            last = result;
        }
        int64_t left_ms = until_ms - clock_ms();
        struct pollfd fd = {.fd = PQsocket(conn), .events = POLLIN};
        int n = poll(&fd, 1, left_ms > 0 ? (int)left_ms : 0);
        if ((n < 0 && errno != EINTR) || (n == 0 && left_ms <= 0) ||
            (n > 0 && !PQconsumeInput(conn))) {
            PQclear(last);
            return NULL;
        }
    }
}

/** A number that one statement gives; 0: no answer in time; -1: an error. */
static int64_t take_number(PGconn *conn, int64_t wait_ms)
{
    PGresult *result = wait_result(conn, wait_ms);
    int64_t number = result ? -1 : 0;
    if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1) {
        number = pg_i64(result, 0, 0);
    }
    PQclear(result);
    return PQstatus(conn) == CONNECTION_OK ? number : -1;
}

static int64_t patience_of(const struct pg_address *address)
{
    return address->patience.answer_ms ? address->patience.answer_ms
                                       : ANSWER_MS;
}

static int64_t backend_of(PGconn *conn, int64_t wait_ms)
{
    return PQsendQuery(conn, "SELECT pg_backend_pid()") == 1
               ? take_number(conn, wait_ms)
               : -1;
}

enum mode { MODE_SESSION, MODE_OTHER, MODE_UNKNOWN };

/**
 * Whether two clients can have one backend: the second one asks for a backend
 * and keeps it in a transaction. Who waits while the first one, which was there
 * before, is answered again and again waits for a backend that the first one
 * keeps. That both had one says all, whatever else is not answered.
 */
static enum mode try_both(PGconn *first, PGconn *second, int64_t backend,
                          int64_t wait_ms)
{
    if (PQsendQuery(second, "BEGIN; SELECT pg_backend_pid()") != 1) {
        return MODE_UNKNOWN;
    }
    int64_t other = 0;
    int64_t again = backend;
    for (int i = 0; i < SECOND_TRIES && other == 0 && again == backend; i++) {
        other = take_number(second, SECOND_MS);
        again = other == backend ? backend : backend_of(first, wait_ms);
    }
    other = other == 0 ? take_number(second, 0) : other;
    if (other > 0 && PQsendQuery(second, "ROLLBACK") == 1) {
        PQclear(wait_result(second, wait_ms));
    }
    if (other == backend) {
        return MODE_OTHER;
    }
    if (again <= 0 || other < 0) {
        return MODE_UNKNOWN;
    }
    return again != backend ? MODE_OTHER : MODE_SESSION;
}

/** A pooler that lends a backend for one statement says so. */
static bool is_about_statements(const PGconn *conn)
{
    return strstr(PQerrorMessage(conn), "statement pooling") != NULL;
}

static enum mode find_mode(PGconn *conn, int64_t backend,
                           const struct pg_address *address, struct err *err)
{
    PGconn *second = pg_dial(address, err);
    enum mode mode = second ? MODE_SESSION : MODE_UNKNOWN;
    for (int i = 0; i < ROUNDS && mode == MODE_SESSION; i++) {
        mode = try_both(conn, second, backend, patience_of(address));
        if (mode == MODE_SESSION && PQisBusy(second)) {
            break; /* it still waits: that is answer enough */
        }
    }
    if (mode == MODE_UNKNOWN && second) {
        pg_err(err, ERR_TRANSIENT, second);
        mode = is_about_statements(second) ? MODE_OTHER : MODE_UNKNOWN;
    }
    PQfinish(second);
    return mode;
}

/** What another client left: statements of our names, locks, settings. */
static bool clear(PGconn *conn, int64_t wait_ms, struct err *err)
{
    const char *name = PQparameterStatus(conn, "application_name");
    char *quoted =
        PQescapeLiteral(conn, name ? name : "", strlen(name ? name : ""));
    char sql[300];
    snprintf(sql, sizeof sql,
             "SET client_encoding = 'UTF8'; "
             "SET application_name = %.200s",
             quoted ? quoted : "''");
    PQfreemem(quoted);
    const char *const texts[] = {"DISCARD ALL", sql};
    for (size_t i = 0; i < 2; i++) {
        PGresult *result = PQsendQuery(conn, texts[i]) == 1
                               ? wait_result(conn, wait_ms)
                               : NULL;
        bool done = PQresultStatus(result) == PGRES_COMMAND_OK;
        PQclear(result);
        if (!done) {
            pg_err(err, ERR_TRANSIENT, conn);
            return err_wrap(err, "behind a pooler");
        }
    }
    return true;
}

bool pg_pooler_check(PGconn *conn, const struct pg_address *address,
                     struct err *err)
{
    const int64_t wait_ms = patience_of(address);
    int64_t backend = backend_of(conn, wait_ms);
    if (backend > 0 && backend == PQbackendPID(conn)) {
        return true;
    }
    int64_t again = backend > 0 ? backend_of(conn, wait_ms) : backend;
    if (again <= 0) {
        return again == 0
                   ? err_set(err, ERR_TRANSIENT,
                             "PostgreSQL does not answer (has a pooler no "
                             "connection left?)")
                   : pg_err(err, ERR_TRANSIENT, conn);
    }
    enum mode mode =
        again == backend ? find_mode(conn, backend, address, err) : MODE_OTHER;
    switch (mode) {
    case MODE_SESSION:
        return clear(conn, wait_ms, err);
    case MODE_OTHER:
        return err_set(err, ERR_TRANSIENT, "%s", pg_pooler_words);
    case MODE_UNKNOWN:
        break;
    }
    return err_wrap(err, "the mode of the pooler before PostgreSQL can't be "
                         "found out");
}
