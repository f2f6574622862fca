#include "edge/accepted.h"
#include "edge/store/own.h"

#include "base/must.h"

#include <assert.h>

/** Somebody waits for what is owed. */
struct asked {
    struct store *store;
    size_t call; /* whose result it is */
    accepted_fn *on_result;
    void *context;
};

static void on_asked(void *context, struct pg_unit *unit)
{
    struct asked *asked = context;
    struct accepted_result result = {.err = unit->err};
    struct arena arena;
    arena_init(&arena, 4096, 0);
    if (result.err.kind == ERR_NONE) {
        result.rows = facts_read_rows(asked->store, &arena,
                                      unit->results[asked->call], &result.len);
        if (!result.rows) {
            err_set(&result.err, ERR_TRANSIENT, "no memory for what is owed");
        }
    }
    asked->on_result(asked->context, &result);
    arena_done(&arena);
    must_free(asked);
}

void store_accepted(struct store *store, const struct accepted_ask *ask,
                    accepted_fn *on_result, void *context)
{
    assert(ask->owner > 0 && on_result);
    assert(ask->told || ask->told_len == 0);
    struct asked *asked = MUST_NEW(struct asked);
    *asked = (struct asked){
        .store = store, .on_result = on_result, .context = context};
    struct pg_unit *unit = pg_unit_new(on_asked, asked);
    if (ask->told_len) {
        pg_unit_call(unit, "accepted_told");
        struct pg_array *array = pg_unit_array(unit, PG_INT8);
        for (size_t i = 0; i < ask->told_len; i++) {
            pg_array_i64(array, ask->told[i]);
        }
        pg_unit_array_end(unit);
        asked->call = 1;
    }
    pg_unit_call(unit, "accepted_owed");
    pg_unit_i64(unit, ask->owner);
    pg_unit_i64(unit, ask->orphans);
    pg_unit_i64(unit, ACCEPTED_MAX);
    pg_lane_send(store->data, unit);
}
