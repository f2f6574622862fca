#include "edge/store/own.h"

#include "base/must.h"
#include "core/allot.h"

#include <assert.h>

#define PLACES_CALL 1 /* behind the lock */

struct taking {
    int64_t owner;
    places_fn *on_result;
    void *context;
};

/** The last send begins within LEASE_MS of the bump, and takes its place for a
 * while. */
int64_t places_lapse_ms(const struct store *store)
{
    assert(store->lease_ms > 0);
    return ALLOT_COUNTS_MS + store->lease_ms;
}

static void on_taken(void *context, struct pg_unit *unit)
{
    struct taking *taking = context;
    struct places_result out = {.err = unit->err, .owner = taking->owner};
    if (out.err.kind == ERR_NONE) {
        const PGresult *result = unit->results[PLACES_CALL];
        assert(PQntuples(result) == 1);
        out.waits = pg_bool(result, 0, 0);
        out.busy = pg_bool(result, 0, 1);
        out.got = (int)pg_i64(result, 0, 2);
    }
    taking->on_result(taking->context, &out);
    must_free(taking);
}

void store_places(struct store *store, const struct places *places,
                  places_fn *on_result, void *context)
{
    assert(places->owner > 0 && places->more > 0 && on_result);
    assert(places->more <= places->most);
    struct taking *taking = MUST_NEW(struct taking);
    *taking = (struct taking){places->owner, on_result, context};
    struct pg_unit *unit = pg_unit_new(on_taken, taking);
    pg_unit_call(unit, "places_lock");
    pg_unit_call(unit, "places");
    pg_unit_i64(unit, places->owner);
    pg_unit_i64(unit, places->more);
    pg_unit_i64(unit, places->most);
    pg_unit_i64(unit, places_lapse_ms(store));
    struct pg_array *ids = pg_unit_array(unit, PG_INT8);
    for (size_t i = 0; i < PRIORITIES; i++) {
        pg_array_i64(ids, places->claim_after[i]);
    }
    pg_unit_array_end(unit);
    struct pg_array *names = pg_unit_array(unit, PG_TEXT);
    for (size_t i = 0; i < places->accounts_len; i++) {
        pg_array_str(names, places->accounts[i]);
    }
    pg_unit_array_end(unit);
    pg_lane_send(store->data, unit);
}
