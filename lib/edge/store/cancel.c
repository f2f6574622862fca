#include "base/crashpoint.h"
#include "edge/store/own.h"

#include <assert.h>

static void ask(struct cancels *cancels);

static enum intake_verdict verdict_of(struct str answer)
{
    static const struct {
        const char *answer; /* of sql/query/intake_cancel.sql */
        enum intake_verdict verdict;
    } rows[] = {
        {"ordered", INTAKE_CANCELLED},   {"done", INTAKE_CANCELLED},
        {"kept", INTAKE_CANCEL_KEPT},    {"other_tenant", INTAKE_CANCEL_TENANT},
        {"late", INTAKE_CANCEL_LATE},    {"too_old", INTAKE_TOO_OLD},
        {"unknown", INTAKE_CANCEL_KEPT}, /* it will be */
    };
    size_t i = 0;
    while (!str_eq(answer, str_of(rows[i].answer))) {
        i++;
        assert(i < sizeof rows / sizeof *rows);
    }
    return rows[i].verdict;
}

/** The answers stand in the order of what was asked. */
static void take(struct cancels *cancels, const PGresult *result)
{
    assert((size_t)PQntuples(result) == cancels->asked_len);
    size_t unknown = 0;
    for (size_t i = 0; i < cancels->asked_len; i++) {
        const size_t row = cancels->asked[i];
        const struct str answer = pg_str(result, (int)i, 0);
        cancels->verdicts[row] = verdict_of(answer);
        if (str_eq(answer, STR("unknown"))) {
            cancels->asked[unknown++] = row;
        }
    }
    cancels->asked_len = unknown;
}

static void on_answer(void *context, struct pg_unit *unit)
{
    struct cancels *cancels = context;
    if (unit->err.kind != ERR_NONE) {
        cancels->on_end(cancels->context, unit);
        return;
    }
    take(cancels, unit->results[unit->calls_len - 1]);
    CRASHPOINT("cancels_stored");
    if (cancels->asked_len) {
        assert(!cancels->keep);
        cancels->keep = true;
        ask(cancels);
        return;
    }
    cancels->on_end(cancels->context, NULL);
}

/** Only those that nobody knows hold up the requests of others, to be kept. */
static void ask(struct cancels *cancels)
{
    assert(cancels->asked_len > 0);
    struct pg_unit *unit = pg_unit_new(on_answer, cancels);
    if (cancels->keep) {
        pg_unit_call(unit, "early_lock");
    }
    pg_unit_call(unit, "intake_cancel");
    struct pg_array *array = pg_unit_array(unit, PG_TEXT);
    for (size_t i = 0; i < cancels->asked_len; i++) {
        pg_array_str(array, cancels->rows[cancels->asked[i]].request_id);
    }
    pg_unit_array_end(unit);
    array = pg_unit_array(unit, PG_TEXT);
    for (size_t i = 0; i < cancels->asked_len; i++) {
        pg_array_str(array, cancels->rows[cancels->asked[i]].tenant);
    }
    pg_unit_array_end(unit);
    array = pg_unit_array(unit, PG_INT8);
    for (size_t i = 0; i < cancels->asked_len; i++) {
        const int64_t ms = cancels->rows[cancels->asked[i]].produced_ms;
        pg_array_i64(array, ms ? ms : INT64_MAX); /* nobody knows its age */
    }
    pg_unit_array_end(unit);
    pg_unit_i64(unit, cancels->known_from_ms);
    pg_unit_str(unit, cancels->keep ? STR("true") : STR("false"));
    pg_unit_i64(unit, cancels->rows[cancels->asked[0]].received_ms);
    pg_lane_send(cancels->store->data, unit);
}

bool cancels_send(struct cancels *cancels)
{
    assert(cancels->rows && cancels->verdicts && cancels->asked);
    cancels->asked_len = 0;
    for (size_t i = 0; i < cancels->rows_len; i++) {
        if (cancels->rows[i].cancel) {
            assert(cancels->rows[i].tenant.at);
            cancels->asked[cancels->asked_len++] = i;
        }
    }
    if (cancels->asked_len) {
        ask(cancels);
    }
    return cancels->asked_len > 0;
}
