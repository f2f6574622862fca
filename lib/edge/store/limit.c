#include "edge/store/own.h"

#include "base/must.h"

#include <assert.h>

struct writing {
    store_done_fn *on_done;
    void *context;
};

static void on_written(void *context, struct pg_unit *unit)
{
    struct writing *writing = context;
    const bool fine = unit->err.kind == ERR_NONE;
    const bool done = fine && PQntuples(unit->results[0]) > 0;
    writing->on_done(writing->context, done, fine ? NULL : &unit->err);
    must_free(writing);
}

void store_limit(struct store *store, const struct limit_write *write,
                 store_done_fn *on_done, void *context)
{
    assert(write->name.len > 0 && write->next.changed_ms > write->was_ms);
    assert(write->next.slots == 0 || write->next.slots < write->ceiling);
    struct writing *writing = MUST_NEW(struct writing);
    *writing = (struct writing){on_done, context};
    struct pg_unit *unit = pg_unit_new(on_written, writing);
    unit->tries_max = 1; /* the next refusal will do */
    pg_unit_call(unit, "limit");
    pg_unit_str(unit, write->name);
    pg_unit_i64(unit, write->next.slots);
    pg_unit_i64(unit, write->ceiling);
    pg_unit_i64(unit, write->next.refused_ms);
    pg_unit_i64(unit, write->next.changed_ms);
    pg_unit_i64(unit, write->was_ms);
    pg_lane_send(store->data, unit);
}
