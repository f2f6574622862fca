#include "edge/store_lane.h"

#include "base/buf.h"
#include "edge/loop_uv.h"
#include "edge/schema.h"
#include "edge/sql_text.h"

#include <assert.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 5000
#define TRIES_MAX 5
#define WATCH_MS 500
#define CONNECT_TIMEOUT_S "5"

struct lane {
    struct loop *loop;
    struct lane_options options;
    lane_state_fn *on_state;
    void *context;
    PGconn *conn;
    uv_poll_t *poll;
    int fd;
    struct list waiting; /* not sent */
    struct list sent;    /* oldest first */
    struct list failed;  /* to be ended outside of the caller's stack */
    struct loop_timer *again;
    struct loop_timer *watch;
    int64_t backoff_ms;
    bool connecting;
    bool closed;
    bool up;
    /* Written by the connecting thread, read after it. */
    PGconn *fresh;
    bool misfit;
    char why[400];
};

static void pump(struct lane *lane);
static void connect_soon(void *context);

/* ---- connecting, on another thread ----------------------------------------------- */

static bool run_now(struct lane *lane, PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (!good) {
        snprintf(lane->why, sizeof lane->why, "%s", PQerrorMessage(conn));
    }
    PQclear(result);
    return good;
}

static bool prepare_all(struct lane *lane, PGconn *conn)
{
    for (const struct sql_text *sql = sql_texts; sql->name; sql++) {
        struct str name = str_of(sql->name);
        if (!str_starts(name, STR("query/")) ||
            str_starts(name, STR("query/ctl_"))) {
            continue;
        }
        char short_name[64];
        snprintf(short_name, sizeof short_name, "%.*s",
                 (int)(name.len - strlen("query/.sql")),
                 name.at + strlen("query/"));
        PGresult *result = PQprepare(conn, short_name, sql->text, 0, NULL);
        bool good = PQresultStatus(result) == PGRES_COMMAND_OK;
        if (!good) {
            snprintf(lane->why, sizeof lane->why, "%s: %s", short_name,
                     PQerrorMessage(conn));
        }
        PQclear(result);
        if (!good) {
            return false;
        }
    }
    return true;
}

static bool set_session(struct lane *lane, PGconn *conn)
{
    char sql[512];
    /* Plans that can't flip to a scan of a fresh table: orphans and counts are
     * scans on purpose and stay so, having no index to use. */
    snprintf(sql, sizeof sql,
             "SET idle_in_transaction_session_timeout = %lld;"
             "SET statement_timeout = %lld; SET lock_timeout = %lld;"
             "SET enable_hashjoin = off; SET enable_mergejoin = off;"
             "SET enable_seqscan = off; SET plan_cache_mode = "
             "force_generic_plan; SET client_min_messages = error; SET jit = off",
             (long long)lane->options.idle_in_transaction_ms,
             (long long)lane->options.statement_timeout_ms,
             (long long)lane->options.lock_timeout_ms);
    return run_now(lane, conn, sql);
}

static bool check_schema(struct lane *lane, PGconn *conn)
{
    struct schema_state state = {0};
    struct err err = {0};
    if (!schema_read_on(conn, &state, &err)) {
        snprintf(lane->why, sizeof lane->why, "%.399s", err.text);
        return false;
    }
    if (!schema_fits(&state, &err)) {
        snprintf(lane->why, sizeof lane->why, "%.399s", err.text);
        lane->misfit = true;
        return false;
    }
    return true;
}

static void do_connect(void *context)
{
    struct lane *lane = context;
    const char *const names[] = {"dbname",          "application_name",
                                 "connect_timeout", "client_encoding",
                                 "keepalives_idle", NULL};
    const char *const values[] = {lane->options.url, lane->options.name,
                                  CONNECT_TIMEOUT_S, "UTF8", "10", NULL};
    lane->misfit = false;
    lane->fresh = NULL;
    PGconn *conn = PQconnectdbParams(names, values, 1);
    if (PQstatus(conn) != CONNECTION_OK) {
        snprintf(lane->why, sizeof lane->why, "%s", PQerrorMessage(conn));
        PQfinish(conn);
        return;
    }
    if (!check_schema(lane, conn) || !set_session(lane, conn) ||
        !prepare_all(lane, conn)) {
        PQfinish(conn);
        return;
    }
    lane->fresh = conn;
}

/* ---- ends ------------------------------------------------------------------------------ */

static void unit_free(struct unit *unit)
{
    for (int i = 0; i < unit->results_len; i++) {
        PQclear(unit->results[i]);
    }
    arena_done(&unit->arena);
    free(unit);
}

static void unit_end(struct unit *unit, const struct err *err)
{
    list_remove(&unit->link);
    unit->on_end(unit, err);
    unit_free(unit);
}

static void end_failed(void *context)
{
    struct lane *lane = context;
    struct err err = {.kind = ERR_TRANSIENT};
    snprintf(err.text, sizeof err.text, "%s", lane->why);
    while (!list_is_empty(&lane->failed)) {
        unit_end(LIST_OWNER(lane->failed.next, struct unit, link), &err);
    }
}

static void move_all(struct list *from, struct list *to)
{
    struct list *link;
    while ((link = list_pop(from))) {
        list_add_tail(to, link);
    }
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle);
}

/** The connection is of no use any more. */
static void drop(struct lane *lane, const char *why)
{
    char text[sizeof lane->why];
    snprintf(text, sizeof text, "%s", why);
    size_t len = strlen(text);
    while (len && (text[len - 1] == '\n' || text[len - 1] == ' ')) {
        text[--len] = '\0';
    }
    memcpy(lane->why, text, sizeof text);
    if (lane->poll) {
        uv_poll_stop(lane->poll);
        uv_close((uv_handle_t *)lane->poll, on_poll_closed);
        lane->poll = NULL;
    }
    PQfinish(lane->conn);
    lane->conn = NULL;
    move_all(&lane->sent, &lane->failed);
    move_all(&lane->waiting, &lane->failed);
    loop_defer(lane->loop, end_failed, lane);
    bool was_up = lane->up;
    lane->up = false;
    if (lane->closed) {
        return;
    }
    if (was_up) {
        lane->on_state(lane->context, false, lane->why, false);
    }
    loop_timer_set(lane->again, lane->backoff_ms);
}

/* ---- receiving --------------------------------------------------------------------------- */

static bool is_retriable(const char *sqlstate)
{
    return strcmp(sqlstate, "40P01") == 0 || strcmp(sqlstate, "40001") == 0 ||
           strcmp(sqlstate, "55P03") == 0;
}

static void note_failure(struct unit *unit, const PGresult *result)
{
    if (unit->err.kind != ERR_NONE) {
        return;
    }
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    snprintf(unit->sqlstate, sizeof unit->sqlstate, "%s", state ? state : "");
    bool data = unit->sqlstate[0] == '2' &&
                (unit->sqlstate[1] == '2' || unit->sqlstate[1] == '3');
    err_set(&unit->err, data ? ERR_PERMANENT : ERR_TRANSIENT,
            "PostgreSQL: %s (%s)", text ? text : "unknown", unit->sqlstate);
}

static void take_result(struct unit *unit, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK &&
        status != PGRES_PIPELINE_ABORTED) {
        note_failure(unit, result);
    }
    if (unit->results_len < UNIT_STEPS_MAX) {
        unit->results[unit->results_len++] = result;
    } else {
        PQclear(result);
    }
}

static void unit_answered(struct lane *lane, struct unit *unit)
{
    lane->backoff_ms = BACKOFF_FIRST_MS;
    if (unit->err.kind == ERR_NONE) {
        unit_end(unit, NULL);
        return;
    }
    if (is_retriable(unit->sqlstate) && ++unit->tries < TRIES_MAX) {
        for (int i = 0; i < unit->results_len; i++) {
            PQclear(unit->results[i]);
        }
        unit->results_len = 0;
        unit->err.kind = ERR_NONE;
        list_remove(&unit->link);
        list_add_tail(&lane->waiting, &unit->link);
        return;
    }
    struct err err = unit->err;
    unit_end(unit, &err);
}

static void receive(struct lane *lane)
{
    int nulls = 0;
    while (lane->conn && !list_is_empty(&lane->sent) && nulls < 2 &&
           !PQisBusy(lane->conn)) {
        struct unit *unit = LIST_OWNER(lane->sent.next, struct unit, link);
        PGresult *result = PQgetResult(lane->conn);
        if (!result) {
            nulls++;
            continue;
        }
        nulls = 0;
        if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
            PQclear(result);
            unit_answered(lane, unit);
        } else {
            take_result(unit, result);
        }
    }
}

/* ---- sending ------------------------------------------------------------------------------- */

static bool send_unit(struct lane *lane, struct unit *unit)
{
    for (int i = 0; i < unit->steps_len; i++) {
        const struct unit_step *step = &unit->steps[i];
        if (!PQsendQueryPrepared(lane->conn, step->query, step->params_len,
                                 step->params, NULL, NULL, 0)) {
            return false;
        }
    }
    unit->sent_ms = loop_boot_ms(lane->loop);
    return PQpipelineSync(lane->conn) == 1;
}

static void on_ready(uv_poll_t *poll, int status, int events);

static void flush(struct lane *lane)
{
    int more = PQflush(lane->conn);
    if (more < 0) {
        drop(lane, PQerrorMessage(lane->conn));
        return;
    }
    uv_poll_start(lane->poll, UV_READABLE | (more ? UV_WRITABLE : 0), on_ready);
}

static void pump(struct lane *lane)
{
    if (!lane->up || list_is_empty(&lane->waiting)) {
        return;
    }
    while (!list_is_empty(&lane->waiting)) {
        struct list *link = list_pop(&lane->waiting);
        list_add_tail(&lane->sent, link);
        if (!send_unit(lane, LIST_OWNER(link, struct unit, link))) {
            drop(lane, PQerrorMessage(lane->conn));
            return;
        }
    }
    flush(lane);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct lane *lane = poll->data;
    if (status < 0) {
        drop(lane, "the connection to PostgreSQL broke");
        return;
    }
    if ((events & UV_READABLE) && !PQconsumeInput(lane->conn)) {
        drop(lane, PQerrorMessage(lane->conn));
        return;
    }
    receive(lane);
    if (lane->conn && PQstatus(lane->conn) == CONNECTION_BAD) {
        drop(lane, PQerrorMessage(lane->conn));
    }
    if (lane->conn) {
        pump(lane);
    }
    if (lane->conn) {
        flush(lane);
    }
}

/* ---- the connection comes --------------------------------------------------------------------- */

static bool start_polling(struct lane *lane)
{
    lane->poll = calloc(1, sizeof *lane->poll);
    lane->fd = PQsocket(lane->conn);
    if (!lane->poll ||
        uv_poll_init(loop_uv(lane->loop), lane->poll, lane->fd) != 0) {
        free(lane->poll);
        lane->poll = NULL;
        return false;
    }
    lane->poll->data = lane;
    uv_poll_start(lane->poll, UV_READABLE, on_ready);
    return true;
}

static void lane_free(struct lane *lane)
{
    loop_timer_free(lane->again);
    loop_timer_free(lane->watch);
    free(lane);
}

static void connected(void *context)
{
    struct lane *lane = context;
    lane->connecting = false;
    if (lane->closed) {
        PQfinish(lane->fresh);
        free(lane);
        return;
    }
    if (!lane->fresh) {
        lane->backoff_ms = lane->backoff_ms * 2 < BACKOFF_MAX_MS
                               ? lane->backoff_ms * 2
                               : BACKOFF_MAX_MS;
        drop(lane, lane->why); /* ends what was queued, tries again */
        lane->on_state(lane->context, false, lane->why, lane->misfit);
        return;
    }
    lane->conn = lane->fresh;
    lane->fresh = NULL;
    if (PQsetnonblocking(lane->conn, 1) != 0 ||
        PQenterPipelineMode(lane->conn) != 1 || !start_polling(lane)) {
        drop(lane, "libpq would not go into pipeline mode");
        return;
    }
    lane->up = true;
    lane->backoff_ms = BACKOFF_FIRST_MS;
    lane->on_state(lane->context, true, "", false);
    pump(lane);
}

static void connect_soon(void *context)
{
    struct lane *lane = context;
    if (!lane->connecting && !lane->closed && !lane->conn) {
        lane->connecting = true;
        loop_work(lane->loop, do_connect, connected, lane);
    }
}

static void on_watch(void *context)
{
    struct lane *lane = context;
    loop_timer_set(lane->watch, WATCH_MS);
    if (list_is_empty(&lane->sent)) {
        return;
    }
    const struct unit *unit = LIST_OWNER(lane->sent.next, struct unit, link);
    if (loop_boot_ms(lane->loop) - unit->sent_ms > lane->options.answer_ms) {
        drop(lane, "PostgreSQL did not answer in time");
    }
}

/* ---- the door ------------------------------------------------------------------------------------ */

struct lane *lane_open(struct loop *loop, const struct lane_options *options,
                       lane_state_fn *on_state, void *context, struct err *err)
{
    struct lane *lane = calloc(1, sizeof *lane);
    if (lane) {
        *lane = (struct lane){
            .loop = loop,
            .options = *options,
            .on_state = on_state,
            .context = context,
            .again = loop_timer_new(loop, connect_soon, lane),
            .watch = loop_timer_new(loop, on_watch, lane),
            .backoff_ms = BACKOFF_FIRST_MS,
        };
    }
    if (!lane || !lane->again || !lane->watch) {
        free(lane);
        err_set(err, ERR_FATAL, "no memory for the store");
        return NULL;
    }
    list_init(&lane->waiting);
    list_init(&lane->sent);
    list_init(&lane->failed);
    loop_timer_set(lane->again, 0);
    loop_timer_set(lane->watch, WATCH_MS);
    return lane;
}

struct unit *unit_new(unit_fn *on_end, void *context)
{
    struct unit *unit = calloc(1, sizeof *unit);
    if (unit) {
        list_init(&unit->link);
        arena_init(&unit->arena, 8192, 0);
        unit->on_end = on_end;
        unit->context = context;
    }
    return unit;
}

struct unit_step *unit_step(struct unit *unit, const char *query)
{
    assert(unit->steps_len < UNIT_STEPS_MAX);
    struct unit_step *step = &unit->steps[unit->steps_len++];
    step->query = query;
    return step;
}

static void pump_later(void *context)
{
    pump(context);
}

void lane_run(struct lane *lane, struct unit *unit)
{
    if (!lane->up || unit->arena.failed) {
        if (unit->arena.failed) {
            snprintf(lane->why, sizeof lane->why, "no memory");
        }
        list_add_tail(&lane->failed, &unit->link);
        loop_defer(lane->loop, end_failed, lane);
        return;
    }
    list_add_tail(&lane->waiting, &unit->link);
    loop_defer(lane->loop, pump_later, lane);
}

void lane_close(struct lane *lane)
{
    lane->closed = true;
    drop(lane, "stopped");
    end_failed(lane);
    if (lane->connecting) {
        loop_timer_free(lane->again); /* `connected` frees the rest */
        loop_timer_free(lane->watch);
    } else {
        lane_free(lane);
    }
}
