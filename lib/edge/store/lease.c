#include "edge/store/own.h"

#include "base/must.h"

#include <assert.h>
#include <stdlib.h>

#define BURY_LOCK_MS 200

/** Somebody waits for one number or for a yes or no. */
struct ask {
    store_id_fn *on_id;
    store_done_fn *on_done;
    void *context;
    struct store *store; /* of a join */
    int64_t id;
};

static struct ask *ask_new(store_id_fn *on_id, store_done_fn *on_done,
                           void *context)
{
    struct ask *ask = MUST_NEW(struct ask);
    *ask = (struct ask){.on_id = on_id, .on_done = on_done, .context = context};
    return ask;
}

/** The locks by which the sessions of a lease are known, one for each lane. */
static int64_t data_lock(int64_t lease)
{
    return 2 * lease;
}

static int64_t lease_lock(int64_t lease)
{
    return 2 * lease + 1;
}

static void end_join(struct ask *ask, const struct err *err)
{
    bool done = err->kind == ERR_NONE;
    ask->on_id(ask->context, done ? ask->id : 0, done ? NULL : err);
    must_free(ask);
}

static bool has_lock(struct pg_unit *unit)
{
    return unit->err.kind != ERR_NONE || pg_bool(unit->results[0], 0, 0) ||
           err_set(&unit->err, ERR_TRANSIENT,
                   "another session has the lock of a new lease");
}

static void on_data_locked(void *context, struct pg_unit *unit)
{
    struct ask *ask = context;
    if (has_lock(unit) && unit->err.kind == ERR_NONE) {
        pg_lane_locked(ask->store->data, data_lock(ask->id));
    }
    end_join(ask, &unit->err);
}

static void on_lease_locked(void *context, struct pg_unit *unit)
{
    struct ask *ask = context;
    if (!has_lock(unit) || unit->err.kind != ERR_NONE) {
        end_join(ask, &unit->err);
        return;
    }
    pg_lane_locked(ask->store->lease, lease_lock(ask->id));
    struct pg_unit *next = pg_unit_new(on_data_locked, ask);
    pg_lane_lock(next, data_lock(ask->id));
    pg_lane_send(ask->store->data, next);
}

/** Nothing is claimed under a lease before its sessions hold their locks. */
static void on_joined(void *context, struct pg_unit *unit)
{
    struct ask *ask = context;
    if (unit->err.kind != ERR_NONE) {
        end_join(ask, &unit->err);
        return;
    }
    ask->id = pg_i64(unit->results[0], 0, 0);
    assert(ask->id > 0);
    struct pg_unit *next = pg_unit_new(on_lease_locked, ask);
    pg_lane_lock(next, lease_lock(ask->id));
    pg_lane_send(ask->store->lease, next);
}

/** done: any of the statements wrote a row. */
static void on_done(void *context, struct pg_unit *unit)
{
    struct ask *ask = context;
    struct err err = unit->err;
    bool done = false;
    for (size_t i = 0; err.kind == ERR_NONE && i < unit->calls_len; i++) {
        done = done || PQntuples(unit->results[i]) > 0;
    }
    ask->on_done(ask->context, done, err.kind == ERR_NONE ? NULL : &err);
    must_free(ask);
}

#define BURY_CALL 2 /* after what makes way for it */

static void on_buried(void *context, struct pg_unit *unit)
{
    struct ask *ask = context;
    struct err err = unit->err;
    bool done = err.kind == ERR_NONE && PQntuples(unit->results[BURY_CALL]) > 0;
    ask->on_done(ask->context, done, err.kind == ERR_NONE ? NULL : &err);
    must_free(ask);
}

static void add_texts(struct pg_unit *unit, const struct join *join, int what)
{
    struct pg_array *array = pg_unit_array(unit, PG_TEXT);
    for (size_t i = 0; i < join->accounts_len; i++) {
        const struct join_account *account = &join->accounts[i];
        pg_array_str(array, what == 0   ? str_of(account->account)
                            : what == 1 ? account->name
                                        : account->url);
    }
    pg_unit_array_end(unit);
}

void store_join(struct store *store, const struct join *join,
                store_id_fn *on_id, void *context)
{
    assert(join->name && join->admin && on_id);
    assert(join->tasks_max > 0 && join->accounts_len > 0);
    struct ask *ask = ask_new(on_id, NULL, context);
    ask->store = store;
    struct pg_unit *unit = pg_unit_new(on_joined, ask);
    pg_unit_call(unit, "join");
    pg_unit_str(unit, str_of(join->name));
    pg_unit_i64(unit, join->tasks_max);
    add_texts(unit, join, 0);
    pg_unit_str(unit, str_of(join->admin));
    pg_unit_i64(unit, join->shares);
    struct pg_array *slots = pg_unit_array(unit, PG_INT4);
    for (size_t i = 0; i < join->accounts_len; i++) {
        pg_array_i64(slots, join->accounts[i].slots);
    }
    pg_unit_array_end(unit);
    pg_unit_call(unit, "join_accounts");
    add_texts(unit, join, 0);
    pg_unit_call(unit, "join_urls");
    add_texts(unit, join, 1);
    add_texts(unit, join, 2);
    pg_lane_send(store->lease, unit);
}

void store_bury(struct store *store, int64_t lease, int64_t counter,
                store_done_fn *callback, void *context)
{
    assert(lease > 0 && callback);
    struct pg_unit *unit =
        pg_unit_new(on_buried, ask_new(NULL, callback, context));
    unit->tries_max = 1; /* the bumps behind it must not wait */
    pg_unit_call(unit, "lock_timeout");
    pg_unit_i64(unit, BURY_LOCK_MS);
    /* A worker frozen between the messages of a claim would keep its lease
     * alive by the lock on it. */
    pg_unit_call(unit, "end_frozen");
    pg_unit_i64(unit, store->lease_ms / 2);
    pg_unit_call(unit, "bury");
    pg_unit_i64(unit, lease);
    pg_unit_i64(unit, counter);
    pg_lane_send(store->lease, unit);
}

void store_leave(struct store *store, int64_t owner, store_done_fn *callback,
                 void *context)
{
    assert(owner > 0 && callback);
    struct pg_unit *unit =
        pg_unit_new(on_done, ask_new(NULL, callback, context));
    pg_unit_call(unit, "leave");
    pg_unit_i64(unit, owner);
    pg_lane_send(store->lease, unit);
}

/* ---- the beat ---- */

struct pulse {
    beat_fn *on_result;
    void *context;
};

static void take_leases(struct beat_result *out, struct arena *arena,
                        const PGresult *result)
{
    size_t len = (size_t)PQntuples(result);
    struct lease_row *leases = arena_alloc(arena, (len + 1) * sizeof *leases);
    for (size_t i = 0; leases && i < len; i++) {
        leases[i] = (struct lease_row){
            .id = pg_i64(result, (int)i, 0),
            .counter = pg_i64(result, (int)i, 1),
            .dead = pg_bool(result, (int)i, 2),
        };
    }
    out->leases = leases;
    out->leases_len = leases ? len : 0;
}

/** A reason that this program does not know is left out. */
static void take_holds(struct beat_result *out, struct arena *arena,
                       const PGresult *result)
{
    size_t len = (size_t)PQntuples(result);
    struct hold_row *holds = arena_alloc(arena, (len + 1) * sizeof *holds);
    for (int i = 0; holds && i < (int)len; i++) {
        struct hold_row hold = {
            .scope = pg_str(result, i, 1),
            .since_ms = pg_i64(result, i, 2),
            .next_try_ms = pg_i64(result, i, 3),
            .message = pg_str(result, i, 4),
        };
        if (hold_reason_parse(pg_str(result, i, 0), &hold.reason)) {
            holds[out->holds_len++] = hold;
        }
    }
    out->holds = holds;
}

static void take_fleet(struct beat_result *out, const PGresult *result)
{
    if (PQntuples(result) == 0) {
        err_set(&out->err, ERR_TRANSIENT, "the row of the fleet is missing");
        return;
    }
    out->queued = pg_i64(result, 0, 0);
    out->in_flight = pg_i64(result, 0, 1);
    out->now_ms = pg_i64(result, 0, 2);
    out->synchronous = pg_bool(result, 0, 3);
    out->blocked = pg_i64(result, 0, 4);
    out->shares = pg_bool(result, 0, 5);
    out->budgets = pg_bool(result, 0, 6);
    out->blocked_most = pg_str(result, 0, 7);
}

static void take_accounts(struct beat_result *out, struct arena *arena,
                          const PGresult *result)
{
    size_t len = (size_t)PQntuples(result);
    struct account_row *rows = arena_alloc(arena, (len + 1) * sizeof *rows);
    for (int i = 0; rows && i < (int)len; i++) {
        rows[i] = (struct account_row){
            .account = pg_str(result, i, 0),
            .keys_answer = keys_answer_of(pg_i64(result, i, 1)),
            .key_retention_ms = pg_i64(result, i, 2),
            .url = pg_str(result, i, 3),
            .limit = {.slots = (int)pg_i64(result, i, 4),
                      .refused_ms = pg_i64(result, i, 5),
                      .changed_ms = pg_i64(result, i, 6)},
        };
    }
    out->accounts = rows;
    out->accounts_len = rows ? len : 0;
}

static void take_cancels(struct beat_result *out, struct arena *arena,
                         const PGresult *result)
{
    size_t len = (size_t)PQntuples(result);
    int64_t *tasks = arena_alloc(arena, (len + 1) * sizeof *tasks);
    for (size_t i = 0; tasks && i < len; i++) {
        tasks[i] = pg_i64(result, (int)i, 0);
    }
    out->cancels = tasks;
    out->cancels_len = tasks ? len : 0;
}

static void on_pulse(void *context, struct pg_unit *unit)
{
    struct pulse *pulse = context;
    struct beat_result out = {.err = unit->err};
    struct arena arena;
    arena_init(&arena, 4096, 0);
    if (out.err.kind == ERR_NONE) {
        PGresult *const *results = unit->results + 1; /* behind the bump */
        out.lease_dead = PQntuples(unit->results[0]) == 0;
        out.places = out.lease_dead ? 0 : (int)pg_i64(unit->results[0], 0, 1);
        take_leases(&out, &arena, results[0]);
        take_holds(&out, &arena, results[1]);
        take_fleet(&out, results[2]);
        take_cancels(&out, &arena, results[3]);
        take_accounts(&out, &arena, results[4]);
        if (arena.failed) {
            err_set(&out.err, ERR_TRANSIENT, "no memory for the leases");
        }
    }
    pulse->on_result(pulse->context, &out);
    arena_done(&arena);
    must_free(pulse);
}

void store_beat(struct store *store, const struct beat *beat,
                beat_fn *on_result, void *context)
{
    assert(beat->owner > 0 && on_result);
    struct pulse *pulse = MUST_NEW(struct pulse);
    *pulse = (struct pulse){on_result, context};
    struct pg_unit *unit = pg_unit_new(on_pulse, pulse);
    pg_unit_call(unit, "bump");
    pg_unit_i64(unit, beat->owner);
    pg_unit_i64(unit, (int64_t)beat->tasks);
    pg_unit_i64(unit, beat->places_back);
    if (beat->leases_len) {
        pg_unit_call(unit, "leases_some");
        struct pg_array *ids = pg_unit_array(unit, PG_INT8);
        for (size_t i = 0; i < beat->leases_len; i++) {
            pg_array_i64(ids, beat->leases[i]);
        }
        pg_unit_array_end(unit);
    } else {
        pg_unit_call(unit, "leases");
    }
    pg_unit_call(unit, "holds");
    pg_unit_i64(unit, beat->owner);
    pg_unit_i64(unit, beat->resend_after_ms);
    pg_unit_call(unit, "fleet");
    pg_unit_call(unit, "cancels");
    pg_unit_i64(unit, beat->owner);
    pg_unit_call(unit, "accounts");
    pg_unit_i64(unit, beat->owner);
    pg_lane_send(store->lease, unit);
}

/* ---- the count ---- */

struct tally {
    count_fn *on_result;
    void *context;
    bool xmin;
};

static void on_tally(void *context, struct pg_unit *unit)
{
    struct tally *tally = context;
    struct count_result out = {.err = unit->err, .oldest_xmin = -1};
    if (out.err.kind == ERR_NONE && PQntuples(unit->results[1]) > 0) {
        out.counted = true;
        out.queued = pg_i64(unit->results[1], 0, 0);
        out.in_flight = pg_i64(unit->results[1], 0, 1);
        out.blocked = pg_i64(unit->results[1], 0, 2);
        out.oldest_ms = pg_i64(unit->results[1], 0, 3);
        out.blocked_most = pg_str(unit->results[1], 0, 4);
    }
    if (out.err.kind == ERR_NONE && tally->xmin) {
        out.oldest_xmin = pg_i64(unit->results[2], 0, 0);
    }
    tally->on_result(tally->context, &out);
    must_free(tally);
}

void store_count(struct store *store, bool xmin, count_fn *on_result,
                 void *context)
{
    assert(on_result);
    struct tally *tally = MUST_NEW(struct tally);
    *tally = (struct tally){on_result, context, xmin};
    struct pg_unit *unit = pg_unit_new(on_tally, tally);
    unit->tries_max = 1; /* the next count will do */
    /* Under an old snapshot it walks over dead rows, too. */
    pg_unit_call(unit, "statement_timeout");
    pg_unit_i64(unit, store->count_ms);
    pg_unit_call(unit, "count");
    if (xmin) {
        pg_unit_call(unit, "oldest_xmin");
    }
    pg_lane_send(store->lease, unit);
}

static void add_numbers(struct pg_unit *unit, const int64_t *numbers,
                        size_t len)
{
    struct pg_array *array = pg_unit_array(unit, PG_INT8);
    for (size_t i = 0; i < len; i++) {
        pg_array_i64(array, numbers[i]);
    }
    pg_unit_array_end(unit);
}

void store_vitals(struct store *store, const struct vitals_row *row,
                  store_done_fn *callback, void *context)
{
    assert(row->owner > 0 && row->version && callback);
    const int64_t slots[] = {row->submits, row->submits_max, row->transfers,
                             row->transfers_max};
    struct pg_unit *unit =
        pg_unit_new(on_done, ask_new(NULL, callback, context));
    unit->tries_max = 1; /* the next will do */
    pg_unit_call(unit, "vitals");
    pg_unit_i64(unit, row->owner);
    pg_unit_str(unit, str_of(row->version));
    pg_unit_i64(unit, row->draining);
    pg_unit_i64(unit, row->paused);
    pg_unit_i64(unit, row->span_ms);
    add_numbers(unit, row->states, TASK_STATES_LEN);
    add_numbers(unit, slots, sizeof slots / sizeof *slots);
    add_numbers(unit, row->counts, VITALS_COUNTS_LEN);
    pg_unit_i64(unit, row->late_ms);
    pg_lane_send(store->lease, unit);
}

/* ---- rows that are left alone ---- */

struct look {
    unreadable_fn *on_rows;
    void *context;
};

static void on_looked(void *context, struct pg_unit *unit)
{
    struct look *look = context;
    struct err err = unit->err;
    const PGresult *result = unit->results[0];
    struct unreadable_part part = {0};
    int len = err.kind == ERR_NONE ? PQntuples(result) : 0;
    struct unreadable_row *rows = calloc((size_t)len + 1, sizeof *rows);
    if (!rows && err.kind == ERR_NONE) {
        err_set(&err, ERR_TRANSIENT, "no memory for rows");
    }
    for (int i = 0; rows && i < len && !PQgetisnull(result, i, 2); i++) {
        rows[part.len++] = (struct unreadable_row){
            .task = pg_i64(result, i, 2),
            .request_id = pg_str(result, i, 3),
        };
    }
    if (rows && len) { /* the first tells of the part even if it has none */
        part.count = pg_i64(result, 0, 0);
        part.last = pg_i64(result, 0, 1);
    }
    part.rows = rows;
    look->on_rows(look->context, &part, err.kind == ERR_NONE ? NULL : &err);
    free(rows);
    must_free(look);
}

void store_unreadable(struct store *store, const struct unreadable_ask *ask,
                      unreadable_fn *on_rows, void *context)
{
    assert(ask->part_max > 0 && ask->rows_max > 0 && on_rows);
    struct look *look = MUST_NEW(struct look);
    *look = (struct look){on_rows, context};
    struct pg_unit *unit = pg_unit_new(on_looked, look);
    pg_unit_call(unit, ask->waiting ? "unreadable_waiting" : "unreadable");
    if (!ask->waiting) {
        pg_unit_i64(unit, ask->owner);
    }
    pg_unit_i64(unit, ask->rows_max);
    pg_unit_i64(unit, ask->after);
    pg_unit_i64(unit, ask->part_max);
    pg_lane_send(store->data, unit);
}

void store_reasons_sweep(struct store *store, store_done_fn *callback,
                         void *context)
{
    struct pg_unit *unit =
        pg_unit_new(on_done, ask_new(NULL, callback, context));
    pg_unit_call(unit, "reason_sweep");
    pg_lane_send(store->data, unit);
}

/* ---- evidence and holds ---- */

/* In this order: what leaves the working table while the first one waits for it
 * is there for those behind it. */
static const char *const learn_queries[] = {
    "learn", "learn_waiting", "learn_closed", "learn_told", "learn_past"};
#define LEARN_QUERIES (sizeof learn_queries / sizeof *learn_queries)
#define FOUND_CALL (1 + LEARN_QUERIES) /* behind the lock and those */

struct learning {
    char provider_task_id[PROVIDER_TASK_ID_BYTES];
    learn_fn *on_learnt;
    void *context;
};

/** What stands there now tells, too, whether anything had to be written. */
static enum learn_end learn_end_of(const struct learning *learning,
                                   PGresult *const *results, const char **other)
{
    for (size_t i = 1; i < FOUND_CALL; i++) {
        if (PQntuples(results[i]) > 0) {
            return LEARN_WRITTEN;
        }
    }
    const PGresult *found = results[FOUND_CALL];
    enum learn_end end = LEARN_NOWHERE;
    for (int i = 0; i < PQntuples(found); i++) {
        const char *there = PQgetvalue(found, i, 0);
        if (strcmp(there, learning->provider_task_id) == 0) {
            return LEARN_SAME; /* beside a later attempt's, too */
        }
        *other = there;
        end = LEARN_OTHER;
    }
    return end;
}

static void on_learnt(void *context, struct pg_unit *unit)
{
    struct learning *learning = context;
    struct err err = unit->err;
    const char *other = NULL;
    enum learn_end end = LEARN_NOWHERE;
    if (err.kind == ERR_NONE) {
        end = learn_end_of(learning, unit->results, &other);
    } else {
        err.kind = ERR_TRANSIENT; /* refused: the id is kept all the same */
    }
    learning->on_learnt(learning->context, end, other,
                        err.kind == ERR_NONE ? NULL : &err);
    must_free(learning);
}

void store_learn(struct store *store, int64_t task, int32_t submission,
                 struct str provider_task_id, learn_fn *callback, void *context)
{
    assert(task > 0 && callback);
    assert(provider_task_id.len > 0 &&
           provider_task_id.len < PROVIDER_TASK_ID_BYTES);
    struct learning *learning = MUST_NEW(struct learning);
    learning->on_learnt = callback;
    learning->context = context;
    memcpy(learning->provider_task_id, provider_task_id.at,
           provider_task_id.len);
    struct pg_unit *unit = pg_unit_new(on_learnt, learning);
    pg_unit_call(unit, "request_lock");
    pg_unit_i64(unit, task);
    for (size_t i = 0; i < LEARN_QUERIES; i++) {
        pg_unit_call(unit, learn_queries[i]);
        pg_unit_i64(unit, task);
        pg_unit_i64(unit, submission);
        pg_unit_str(unit, provider_task_id);
    }
    pg_unit_call(unit, "learn_found");
    pg_unit_i64(unit, task);
    pg_unit_i64(unit, submission);
    pg_unit_str(unit, provider_task_id);
    pg_lane_send(store->data, unit);
}

static struct pg_unit *hold_unit(const char *query, enum hold_reason reason,
                                 struct str scope, store_done_fn *callback,
                                 void *context)
{
    struct pg_unit *unit =
        pg_unit_new(on_done, ask_new(NULL, callback, context));
    pg_unit_call(unit, query);
    pg_unit_str(unit, str_of(hold_reason_name(reason)));
    pg_unit_str(unit, scope);
    return unit;
}

void store_hold_set(struct store *store, enum hold_reason reason,
                    struct str scope, struct str message, int64_t next_try_ms,
                    store_done_fn *callback, void *context)
{
    struct pg_unit *unit =
        hold_unit("hold_set", reason, scope, callback, context);
    pg_unit_i64(unit, next_try_ms);
    pg_unit_str(unit, message.at ? message : STR(""));
    pg_lane_send(store->data, unit);
}

void store_hold_lift(struct store *store, enum hold_reason reason,
                     struct str scope, store_done_fn *callback, void *context)
{
    pg_lane_send(store->data,
                 hold_unit("hold_lift", reason, scope, callback, context));
}

void store_hold_probe(struct store *store, enum hold_reason reason,
                      struct str scope, int64_t now_ms, int64_t again_ms,
                      store_done_fn *callback, void *context)
{
    struct pg_unit *unit =
        hold_unit("hold_probe", reason, scope, callback, context);
    pg_unit_i64(unit, now_ms);
    pg_unit_i64(unit, again_ms);
    pg_lane_send(store->data, unit);
}

void store_keys_answer(struct store *store, const char *account,
                       enum keys_answer answer, int64_t retention_ms,
                       store_done_fn *callback, void *context)
{
    assert(account && callback);
    struct pg_unit *unit =
        pg_unit_new(on_done, ask_new(NULL, callback, context));
    pg_unit_call(unit, "keys_answer");
    pg_unit_str(unit, str_of(account));
    pg_unit_i64(unit, (int64_t)answer);
    pg_unit_i64(unit, retention_ms);
    pg_lane_send(store->data, unit);
}
