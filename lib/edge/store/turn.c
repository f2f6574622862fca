#include "edge/store/own.h"

#include "base/must.h"
#include "core/apimart.h"

#include <assert.h>
#include <stdlib.h>

/** The statement that writes a row. */
enum write {
    WRITE_SAVE,  /* it stays a task, or waits again */
    WRITE_AGAIN, /* it waits again, and what it was so far is kept in past */
    WRITE_END,   /* a final end: into closed, a bare key stays */
    WRITE_CLOSE, /* told, and final by now: into closed */
    WRITE_TOLD,  /* a final end is told: the bare key goes */
    WRITES_LEN
};

static const char *const writes[WRITES_LEN] = {
    [WRITE_SAVE] = "save",   [WRITE_AGAIN] = "again", [WRITE_END] = "end",
    [WRITE_CLOSE] = "close", [WRITE_TOLD] = "told",
};

/** Calls of one unit, by what they bring; -1: not among them. */
struct turn_calls {
    int writes[WRITES_LEN];
    int unblock;
    int facts;
    int rereads;
    int lock;
    int slots;
    int caps;
    int claim;
    int budget;
    int expire;
    int chains;
    int dead;
    int adopt;
    int mine;
};

/** A turn on its way. */
struct round {
    struct store *store;
    struct arena arena;
    struct turn turn;             /* with copies of what it points to */
    const struct task_row **rows; /* copies of its saves */
    enum save_end *ends;
    bool apart; /* saves go alone, the rest after them: a row was refused */
    bool rest;  /* what is under way holds the rest */
    struct ranges ranges;
    size_t from; /* saves under way */
    size_t to;
    struct turn_calls calls; /* of the unit under way */
    struct turn_result result;
    turn_fn *on_result;
    void *context;
};

/* ---- copies ---- */

static char *copy_text(struct arena *arena, const char *text)
{
    return text ? arena_copy(arena, text, strlen(text)) : NULL;
}

static const struct task_row *copy_row(struct arena *arena,
                                       const struct task_row *row)
{

    struct task_row *copy = arena_alloc(arena, sizeof *copy);
    if (copy) {
        *copy = *row;
        copy->source_task_id = copy_text(arena, row->source_task_id);
        copy->result = copy_text(arena, row->result);
        copy->event = copy_text(arena, row->event);
    }
    return copy;
}

static const int64_t *copy_ids(struct arena *arena, const int64_t *ids,
                               size_t len)
{
    assert(ids || len == 0);
    int64_t *copy = arena_alloc(arena, (len + 1) * sizeof *copy);
    if (copy && len) {
        memcpy(copy, ids, len * sizeof *copy);
    }
    return copy;
}

static bool copy_turn(struct round *round, const struct turn *turn)
{
    assert(turn->saves || !turn->saves_len);
    struct arena *arena = &round->arena;
    struct turn *copy = &round->turn;
    size_t len = turn->saves_len;
    *copy = *turn;
    round->rows = arena_alloc(arena, (len + 1) * sizeof *round->rows);
    round->ends = arena_alloc(arena, (len + 1) * sizeof *round->ends);
    for (size_t i = 0; i < len && !arena->failed; i++) {
        round->rows[i] = copy_row(arena, turn->saves[i]);
        round->ends[i] = SAVE_FENCED;
    }
    copy->saves = round->rows;
    copy->facts = copy_ids(arena, turn->facts, turn->facts_len);
    copy->rereads = copy_ids(arena, turn->rereads, turn->rereads_len);
    copy->forget = copy_ids(arena, turn->forget, turn->forget_len);
    copy->account = copy_text(arena, turn->account ? turn->account : "");
    copy->bucket = copy_text(arena, turn->bucket ? turn->bucket : "");
    reasons_copy(arena, copy);
    shares_copy(arena, copy);
    return !arena->failed;
}

/* ---- asking ---- */

static int call(struct pg_unit *unit, const char *name)
{
    pg_unit_call(unit, name);
    assert(unit->calls_len > 0);
    return (int)unit->calls_len - 1;
}

static void add_ids(struct pg_unit *unit, const int64_t *ids, size_t len)
{
    struct pg_array *array = pg_unit_array(unit, PG_INT8);
    for (size_t i = 0; i < len; i++) {
        pg_array_i64(array, ids[i]);
    }
    pg_unit_array_end(unit);
}

static enum write write_of(const struct task_row *row)
{
    const bool settles = row->state == SUCCEEDED || row->state == FAILED;
    if (!settles && row->state != CLOSED) {
        return task_begins_again(row) ? WRITE_AGAIN : WRITE_SAVE;
    }
    if (task_end_is_final(row)) {
        return settles ? WRITE_END : WRITE_TOLD;
    }
    return settles ? WRITE_SAVE : WRITE_CLOSE;
}

static void add_saves(struct round *round, struct pg_unit *unit)
{
    assert(round->from < round->to && round->to <= round->turn.saves_len);
    const struct task_row **rows = arena_alloc(
        &round->arena, (round->to - round->from + 1) * sizeof *rows);
    if (!rows) {
        pg_unit_fail(unit);
        return;
    }
    for (enum write w = 0; w < WRITES_LEN; w++) {
        size_t len = 0;
        for (size_t i = round->from; i < round->to; i++) {
            if (write_of(round->rows[i]) == w) {
                rows[len++] = round->rows[i];
            }
        }
        if (!len) {
            continue;
        }
        round->calls.writes[w] = call(unit, writes[w]);
        if (w == WRITE_TOLD) {
            rows_add_told(unit, rows, len);
        } else {
            rows_add_params(unit, rows, len, w == WRITE_CLOSE);
        }
    }
}

/** What others may wait for: it is finished upstream, or came to its end. */
static bool is_news(const struct task_row *row)
{
    return row->state == READY || row->state == SUCCEEDED ||
           row->state == FAILED || write_of(row) == WRITE_CLOSE;
}

/** In the unit that stores it: what extends it waits no longer. */
static void add_unblock(struct round *round, struct pg_unit *unit)
{
    size_t len = 0;
    int64_t *tasks = arena_alloc(&round->arena,
                                 (round->to - round->from + 1) * sizeof *tasks);
    if (!tasks) {
        pg_unit_fail(unit);
        return;
    }
    for (size_t i = round->from; i < round->to; i++) {
        if (is_news(round->rows[i])) {
            tasks[len++] = round->rows[i]->id;
        }
    }
    if (len) {
        round->calls.unblock = (int)unit->calls_len;
        unblock_add(unit, tasks, len, NULL, 0);
    }
}

static void add_reads(struct round *round, struct pg_unit *unit)
{
    const struct turn *turn = &round->turn;
    if (turn->facts_len) {
        round->calls.facts = call(unit, "facts");
        add_ids(unit, turn->facts, turn->facts_len);
    }
    if (turn->rereads_len) {
        round->calls.rereads = call(unit, "reread");
        add_ids(unit, turn->rereads, turn->rereads_len);
    }
}

/** What is left of the account's slots, under a lock to the commit. */
static void add_slots(struct round *round, struct pg_unit *unit)
{
    const struct turn *turn = &round->turn;
    const struct str name = apimart_account_name(turn->account);
    assert(name.len > 0);
    call(unit, "slots_lock");
    pg_unit_str(unit, name);
    round->calls.slots = call(unit, "slots");
    pg_unit_str(unit, name);
    pg_unit_i64(unit, turn->account_slots);
    pg_unit_i64(unit, turn->now_ms);
    add_ids(unit, turn->claim_after, PRIORITIES);
}

static void add_claim(struct round *round, struct pg_unit *unit)
{
    const struct turn *turn = &round->turn;
    assert(turn->claims_max > 0 && turn->account_slots >= 0);
    if (turn->account_slots > 0) {
        add_slots(round, unit);
    }
    if (turn->sharing) {
        round->calls.caps = shares_add_lock(unit, turn);
    }
    if (turn->budgets) {
        call(unit, "budget_lock");
    }
    static const char *const claims[2][2] = {
        {"claim", "claim_budgets"}, {"claim_share", "claim_share_budgets"}};
    round->calls.claim = call(unit, claims[turn->sharing][turn->budgets]);
    pg_unit_i64(unit, turn->owner);
    pg_unit_i64(unit, turn->now_ms);
    pg_unit_i64(unit, turn->claims_max);
    pg_unit_str(unit, str_of(turn->account));
    pg_unit_str(unit, str_of(turn->bucket));
    pg_unit_i64(unit, turn->resend_after_ms);
    if (turn->sharing) {
        shares_add_plan(unit, turn);
    } else {
        add_ids(unit, turn->claim_after, PRIORITIES);
    }
    pg_unit_i64(unit, turn->account_slots > 0);
    if (turn->budgets) {
        round->calls.budget = call(unit, "budget_told");
    }
}

static int add_taking(struct pg_unit *unit, const char *name,
                      const struct turn *turn, int rows_max)
{
    assert(rows_max > 0);
    int index = call(unit, name);
    pg_unit_i64(unit, turn->owner);
    pg_unit_i64(unit, turn->now_ms);
    pg_unit_i64(unit, rows_max);
    return index;
}

/** Whether a row that was to give back its slot may be in doubt still. */
static bool was_refused(const struct round *round)
{
    for (size_t i = 0; i < round->turn.saves_len; i++) {
        if (round->ends[i] == SAVE_POISON || round->ends[i] == SAVE_LATER) {
            return true;
        }
    }
    return false;
}

/** The dead first: what dies later may have rows that the pass has gone by. */
static void add_adopt(struct round *round, struct pg_unit *unit)
{
    const struct turn *turn = &round->turn;
    assert(turn->adopt_after >= 0);
    if (turn->adopt_begins && !turn->adopt_nobodys) {
        round->calls.dead = call(unit, "leases_dead");
        pg_unit_i64(unit, DEAD_MAX);
    }
    round->calls.adopt = add_taking(unit, "adopt", turn, turn->adopts_max);
    pg_unit_i64(unit, turn->adopt_after);
    pg_unit_i64(unit, turn->guarded);
    pg_unit_i64(unit, turn->adopt_nobodys);
    pg_unit_i64(unit, turn->adopt_until ? turn->adopt_until : INT64_MAX);
}

static void add_forget(struct round *round, struct pg_unit *unit)
{
    const struct turn *turn = &round->turn;
    if (turn->guarded) {
        call(unit, "places_free");
        pg_unit_i64(unit, turn->owner);
        add_ids(unit, turn->forget, turn->forget_len);
    }
    call(unit, "forget_leases");
    pg_unit_i64(unit, turn->owner);
    add_ids(unit, turn->forget, turn->forget_len);
    pg_unit_i64(unit, places_lapse_ms(round->store));
    pg_unit_i64(unit, turn->guarded);
}

static void add_takings(struct round *round, struct pg_unit *unit)
{
    const struct turn *turn = &round->turn;
    if (turn->claims_max > 0 || turn->adopts_max > 0 || turn->expires_max > 0 ||
        turn->uses_told) {
        round->calls.lock = call(unit, "lease_lock");
        pg_unit_i64(unit, turn->owner);
    }
    shares_add_uses(unit, turn);
    if (turn->claims_max > 0) {
        add_claim(round, unit);
    }
    if (turn->expires_max > 0) {
        round->calls.expire =
            add_taking(unit, "expire", turn, turn->expires_max);
        pg_unit_i64(unit, turn->chain_wait_ms);
    }
    if (turn->chains) {
        round->calls.chains = (int)unit->calls_len;
        unblock_add_part(unit, turn->chains_after);
    }
    if (turn->adopts_max > 0) {
        add_adopt(round, unit);
    }
    if (turn->forget_len) {
        add_forget(round, unit);
    }
    if (turn->mine) {
        round->calls.mine = call(unit, "mine");
        pg_unit_i64(unit, turn->owner);
    }
}

/* ---- answers ---- */

/** Marks the rows whose id came back. */
static void mark_saved(struct round *round, const PGresult *result,
                       enum write write)
{
    assert(round->to <= round->turn.saves_len);
    for (int r = 0; r < PQntuples(result); r++) {
        int64_t id = pg_i64(result, r, 0);
        for (size_t i = round->from; i < round->to; i++) {
            if (round->rows[i]->id == id && write_of(round->rows[i]) == write) {
                round->ends[i] = SAVE_DONE;
                break;
            }
        }
    }
}

/** They come by falling priority and rising id. */
static void take_claimed_last(struct turn_result *out, const PGresult *result)
{
    const int id = PQfnumber(result, "id");
    const int priority = PQfnumber(result, "priority");
    assert(id >= 0 && priority >= 0);
    for (int i = 0; i < PQntuples(result); i++) {
        const int64_t p = pg_i64(result, i, priority);
        if (p >= 0 && p < PRIORITIES) {
            out->claimed_last[p] = pg_i64(result, i, id);
        }
    }
}

static void take_claimed(struct round *round, const PGresult *result)
{
    struct turn_result *out = &round->result;
    take_claimed_last(out, result);
    out->claimed = task_read_rows(&round->arena, result, &out->claimed_len);
    size_t len = 0;
    out->claimed_facts =
        facts_read_rows(round->store, &round->arena, result, &len);
}

/** Before what was claimed under them is known. */
static void take_slots(struct round *round, const PGresult *result)
{
    assert(PQntuples(result) == 1);
    const int64_t room = pg_i64(result, 0, 0);
    if (room < 0) {
        round->result.claims_put_off = true;
    } else {
        round->result.slots_full = room < round->turn.claims_max;
        round->result.slots_room = room;
    }
}

/** The first row tells what was seen even if none came. */
static void take_adopted(struct round *round, const PGresult *result)
{
    struct turn_result *out = &round->result;
    if (PQntuples(result) == 0) {
        return;
    }
    out->adopts_seen = (int)pg_i64(result, 0, PQfnumber(result, "seen"));
    out->adopt_last = pg_i64(result, 0, PQfnumber(result, "last"));
    if (!PQgetisnull(result, 0, PQfnumber(result, "id"))) {
        out->adopted = task_read_rows(&round->arena, result, &out->adopted_len);
    }
}

static void take_dead(struct round *round, const PGresult *result)
{
    struct turn_result *out = &round->result;
    size_t len = (size_t)PQntuples(result);
    int64_t *ids = arena_alloc(&round->arena, (len + 1) * sizeof *ids);
    for (size_t i = 0; ids && i < len; i++) {
        ids[i] = pg_i64(result, (int)i, 0);
    }
    out->dead = ids;
    out->dead_len = ids ? len : 0;
}

static void take_rest(struct round *round, const struct pg_unit *unit)
{
    assert(round->rest);
    const struct turn_calls *calls = &round->calls;
    struct turn_result *out = &round->result;
    struct arena *arena = &round->arena;
    PGresult *const *results = unit->results;
    if (calls->facts >= 0) {
        out->facts = facts_read_rows(round->store, arena, results[calls->facts],
                                     &out->facts_len);
    }
    if (calls->rereads >= 0) {
        out->rereads =
            task_read_rows(arena, results[calls->rereads], &out->rereads_len);
    }
    if (calls->lock >= 0) {
        out->lease_dead = PQntuples(results[calls->lock]) == 0;
    }
    if (calls->slots >= 0) {
        take_slots(round, results[calls->slots]);
    }
    if (calls->caps >= 0) {
        out->caps_busy = !pg_bool(results[calls->caps], 0, 0);
    }
    if (calls->claim >= 0) {
        take_claimed(round, results[calls->claim]);
    }
    if (calls->budget >= 0) {
        budget_take_told(out, results[calls->budget]);
    }
    if (calls->expire >= 0) {
        out->expired =
            task_read_rows(arena, results[calls->expire], &out->expired_len);
    }
    if (calls->chains >= 0) {
        unblock_take(&out->unblocked, results[calls->chains]);
    }
    if (calls->adopt >= 0) {
        take_adopted(round, results[calls->adopt]);
    }
    if (calls->dead >= 0) {
        take_dead(round, results[calls->dead]);
    }
    if (calls->mine >= 0) {
        out->mine = task_read_rows(arena, results[calls->mine], &out->mine_len);
    }
}

static bool wrote(const struct round *round)
{
    const struct turn_result *out = &round->result;
    return round->to > round->from || out->claimed_len || out->expired_len ||
           out->adopted_len || out->unblocked.freed || out->unblocked.marked ||
           round->turn.uses_told;
}

static void end_round(struct round *round, const struct err *err)
{
    assert(round->on_result);
    if (err) {
        round->result = (struct turn_result){.err = *err};
        round->result.err.kind = ERR_TRANSIENT;
    } else if (round->arena.failed) {
        err_set(&round->result.err, ERR_TRANSIENT, "no memory for the rows");
    }
    round->result.saves = round->ends;
    round->on_result(round->context, &round->result);
    arena_done(&round->arena);
    must_free(round);
}

static void send_next(struct round *round);

/** One of the rows is refused: they go in halves, without the rest. */
static void split(struct round *round, enum save_end end)
{
    size_t len = round->to - round->from;
    assert(round->to > round->from);
    if (len == 1 && round->apart) {
        round->ends[round->from] = end;
    } else if (len == 1) {
        ranges_push(&round->ranges, round->from, round->to);
    } else {
        ranges_push(&round->ranges, round->from + len / 2, round->to);
        ranges_push(&round->ranges, round->from, round->from + len / 2);
    }
    round->apart = true;
}

static void on_unit(void *context, struct pg_unit *unit)
{
    struct round *round = context;
    const struct turn_calls *calls = &round->calls;
    const bool data = unit->err.kind == ERR_PERMANENT;
    if ((data || pg_unit_is_constraint(unit)) && round->to > round->from) {
        split(round, data ? SAVE_POISON : SAVE_LATER);
        send_next(round);
        return;
    }
    if (unit->err.kind != ERR_NONE) {
        end_round(round, &unit->err);
        return;
    }
    for (enum write w = 0; w < WRITES_LEN; w++) {
        if (calls->writes[w] >= 0) {
            mark_saved(round, unit->results[calls->writes[w]], w);
        }
    }
    if (calls->unblock >= 0) {
        unblock_take(&round->result.unblocked, unit->results[calls->unblock]);
    }
    if (round->rest) {
        take_rest(round, unit);
    }
    round->result.commits += wrote(round);
    if (round->rest) {
        end_round(round, NULL);
    } else {
        send_next(round);
    }
}

static void send_next(struct round *round)
{
    struct pg_unit *unit = pg_unit_new(on_unit, round);
    round->calls = (struct turn_calls){
        {-1, -1, -1, -1}, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    round->calls.writes[WRITE_TOLD] = -1;
    round->from = 0;
    round->to = 0;
    bool saves = ranges_pop(&round->ranges, &round->from, &round->to);
    round->rest = !saves || !round->apart;
    if (saves) {
        add_saves(round, unit);
        add_unblock(round, unit);
        if (round->turn.budgets) {
            money_add(unit, round->rows + round->from, round->to - round->from);
        }
    }
    if (round->rest) {
        if (round->turn.saves_slots > 0 && was_refused(round)) {
            round->turn.claims_max = 0;
            round->result.claims_put_off = true;
        }
        add_reads(round, unit);
        add_takings(round, unit);
        reasons_add(unit, &round->turn);
    }
    store_send_turn(round->store, unit);
}

void store_turn(struct store *store, const struct turn *turn,
                turn_fn *on_result, void *context)
{
    assert(turn->owner > 0 && on_result);
    struct round *round = MUST_NEW(struct round);
    round->store = store;
    round->on_result = on_result;
    round->context = context;
    arena_init(&round->arena, 65536, 0);
    if (!copy_turn(round, turn)) {
        struct pg_unit *unit = pg_unit_new(on_unit, round);
        pg_unit_fail(unit);
        pg_lane_send(store->data, unit);
        return;
    }
    if (turn->saves_len) {
        ranges_push(&round->ranges, 0, turn->saves_len);
    }
    send_next(round);
}
