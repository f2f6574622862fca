#include "edge/store/own.h"

#include "base/must.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Tenants: who waits, who occupies, and how many of each are claimed. */

/* ---- the turn's part ---- */

static const char *copy_of(struct arena *arena, const char *text)
{
    assert(text);
    return arena_copy(arena, text, strlen(text));
}

void shares_copy(struct arena *arena, struct turn *turn)
{
    assert(turn->shares || !turn->shares_len);
    assert(turn->uses || !turn->uses_len);
    struct share_ask *asks =
        arena_alloc(arena, (turn->shares_len + 1) * sizeof *asks);
    for (size_t i = 0; asks && i < turn->shares_len; i++) {
        asks[i] = turn->shares[i];
        asks[i].tenant = copy_of(arena, turn->shares[i].tenant);
    }
    struct share_use *uses =
        arena_alloc(arena, (turn->uses_len + 1) * sizeof *uses);
    for (size_t i = 0; uses && i < turn->uses_len; i++) {
        uses[i] = turn->uses[i];
        uses[i].account = copy_of(arena, turn->uses[i].account);
        uses[i].tenant = copy_of(arena, turn->uses[i].tenant);
    }
    turn->shares = asks;
    turn->uses = uses;
}

void shares_add_uses(struct pg_unit *unit, const struct turn *turn)
{
    if (!turn->uses_told) {
        return;
    }
    pg_unit_call(unit, "share_use");
    pg_unit_i64(unit, turn->owner);
    struct pg_array *accounts = pg_unit_array(unit, PG_TEXT);
    for (size_t i = 0; i < turn->uses_len; i++) {
        pg_array_str(accounts, str_of(turn->uses[i].account));
    }
    pg_unit_array_end(unit);
    struct pg_array *tenants = pg_unit_array(unit, PG_TEXT);
    for (size_t i = 0; i < turn->uses_len; i++) {
        pg_array_str(tenants, str_of(turn->uses[i].tenant));
    }
    pg_unit_array_end(unit);
    struct pg_array *numbers = pg_unit_array(unit, PG_INT4);
    for (size_t i = 0; i < turn->uses_len; i++) {
        pg_array_i64(numbers, turn->uses[i].n);
    }
    pg_unit_array_end(unit);
    pg_unit_i64(unit, turn->uses_all);
}

int shares_add_lock(struct pg_unit *unit, const struct turn *turn)
{
    pg_unit_call(unit, "share_lock");
    pg_unit_i64(unit, turn->capped);
    return (int)unit->calls_len - 1;
}

void shares_add_plan(struct pg_unit *unit, const struct turn *turn)
{
    assert(turn->sharing && turn->shares_len > 0);
    struct pg_array *tenants = pg_unit_array(unit, PG_TEXT);
    for (size_t i = 0; i < turn->shares_len; i++) {
        pg_array_str(tenants, str_of(turn->shares[i].tenant));
    }
    pg_unit_array_end(unit);
    struct pg_array *numbers = pg_unit_array(unit, PG_INT4);
    for (size_t i = 0; i < turn->shares_len; i++) {
        pg_array_i64(numbers, turn->shares[i].n);
    }
    pg_unit_array_end(unit);
}

/* ---- looking ---- */

struct looking {
    share_look_fn *on_result;
    void *context;
};

static void on_looked(void *context, struct pg_unit *unit)
{
    struct looking *looking = context;
    struct err err = unit->err;
    const PGresult *result = unit->results[0];
    const int rows = err.kind == ERR_NONE ? PQntuples(result) : 0;
    struct share_seen *seen = calloc((size_t)rows + 1, sizeof *seen);
    if (!seen && err.kind == ERR_NONE) {
        err_set(&err, ERR_TRANSIENT, "no memory for tenants");
    }
    for (int i = 0; seen && i < rows; i++) {
        seen[i] = (struct share_seen){
            .tenant = pg_str(result, i, 0),
            .waits = pg_bool(result, i, 1),
            .held = (int)pg_i64(result, i, 2),
            .weight = (int)pg_i64(result, i, 3),
            .slots = (int)pg_i64(result, i, 4),
        };
    }
    looking->on_result(looking->context, seen, seen ? (size_t)rows : 0,
                       err.kind == ERR_NONE ? NULL : &err);
    free(seen);
    must_free(looking);
}

void store_share_look(struct store *store, const struct share_look *look,
                      share_look_fn *on_result, void *context)
{
    assert(look->owner > 0 && on_result);
    struct looking *looking = MUST_NEW(struct looking);
    *looking = (struct looking){on_result, context};
    struct pg_unit *unit = pg_unit_new(on_looked, looking);
    unit->tries_max = 1; /* the next will do */
    pg_unit_call(unit, "share_look");
    pg_unit_i64(unit, look->owner);
    pg_unit_i64(unit, look->now_ms);
    struct pg_array *names = pg_unit_array(unit, PG_TEXT);
    for (size_t i = 0; i < look->accounts_len; i++) {
        pg_array_str(names, look->accounts[i]);
    }
    pg_unit_array_end(unit);
    pg_lane_send(store->data, unit);
}

/* ---- what came before ---- */

struct tagging {
    store_done_fn *on_done;
    void *context;
};

static void on_tagged(void *context, struct pg_unit *unit)
{
    struct tagging *tagging = context;
    const bool some = unit->err.kind == ERR_NONE &&
                      strcmp(PQcmdTuples(unit->results[0]), "0") != 0;
    tagging->on_done(tagging->context, some, &unit->err);
    must_free(tagging);
}

void store_share_tag(struct store *store, store_done_fn *on_done, void *context)
{
    assert(on_done);
    struct tagging *tagging = MUST_NEW(struct tagging);
    *tagging = (struct tagging){on_done, context};
    struct pg_unit *unit = pg_unit_new(on_tagged, tagging);
    unit->tries_max = 1; /* the next will do */
    pg_unit_call(unit, "share_tag");
    pg_lane_send(store->data, unit);
}
