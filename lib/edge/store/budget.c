#include "edge/store/own.h"

#include "base/must.h"

#include <assert.h>

/* ---- in a turn ---- */

void money_add(struct pg_unit *unit, const struct task_row *const *rows,
               size_t len)
{
    assert(rows && len > 0);
    pg_unit_call(unit, "money");
    struct pg_array *array = pg_unit_array(unit, PG_INT8);
    for (size_t i = 0; i < len; i++) {
        pg_array_i64(array, rows[i]->id);
    }
    pg_unit_array_end(unit);
}

void budget_take_told(struct turn_result *out, const PGresult *result)
{
    assert(PQntuples(result) == 1);
    out->budget_busy = !pg_bool(result, 0, 0);
    out->budget_barred = pg_bool(result, 0, 1);
}

/* ---- how they stand ---- */

struct looking {
    budgets_fn *on_budgets;
    void *context;
};

static struct budget_row row_of(const PGresult *result, int row)
{
    return (struct budget_row){
        .tenant = pg_str(result, row, 0),
        .period =
            pg_i64(result, row, 1) == BUDGET_DAY ? BUDGET_DAY : BUDGET_MONTH,
        .amount = pg_i64(result, row, 2),
        .warn = (int)pg_i64(result, row, 3),
        .spent = pg_i64(result, row, 4),
        .reserved = pg_i64(result, row, 5),
        .doubtful = pg_i64(result, row, 6),
        .estimate = pg_i64(result, row, 7),
        .waits = pg_i64(result, row, 8),
    };
}

static void on_looked(void *context, struct pg_unit *unit)
{
    struct looking *looking = context;
    struct err err = unit->err;
    struct arena arena;
    arena_init(&arena, 4096, 0);
    const PGresult *result = unit->results[unit->calls_len - 1];
    const int len = err.kind == ERR_NONE ? PQntuples(result) : 0;
    struct budget_row *rows =
        arena_alloc(&arena, ((size_t)len + 1) * sizeof *rows);
    if (!rows && err.kind == ERR_NONE) {
        err_set(&err, ERR_TRANSIENT, "no memory for the budgets");
    }
    for (int i = 0; rows && i < len; i++) {
        rows[i] = row_of(result, i);
    }
    looking->on_budgets(looking->context, rows, (size_t)len,
                        err.kind == ERR_NONE ? NULL : &err);
    arena_done(&arena);
    must_free(looking);
}

void store_budgets(struct store *store, budgets_fn *on_budgets, void *context)
{
    assert(on_budgets);
    struct looking *looking = MUST_NEW(struct looking);
    *looking = (struct looking){on_budgets, context};
    struct pg_unit *unit = pg_unit_new(on_looked, looking);
    unit->tries_max = 1; /* the next will do */
    pg_unit_call(unit, "budget_lock");
    pg_unit_call(unit, "money_again");
    pg_unit_call(unit, "money_fold");
    pg_unit_call(unit, "budget_free");
    pg_unit_call(unit, "budgets");
    pg_lane_send(store->lease, unit);
}
