#include "edge/pg/unit.h"

#include "base/must.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pg_unit *pg_unit_new(pg_unit_fn *on_end, void *context)
{
    assert(on_end);
    struct pg_unit *unit = MUST_NEW(struct pg_unit);
    list_init(&unit->link);
    buf_init(&unit->bytes, 0);
    unit->on_end = on_end;
    unit->context = context;
    unit->tries_max = PG_TRIES_MAX;
    return unit;
}

void pg_unit_free(struct pg_unit *unit)
{
    pg_unit_rewind(unit);
    buf_done(&unit->bytes);
    must_free(unit);
}

void pg_unit_fail(struct pg_unit *unit)
{
    unit->bytes.failed = true;
}

/* ---- what is asked ---- */

static void add_call(struct pg_unit *unit, enum pg_call_kind kind,
                     const char *name, const char *text)
{
    assert(unit->calls_len < PG_CALLS_MAX);
    unit->calls[unit->calls_len++] = (struct pg_call){
        .kind = kind,
        .name = name,
        .text = text,
        .params_from = (uint16_t)unit->params_len,
    };
}

void pg_unit_call(struct pg_unit *unit, const char *name)
{
    assert(name);
    add_call(unit, PG_PREPARED, name, NULL);
}

void pg_unit_plain(struct pg_unit *unit, const char *text)
{
    assert(text);
    add_call(unit, PG_PLAIN, NULL, text);
}

void pg_unit_prepare(struct pg_unit *unit, const char *name, const char *text)
{
    assert(name && text);
    add_call(unit, PG_PREPARE, name, text);
}

/** The bytes that follow are its own. */
static struct pg_param *add_param(struct pg_unit *unit)
{
    assert(unit->calls_len > 0 && unit->params_len < PG_PARAMS_MAX);
    struct pg_param *param = &unit->params[unit->params_len++];
    if (unit->bytes.len > INT_MAX) {
        unit->bytes.failed = true; /* more than PostgreSQL takes */
    }
    *param = (struct pg_param){.at = (uint32_t)unit->bytes.len};
    unit->calls[unit->calls_len - 1].params_len++;
    return param;
}

void pg_unit_i64(struct pg_unit *unit, int64_t value)
{
    add_param(unit);
    buf_add_i64(&unit->bytes, value);
    buf_add_char(&unit->bytes, '\0');
}

void pg_unit_str(struct pg_unit *unit, struct str text)
{
    struct pg_param *param = add_param(unit);
    if (!text.at) {
        param->at = PG_NULL;
    } else {
        buf_add_str(&unit->bytes, text);
        buf_add_char(&unit->bytes, '\0');
    }
}

struct pg_array *pg_unit_array(struct pg_unit *unit, enum pg_type type)
{
    add_param(unit);
    pg_array_begin(&unit->array, &unit->bytes, type);
    return &unit->array;
}

void pg_unit_array_end(struct pg_unit *unit)
{
    assert(unit->params_len > 0 && unit->array.buf);
    struct pg_param *param = &unit->params[unit->params_len - 1];
    pg_array_end(&unit->array);
    size_t len = unit->bytes.len - param->at;
    if (unit->bytes.failed || len > INT_MAX) {
        unit->bytes.failed = true;
        return;
    }
    param->len = (uint32_t)len;
    unit->array = (struct pg_array){0};
}

bool pg_unit_send_call(const struct pg_unit *unit, size_t index, PGconn *conn)
{
    assert(index < unit->calls_len && !unit->bytes.failed);
    const struct pg_call *call = &unit->calls[index];
    const char *values[PG_PARAMS_MAX];
    int lens[PG_PARAMS_MAX];
    int binary[PG_PARAMS_MAX];
    for (size_t i = 0; i < call->params_len; i++) {
        const struct pg_param *param = &unit->params[call->params_from + i];
        values[i] = param->at == PG_NULL ? NULL : unit->bytes.bytes + param->at;
        lens[i] = (int)param->len;
        binary[i] = param->len > 0;
    }
    int len = (int)call->params_len;
    switch (call->kind) {
    case PG_PREPARED:
        return PQsendQueryPrepared(conn, call->name, len, values, lens, binary,
                                   0) == 1;
    case PG_PLAIN:
        return PQsendQueryParams(conn, call->text, len, NULL, values, lens,
                                 binary, 0) == 1;
    case PG_PREPARE:
        return PQsendPrepare(conn, call->name, call->text, 0, NULL) == 1;
    }
    return false;
}

/* ---- what came ---- */

void pg_unit_take(struct pg_unit *unit, PGresult *result)
{
    assert(result);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_FATAL_ERROR && !unit->sqlstate[0]) {
        const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        snprintf(unit->sqlstate, sizeof unit->sqlstate, "%s",
                 sqlstate ? sqlstate : "08006");
        /* The words on refused data quote it, and URLs are no matter for
         * logs. */
        err_set(&unit->err, ERR_TRANSIENT, "%s (SQLSTATE %s)",
                pg_unit_is_refused(unit) ? "PostgreSQL refuses the data"
                : text                   ? text
                                         : "the connection was lost",
                unit->sqlstate);
    }
    bool good = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
    if (!good || unit->results_len == unit->calls_len) {
        PQclear(result);
        result = NULL;
    }
    if (unit->results_len < unit->calls_len) {
        unit->results[unit->results_len++] = result;
    }
}

void pg_unit_rewind(struct pg_unit *unit)
{
    for (size_t i = 0; i < unit->results_len; i++) {
        PQclear(unit->results[i]);
        unit->results[i] = NULL;
    }
    unit->results_len = 0;
    unit->sqlstate[0] = '\0';
    unit->err = (struct err){0};
}

bool pg_unit_may_retry(const struct pg_unit *unit)
{
    /* Serialization failure, deadlock, lock timeout. */
    return strcmp(unit->sqlstate, "40001") == 0 ||
           strcmp(unit->sqlstate, "40P01") == 0 ||
           strcmp(unit->sqlstate, "55P03") == 0;
}

static bool is_of_class(const struct pg_unit *unit, const char *const *classes,
                        size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (strncmp(unit->sqlstate, classes[i], strlen(classes[i])) == 0) {
            return true;
        }
    }
    return false;
}

bool pg_unit_is_refused(const struct pg_unit *unit)
{
    /* Data exception, limit exceeded. Of the first, a sequence at its end and a
     * letter that the database's encoding lacks are faults of the database. */
    static const char *const data[] = {"22", "54"};
    static const char *const others[] = {"2200H", "22P05"};
    return is_of_class(unit, data, sizeof data / sizeof *data) &&
           !is_of_class(unit, others, sizeof others / sizeof *others);
}

bool pg_unit_is_constraint(const struct pg_unit *unit)
{
    return strncmp(unit->sqlstate, "23", 2) == 0;
}

bool pg_unit_is_poolers(const struct pg_unit *unit)
{
    return strcmp(unit->sqlstate, "26000") == 0 ||
           strcmp(unit->sqlstate, "42P05") == 0;
}

bool pg_unit_is_harmless(const struct pg_unit *unit)
{
    return pg_unit_is_constraint(unit) ||
           strncmp(unit->sqlstate, "22", 2) == 0 ||
           strcmp(unit->sqlstate, "57014") == 0;
}

bool pg_unit_is_strange(const struct pg_unit *unit)
{
    /* The connection, the order of transactions, a lock, whoever shuts down or
     * stops a statement, a standby: what time mends. */
    static const char *const weather[] = {"08", "40", "55P03", "57", "25006"};
    return unit->sqlstate[0] && !pg_unit_is_refused(unit) &&
           !is_of_class(unit, weather, sizeof weather / sizeof *weather);
}
