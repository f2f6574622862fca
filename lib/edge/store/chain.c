#include "edge/store/own.h"

#include <assert.h>
#include <stdio.h>

/* The parameters of sql/query/unblock.sql. */

static void add_limits(struct pg_unit *unit, struct str after)
{
    pg_unit_str(unit, after);
    pg_unit_i64(unit, SOURCES_MAX);
    pg_unit_i64(unit, UNBLOCK_MAX);
}

void unblock_add(struct pg_unit *unit, const int64_t *tasks, size_t tasks_len,
                 const struct str *requests, size_t requests_len)
{
    assert(tasks_len + requests_len > 0);
    pg_unit_call(unit, "unblock");
    struct pg_array *array = pg_unit_array(unit, PG_INT8);
    for (size_t i = 0; i < tasks_len; i++) {
        pg_array_i64(array, tasks[i]);
    }
    pg_unit_array_end(unit);
    array = pg_unit_array(unit, PG_TEXT);
    for (size_t i = 0; i < requests_len; i++) {
        pg_array_str(array, requests[i]);
    }
    pg_unit_array_end(unit);
    add_limits(unit, (struct str){0});
}

void unblock_add_part(struct pg_unit *unit, const char *after)
{
    assert(after);
    pg_unit_call(unit, "unblock");
    (void)pg_unit_array(unit, PG_INT8);
    pg_unit_array_end(unit);
    (void)pg_unit_array(unit, PG_TEXT);
    pg_unit_array_end(unit);
    add_limits(unit, str_of(after));
}

void unblock_take(struct unblocked *out, const PGresult *result)
{
    assert(PQntuples(result) == 1);
    const struct str last = pg_str(result, 0, 1);
    out->looked += pg_i64(result, 0, 0);
    out->freed += pg_i64(result, 0, 2);
    out->marked += pg_i64(result, 0, 3);
    if (last.len > 0 && last.len < sizeof out->last) {
        snprintf(out->last, sizeof out->last, "%.*s", (int)last.len, last.at);
    }
}
