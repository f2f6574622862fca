#include "fake/store_call.h"
#include "fake/watch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* lib/edge/store.h over tables in memory. */

/* ---- tables ---- */

struct tables *tables_open(struct world *world)
{
    struct tables *tables = calloc(1, sizeof *tables);
    assert(tables);
    tables->world = world;
    arena_init(&tables->arena, 65536, 0);
    list_init(&tables->stores);
    return tables;
}

void tables_close(struct tables *tables)
{
    for (size_t i = 0; i < tables->len; i++) {
        task_row_done(&tables->records[i]->row);
        free(tables->records[i]->pinned);
        free(tables->records[i]);
    }
    free(tables->records);
    free(tables->leases);
    free(tables->earlies);
    free(tables->moneys);
    arena_done(&tables->arena);
    free(tables);
}

bool lease_is_alive(const struct tables *tables, int64_t id)
{
    return id > 0 && (size_t)id <= tables->leases_len &&
           !tables->leases[id - 1].dead;
}

struct record_of *record_at(const struct tables *tables, int64_t id)
{
    return id > 0 && (size_t)id <= tables->len ? tables->records[id - 1] : NULL;
}

struct record_of *record_named(const struct tables *tables, struct str id)
{
    for (size_t i = 0; i < tables->len; i++) {
        if (!tables->records[i]->forgotten &&
            str_eq(tables->records[i]->request.request_id, id)) {
            return tables->records[i];
        }
    }
    return NULL;
}

const struct record_of *tables_find(const struct tables *tables,
                                    const char *request_id)
{
    return record_named(tables, str_of(request_id));
}

bool tables_all_closed(void *context)
{
    const struct world *world = context;
    for (size_t i = 0; i < world->tables->len; i++) {
        const struct record_of *record = world->tables->records[i];
        if (!record->closed || record->owes_accepted) {
            return false;
        }
    }
    return world->tables->len > 0;
}

/** A transaction may always fall apart. */
void store_together(struct store *store)
{
    assert(!store->together);
    store->together = true;
}

void store_go(struct store *store)
{
    assert(store->together);
    store->together = false;
}

/* ---- connections ---- */

struct news {
    struct op op;
    struct store *store;
    bool up;
};

static void on_news(struct op *op)
{
    struct news *news = (struct news *)op;
    struct store *store = news->store;
    bool up = news->up && !op->world->tables->down;
    op_end(op);
    if (store->up != up) {
        store->up = up;
        store->on_state(store->context, up, up ? "" : "the connection broke",
                        false);
    }
}

static void tell_state(struct store *store, bool up, int64_t delay_ms)
{
    struct news *news = op_new(store->loop, &store->ops, sizeof *news);
    list_remove(&news->op.link); /* store_close() ends calls only */
    news->store = store;
    news->up = up;
    op_on_loop(&news->op, delay_ms, on_news);
}

static void tell_all(struct world *world, bool up)
{
    for (struct list *at = world->tables->stores.next;
         at != &world->tables->stores; at = at->next) {
        struct store *store = LIST_OWNER(at, struct store, link);
        tell_state(store, up, world_pick(world, up ? 500 : 5));
    }
}

static void come_back(void *context)
{
    struct world *world = context;
    world->tables->down = false;
    tell_all(world, true);
}

void tables_away(struct world *world, int64_t ms)
{
    world->tables->down = true;
    tell_all(world, false);
    world_at(world, ms, come_back, world);
}

void tables_lose(struct world *world, enum unit unit, enum task_state state,
                 bool committed)
{
    world->tables->fail = unit;
    world->tables->fail_state = state;
    world->tables->fail_done = committed;
}

struct store *store_open(struct loop *loop, const struct store_options *options,
                         store_state_fn *on_state, void *context,
                         struct err *err)
{
    (void)options;
    (void)err;
    struct store *store = calloc(1, sizeof *store);
    assert(store);
    store->world = loop_world(loop);
    store->loop = loop;
    store->on_state = on_state;
    store->context = context;
    list_init(&store->ops);
    list_init(&store->link);
    list_add_tail(&store->world->tables->stores, &store->link);
    tell_state(store, true, 5);
    return store;
}

bool store_is_up(const struct store *store)
{
    return store->up;
}

/* ---- calls ---- */

static void on_answer(struct op *op)
{
    struct call *call = (struct call *)op;
    op->events++;
    op_end(op);
    call->answer(call);
    if (--op->events == 0) {
        arena_done(&op->arena);
        free(op);
    }
}

/** Whether the answer of this one is lost, and whether it was done first. */
static bool is_lost(struct call *call, bool *done)
{
    struct tables *tables = call->op.world->tables;
    bool match = tables->fail != UNIT_NONE && tables->fail == call->unit;
    if (tables->fail == UNIT_SAVE && call->answer && call->on_turn &&
        (call->unit == UNIT_SAVE || call->unit == UNIT_CLAIM ||
         call->unit == UNIT_ADOPT)) {
        const struct turn *turn = &call->turn.ask;
        match = false;
        for (size_t i = 0; i < turn->saves_len; i++) {
            match = match || turn->saves[i]->state == tables->fail_state;
        }
    }
    if (match) {
        tables->fail = UNIT_NONE;
        *done = tables->fail_done;
        return true;
    }
    *done = world_pick(tables->world, 2) == 0;
    if (!world_chance(tables->world, tables->chaos)) {
        return false;
    }
    struck(*done ? "commit unknown, done" : "commit unknown, not done");
    return true;
}

static void execute(struct op *op)
{
    struct call *call = (struct call *)op;
    struct tables *tables = op->world->tables;
    bool done = false;
    bool refused = tables->refusals > 0 && call->on_turn &&
                   call->lane == LANE_DATA && !tables->down;
    tables->refusals -= refused;
    bool lost = tables->down || refused || is_lost(call, &done);
    if (!tables->down && (!lost || done)) {
        tables->runs++;
        call->run(call);
    }
    if (lost) {
        tables->failed++;
        err_set(&call->err, ERR_TRANSIENT, "the connection broke");
        if (!op->ended && !tables->down && !refused &&
            call->lane != LANE_MONEY) {
            tell_state(call->store, false, 0);
            tell_state(call->store, true, 100 + world_pick(op->world, 900));
        }
    }
    int64_t way_ms = 1 + world_pick(op->world, 4);
    if (!op->ended) {
        int64_t *last_ms = &call->store->answered_ms[call->lane];
        int64_t at_ms = op->world->now_ms + way_ms;
        *last_ms = at_ms > *last_ms ? at_ms : *last_ms;
        op_on_loop(op, *last_ms - op->world->now_ms, on_answer);
    }
}

struct call *call_new(struct store *store, call_fn *run, call_fn *answer,
                      void *context)
{
    struct call *call = op_new(store->loop, &store->ops, sizeof *call);
    call->store = store;
    call->run = run;
    call->answer = answer;
    call->context = context;
    return call;
}

void call_go(struct call *call, enum store_lane lane)
{
    struct world *world = call->op.world;
    call->lane = lane;
    int64_t *free_ms = &call->store->free_ms[lane];
    int64_t at_ms = world->now_ms > *free_ms ? world->now_ms : *free_ms;
    *free_ms = at_ms + 1 + world_pick(world, 4);
    *free_ms += lane == LANE_DATA ? world->tables->slow_ms : 0;
    op_in_world(&call->op, *free_ms - world->now_ms, execute);
}

void call_refuse(struct call *call, const char *why)
{
    err_set(&call->err, ERR_TRANSIENT, "%s", why);
    on_answer(&call->op);
}

void store_close(struct store *store)
{
    while (!list_is_empty(&store->ops)) {
        struct call *call =
            (struct call *)LIST_OWNER(store->ops.next, struct op, link);
        call_refuse(call, "closed");
    }
    list_remove(&store->link);
    free(store);
}

void call_answer_done(struct call *call)
{
    call->on_done(call->context, call->small.done, &call->err);
}
