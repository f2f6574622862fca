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

/* While a look's transaction lasts nobody claims of a budget. */
#define STATEMENT_MS 10000
#define SILENCE_MS 15000

static const char *const queries[] = {
    "budget_lock", "money_again", "money_fold", "budget_free", "budgets", NULL,
};

struct looking {
    struct store *store;
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
    const PGresult *result = err.kind == ERR_NONE ? unit->results[0] : NULL;
    const int len = result ? PQntuples(result) : 0;
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

/** What budget_lock.sql says. */
static bool is_locked(const PGresult *result)
{
    return PQntuples(result) == 1 && str_eq(pg_str(result, 0, 0), STR("true"));
}

/** Behind which the next look goes on with what is open. An error ends this one
 * behind the look, which is gone then. */
static void on_again(void *context, struct pg_unit *unit)
{
    struct looking *looking = context;
    /* Without the lock it has looked at nothing: the next one goes on. */
    if (unit->err.kind == ERR_NONE && is_locked(unit->results[0])) {
        const PGresult *result = unit->results[1];
        const bool more = PQntuples(result) > 0;
        for (int i = 0; i < 2; i++) {
            looking->store->again_after[i] = more ? pg_i64(result, 0, i) : 0;
        }
    }
}

static void on_step(void *context, struct pg_unit *unit)
{
    (void)context;
    (void)unit; /* the next look does it */
}

/** In transactions of their own, so that claims come in between. */
static void look(struct store *store, struct looking *looking)
{
    static const char *const steps[] = {"money_again", "money_fold",
                                        "budget_free"};
    for (int i = 0; i < 3; i++) {
        struct pg_unit *unit =
            pg_unit_new(i == 0 ? on_again : on_step, looking);
        unit->tries_max = 1; /* the next will do */
        pg_unit_call(unit, "budget_lock");
        pg_unit_call(unit, steps[i]);
        for (int k = 0; i == 0 && k < 2; k++) {
            pg_unit_i64(unit, store->again_after[k]);
        }
        pg_lane_send(store->money, unit);
    }
    struct pg_unit *unit = pg_unit_new(on_looked, looking);
    unit->tries_max = 1;
    pg_unit_call(unit, "budgets");
    pg_lane_send(store->money, unit);
}

static void refuse(struct looking *looking, const char *why)
{
    struct err err = {0};
    err_set(&err, ERR_TRANSIENT, "%s", why);
    looking->on_budgets(looking->context, NULL, 0, &err);
    must_free(looking);
}

static void on_money_lane(void *context, bool up, const char *why, bool misfit)
{
    struct store *store = context;
    struct looking *looking = store->looking;
    (void)misfit; /* the other lanes tell */
    store->looking = NULL;
    if (looking && up) {
        look(store, looking);
    } else if (looking) {
        refuse(looking, why);
    }
}

void store_budgets(struct store *store, budgets_fn *on_budgets, void *context)
{
    assert(on_budgets && !store->looking);
    struct looking *looking = MUST_NEW(struct looking);
    *looking = (struct looking){store, on_budgets, context};
    if (store->money) {
        look(store, looking);
        return;
    }
    const struct store_options *o = &store->options;
    const struct pg_lane_options options = {
        .address = {o->url, o->password, o->name},
        .queries = queries,
        .statement_ms = STATEMENT_MS,
        .silence_ms = SILENCE_MS,
        .lease_ms = o->lease_ms,
        .again_max_ms = o->lease_ms,
    };
    struct err err = {0};
    store->looking = looking;
    store->money =
        pg_lane_open(store->loop, &options, on_money_lane, store, &err);
    if (!store->money) {
        store->looking = NULL;
        refuse(looking, err.text);
    }
}

void store_budgets_end(struct store *store)
{
    struct pg_lane *lane = store->money;
    struct looking *looking = store->looking;
    store->money = NULL;
    store->looking = NULL;
    store->again_after[0] = store->again_after[1] = 0;
    pg_lane_close(lane);
    if (looking) {
        refuse(looking, "another worker looks");
    }
}
