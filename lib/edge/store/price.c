#include "edge/store/own.h"

#include "base/must.h"
#include "core/price.h"

#include <assert.h>

struct looking {
    prices_fn *on_prices;
    void *context;
};

/** What a later program stored says nothing to this one. */
static bool read_seen(struct price_seen *seen, const PGresult *result, int row)
{
    const int64_t mode = pg_i64(result, row, 0);
    const int64_t duration =
        PQgetisnull(result, row, 2) ? 0 : pg_i64(result, row, 2);
    if (mode <= MODE_NONE || mode > MODE_EXTEND || duration < 0 ||
        duration > INT16_MAX) {
        return false;
    }
    *seen = (struct price_seen){
        .mode = (enum request_mode)mode,
        .duration = (int)duration,
        .audio = pg_bool(result, row, 3),
        .median = pg_i64(result, row, 4),
        .count = pg_i64(result, row, 5),
    };
    if (!PQgetisnull(result, row, 1)) {
        seen->resolution = pg_str(result, row, 1);
    }
    return seen->median >= 0 && seen->median <= MONEY_MAX && seen->count > 0;
}

static void on_looked(void *context, struct pg_unit *unit)
{
    struct looking *looking = context;
    struct err err = unit->err;
    struct arena arena;
    arena_init(&arena, 4096, 0);
    const PGresult *result = unit->results[0];
    const int rows = err.kind == ERR_NONE ? PQntuples(result) : 0;
    size_t len = 0;
    struct price_seen *seen =
        arena_alloc(&arena, ((size_t)rows + 1) * sizeof *seen);
    for (int i = 0; seen && i < rows; i++) {
        len += read_seen(&seen[len], result, i);
    }
    if (!seen && err.kind == ERR_NONE) {
        err_set(&err, ERR_TRANSIENT, "no memory for the prices");
    }
    looking->on_prices(looking->context, seen, len,
                       err.kind == ERR_NONE ? NULL : &err);
    arena_done(&arena);
    must_free(looking);
}

void store_prices(struct store *store, prices_fn *on_prices, void *context)
{
    assert(on_prices);
    struct looking *looking = MUST_NEW(struct looking);
    *looking = (struct looking){on_prices, context};
    struct pg_unit *unit = pg_unit_new(on_looked, looking);
    unit->tries_max = 1; /* it is asked for again */
    pg_unit_call(unit, "prices");
    pg_lane_send(store->lease, unit);
}
