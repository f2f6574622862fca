#include "edge/store/own.h"

#include "base/must.h"

#include <assert.h>

struct sources {
    struct arena arena;
    struct str *ids;
    struct source *found;
    size_t len;
    sources_fn *on_result;
    void *context;
};

/** Whether the provider has a video of a task that we gave up. */
static enum source_state state_of(enum task_state state, enum failure_kind kind)
{
    switch (state) {
    case QUEUED:
        return SOURCE_FOREIGN;
    case SUBMITTING:
    case RUNNING:
    case LATE:
        return SOURCE_UNFINISHED;
    case READY:
    case SUCCEEDED:
        return SOURCE_FINISHED;
    case FAILED:
    case CLOSED:
    case TASK_STATES_LEN:
        break;
    }
    bool made = kind == FAILURE_ASSET_EXPIRED || kind == FAILURE_ASSET_UNUSABLE;
    if (made || (state == CLOSED && kind == FAILURE_NONE)) {
        return SOURCE_FINISHED;
    }
    return SOURCE_FAILED;
}

static void take_sources(struct sources *sources, const PGresult *result)
{
    for (int i = 0; i < PQntuples(result); i++) {
        struct str id = pg_str(result, i, 0);
        const struct str account = pg_str(result, i, 3);
        int64_t state = pg_i64(result, i, 1);
        int64_t kind = pg_i64(result, i, 2);
        if (state < 0 || state >= TASK_STATES_LEN || kind < 0 ||
            kind >= FAILURE_KINDS_LEN) {
            continue; /* a later program's: the provider will judge */
        }
        for (size_t s = 0; s < sources->len; s++) {
            if (str_eq(sources->ids[s], id)) {
                struct source *found = &sources->found[s];
                found->state =
                    state_of((enum task_state)state, (enum failure_kind)kind);
                found->account =
                    account.len
                        ? (struct str){arena_copy(&sources->arena, account.at,
                                                  account.len),
                                       account.len}
                        : (struct str){0};
            }
        }
    }
}

static void on_sources(void *context, struct pg_unit *unit)
{
    struct sources *sources = context;
    struct err err = unit->err;
    if (err.kind == ERR_NONE) {
        take_sources(sources, unit->results[0]);
    }
    /* Refused data is no id of ours. */
    bool failed = err.kind == ERR_TRANSIENT;
    if (!failed && sources->arena.failed) {
        err_set(&err, ERR_TRANSIENT, "no memory for what is extended");
        failed = true;
    }
    sources->on_result(sources->context, sources->found, sources->len,
                       failed ? &err : NULL);
    arena_done(&sources->arena);
    must_free(sources);
}

void store_sources(struct store *store, const struct str *provider_task_ids,
                   size_t len, sources_fn *on_result, void *context)
{
    assert(provider_task_ids && len > 0 && on_result);
    struct sources *sources = MUST_NEW(struct sources);
    struct arena *arena = &sources->arena;
    arena_init(arena, 4096, 0);
    sources->on_result = on_result;
    sources->context = context;
    sources->len = len;
    sources->ids = arena_alloc(arena, (len + 1) * sizeof *sources->ids);
    sources->found = arena_alloc(arena, (len + 1) * sizeof *sources->found);
    struct pg_unit *unit = pg_unit_new(on_sources, sources);
    if (arena->failed) {
        pg_unit_fail(unit);
        pg_lane_send(store->data, unit);
        return;
    }
    pg_unit_call(unit, "sources");
    struct pg_array *array = pg_unit_array(unit, PG_TEXT);
    for (size_t i = 0; i < len; i++) {
        struct str id = provider_task_ids[i];
        sources->ids[i] =
            (struct str){arena_copy(arena, id.at, id.len), id.len};
        pg_array_str(array, id);
    }
    pg_unit_array_end(unit);
    if (arena->failed) {
        pg_unit_fail(unit);
    }
    pg_lane_send(store->data, unit);
}
