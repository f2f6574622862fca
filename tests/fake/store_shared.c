#include "fake/store_call.h"

#include "core/apimart.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* lib/edge/store.h: leases, holds, evidence. */

/* ---- leases ---- */

static void answer_id(struct call *call)
{
    call->on_id(call->context, call->small.id, &call->err);
}

static void run_join(struct call *call)
{
    struct tables *tables = call->op.world->tables;
    tables->leases = realloc(tables->leases, (tables->leases_len + 1) *
                                                 sizeof(*tables->leases));
    assert(tables->leases);
    struct lease_of *lease = &tables->leases[tables->leases_len++];
    *lease = (struct lease_of){.id = (int64_t)tables->leases_len,
                               .bumped_ms = world_clock_ms(tables->world),
                               .loop = call->op.loop};
    lease->shares = call->join_shares;
    for (size_t i = 0; i < call->join_len; i++) {
        const struct join_account *account = &call->join[i];
        assert(lease->accounts_len < KEYS_MAX);
        snprintf(lease->accounts[lease->accounts_len++], ACCOUNT_BYTES, "%s",
                 account->account);
        note_account(tables, account);
    }
    call->small.id = lease->id;
}

void store_join(struct store *store, const struct join *join,
                store_id_fn *on_id, void *context)
{
    struct call *call = call_new(store, run_join, answer_id, context);
    call->on_id = on_id;
    call->unit = UNIT_JOIN;
    struct join_account *accounts =
        arena_alloc(&call->op.arena, join->accounts_len * sizeof *accounts);
    for (size_t i = 0; i < join->accounts_len; i++) {
        const struct join_account *one = &join->accounts[i];
        accounts[i] = (struct join_account){
            .account = copy_str(&call->op.arena, str_of(one->account)).at,
            .name = copy_str(&call->op.arena, one->name),
            .url = copy_str(&call->op.arena, one->url),
        };
    }
    call->join = accounts;
    call->join_len = join->accounts_len;
    call->join_shares = join->shares;
    call_go(call, LANE_LEASE);
}

static struct str most_wait_for(const struct tables *tables)
{
    return tables->blocked > 0 ? STR("what requests of tenant default extend")
                               : STR("");
}

static void run_count(struct call *call)
{
    struct tables *tables = call->op.world->tables;
    struct count_result *result = &call->count;
    if (tables->uncountable) {
        err_set(&call->err, ERR_TRANSIENT, "it takes too long");
        return;
    }
    tables->queued = 0;
    tables->in_flight = 0;
    tables->blocked = 0;
    for (size_t i = 0; i < tables->len; i++) {
        const struct record_of *record = tables->records[i];
        const bool blocked = is_blocked(record) || record->aside;
        tables->queued += record->waiting && !blocked;
        tables->blocked += blocked;
        if (record->waiting && !blocked && !result->oldest_ms) {
            result->oldest_ms = record->request.received_ms;
        }
    }
    for (size_t i = 0; i < tables->leases_len; i++) {
        const struct lease_of *lease = &tables->leases[i];
        tables->in_flight += lease->dead ? 0 : (int64_t)lease->tasks;
    }
    result->counted = true;
    result->queued = tables->queued;
    result->in_flight = tables->in_flight;
    result->blocked = tables->blocked;
    result->blocked_most = most_wait_for(tables);
}

static void answer_count(struct call *call)
{
    call->count.err = call->err;
    call->on_count(call->context, &call->count);
}

static void run_prices(struct call *call)
{
    (void)call; /* nothing cost anything */
}

static void answer_prices(struct call *call)
{
    call->on_prices(call->context, NULL, 0,
                    call->err.kind == ERR_NONE ? NULL : &call->err);
}

void store_prices(struct store *store, prices_fn *on_prices, void *context)
{
    struct call *call = call_new(store, run_prices, answer_prices, context);
    call->on_prices = on_prices;
    call_go(call, LANE_LEASE);
}

void store_count(struct store *store, bool xmin, count_fn *on_result,
                 void *context)
{
    struct call *call = call_new(store, run_count, answer_count, context);
    call->on_count = on_result;
    call->count.oldest_xmin = xmin ? 0 : -1;
    call_go(call, LANE_LEASE);
}

static bool is_picked(const struct beat *ask, int64_t id)
{
    for (size_t i = 0; i < ask->leases_len; i++) {
        if (ask->leases[i] == id) {
            return true;
        }
    }
    return ask->leases_len == 0;
}

static void read_leases(struct call *call)
{
    const struct tables *tables = call->op.world->tables;
    struct arena *arena = &call->op.arena;
    struct beat_result *result = &call->beat.result;
    struct lease_row *leases =
        arena_alloc(arena, (tables->leases_len + 1) * sizeof *leases);
    for (size_t i = 0; i < tables->leases_len; i++) {
        const struct lease_of *lease = &tables->leases[i];
        if (!lease->forgotten && is_picked(&call->beat.ask, lease->id)) {
            leases[result->leases_len++] =
                (struct lease_row){lease->id, lease->counter, lease->dead};
        }
    }
    result->leases = leases;
    struct hold_row *holds =
        arena_alloc(arena, (tables->holds_len + 1) * sizeof *holds);
    for (size_t i = 0; i < tables->holds_len; i++) {
        const struct hold_of *hold = &tables->holds[i];
        holds[i] = (struct hold_row){
            .reason = hold->reason,
            .scope = copy_str(arena, str_of(hold->scope)),
            .since_ms = hold->since_ms,
            .next_try_ms = hold->next_try_ms,
            .message = copy_str(arena, str_of(hold->message)),
        };
    }
    result->holds = holds;
    result->holds_len = tables->holds_len;
    int64_t *cancels = arena_alloc(arena, (tables->len + 1) * sizeof *cancels);
    for (size_t i = 0; i < tables->len; i++) {
        const struct record_of *record = tables->records[i];
        if (record->cancel && record->row.owner == call->beat.ask.owner) {
            cancels[result->cancels_len++] = record->row.id;
        }
    }
    result->cancels = cancels;
}

static void read_accounts(struct call *call, const struct lease_of *lease)
{
    struct arena *arena = &call->op.arena;
    struct account_row *rows =
        arena_alloc(arena, (lease->accounts_len + 1) * sizeof *rows);
    for (size_t i = 0; i < lease->accounts_len; i++) {
        const struct account_of_all *account =
            find_account(call->op.world->tables, lease->accounts[i]);
        rows[i] = (struct account_row){
            .account = copy_str(arena, str_of(lease->accounts[i])),
            .keys_answer = account->keys_answer,
            .key_retention_ms = account->key_retention_ms,
            .url = copy_str(arena, str_of(account->url)),
            .limit = account->limit,
        };
    }
    call->beat.result.accounts = rows;
    call->beat.result.accounts_len = lease->accounts_len;
}

static void run_beat(struct call *call)
{
    struct tables *tables = call->op.world->tables;
    struct beat_result *result = &call->beat.result;
    const struct beat *ask = &call->beat.ask;
    result->lease_dead = !lease_is_alive(tables, ask->owner);
    if (!result->lease_dead) {
        struct lease_of *lease = &tables->leases[ask->owner - 1];
        lease->counter++;
        lease->tasks = ask->tasks;
        assert(lease->places >= ask->places_back);
        lease->places -= ask->places_back;
        lease->bumped_ms = world_clock_ms(tables->world);
        result->places = lease->places;
    }
    read_leases(call);
    result->queued = tables->queued;
    result->in_flight = tables->in_flight;
    result->blocked = tables->blocked;
    result->blocked_most = most_wait_for(tables);
    result->now_ms = world_clock_ms(tables->world);
    result->shares = tenants_share(tables);
    result->budgets = tables->budgets_len > 0;
    result->synchronous = true;
    read_accounts(call, &tables->leases[ask->owner - 1]);
}

static void answer_beat(struct call *call)
{
    call->beat.result.err = call->err;
    call->on_beat(call->context, &call->beat.result);
}

/** All that is in memory can be read; what can't be is made up: so many parts,
 * each with one row whose number is the part's. */
static void run_look(struct call *call)
{
    const struct tables *tables = call->op.world->tables;
    const int parts =
        call->small.waiting ? tables->unreadable_waiting : tables->unreadable;
    const int64_t part = call->small.id + 1;
    call->small.done = part <= parts;
    call->small.more_ms = part < parts ? part : 0;
}

static void answer_look(struct call *call)
{
    const int64_t before = call->small.waiting ? 1000 : 0;
    const struct unreadable_row row = {.task = before + call->small.id + 1,
                                       .request_id = STR("of a later one")};
    const struct unreadable_part part = {.count = call->small.done,
                                         .last = call->small.more_ms,
                                         .rows = &row,
                                         .len = call->small.done};
    call->on_rows(call->context, &part,
                  call->err.kind == ERR_NONE ? NULL : &call->err);
}

void store_unreadable(struct store *store, const struct unreadable_ask *ask,
                      unreadable_fn *on_rows, void *context)
{
    struct call *call = call_new(store, run_look, answer_look, context);
    call->small.id = ask->after;
    call->small.waiting = ask->waiting;
    call->on_rows = on_rows;
    call_go(call, LANE_DATA);
}

void store_beat(struct store *store, const struct beat *beat,
                beat_fn *on_result, void *context)
{
    struct call *call = call_new(store, run_beat, answer_beat, context);
    call->on_beat = on_result;
    call->beat.ask = *beat;
    int64_t *ids =
        arena_alloc(&call->op.arena, (beat->leases_len + 1) * sizeof *ids);
    if (beat->leases_len) {
        memcpy(ids, beat->leases, beat->leases_len * sizeof *ids);
    }
    call->beat.ask.leases = ids;
    call_go(call, LANE_LEASE);
}

static void run_leave(struct call *call)
{
    struct tables *tables = call->op.world->tables;
    if (lease_is_alive(tables, call->small.id)) {
        tables->leases[call->small.id - 1].dead = true;
        world_tell(tables->world, "lease %d is dead", (int)call->small.id);
    }
    call->small.done = true;
}

static void run_bury(struct call *call)
{
    const struct tables *tables = call->op.world->tables;
    if (lease_is_alive(tables, call->small.id) &&
        tables->leases[call->small.id - 1].counter == call->small.at_ms) {
        run_leave(call);
    }
}

void store_bury(struct store *store, int64_t lease, int64_t counter,
                store_done_fn *on_done, void *context)
{
    struct call *call = call_new(store, run_bury, call_answer_done, context);
    call->on_done = on_done;
    call->small.id = lease;
    call->small.at_ms = counter;
    call_go(call, LANE_LEASE);
}

void store_leave(struct store *store, int64_t owner, store_done_fn *on_done,
                 void *context)
{
    struct call *call = call_new(store, run_leave, call_answer_done, context);
    call->on_done = on_done;
    call->small.id = owner;
    call_go(call, LANE_LEASE);
}

/** Nothing follows from it. */
static void run_vitals(struct call *call)
{
    call->small.done = lease_is_alive(call->op.world->tables, call->small.id);
}

void store_vitals(struct store *store, const struct vitals_row *row,
                  store_done_fn *on_done, void *context)
{
    struct call *call = call_new(store, run_vitals, call_answer_done, context);
    assert(row->owner > 0 && row->span_ms >= 0 && row->late_ms >= 0);
    for (int i = 0; i < VITALS_COUNTS_LEN; i++) {
        assert(row->counts[i] >= 0);
    }
    call->on_done = on_done;
    call->small.id = row->owner;
    call_go(call, LANE_LEASE);
}

static void run_sweep(struct call *call)
{
    struct tables *tables = call->op.world->tables;
    for (size_t i = 0; i < tables->len; i++) {
        struct record_of *record = tables->records[i];
        if (record->has_reason &&
            (!is_in_task(record) || record->reason.fence != record->row.fence ||
             record->reason.state != record->row.state)) {
            record->has_reason = false;
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < tables->shared_len; i++) {
        if (lease_is_alive(tables, tables->shared[i].owner)) {
            tables->shared[kept++] = tables->shared[i];
        }
    }
    tables->shared_len = kept;
}

void store_reasons_sweep(struct store *store, store_done_fn *on_done,
                         void *context)
{
    struct call *call = call_new(store, run_sweep, call_answer_done, context);
    call->on_done = on_done;
    call_go(call, LANE_DATA);
}

/* ---- evidence and holds ---- */

static void set_id(char *to, struct str id)
{
    snprintf(to, PROVIDER_TASK_ID_BYTES, "%.*s", (int)id.len, id.at);
}

/** Written where none is there. */
static enum learn_end compare(struct call *call, char *there)
{
    if (!there[0]) {
        set_id(there, call->small.other);
        return LEARN_WRITTEN;
    }
    if (str_eq(str_of(there), call->small.other)) {
        return LEARN_SAME;
    }
    call->learn.there = there;
    return LEARN_OTHER;
}

bool record_had(const struct record_of *record, const char *provider_task_id)
{
    for (size_t i = 0; i < record->past_len; i++) {
        if (record->past[i].untold &&
            strcmp(record->past[i].provider_task_id, provider_task_id) == 0) {
            return true;
        }
    }
    return false;
}

static enum learn_end learn_past(struct call *call, struct record_of *record)
{
    enum learn_end end = LEARN_NOWHERE;
    for (size_t i = 0; i < record->past_len; i++) {
        struct past_of *past = &record->past[i];
        if (past->submission == call->small.more_ms && !past->untold) {
            end = compare(call, past->provider_task_id);
        }
    }
    return end;
}

/** Told as submit_unknown, it opens again as late. */
static void reopen(struct call *call, struct record_of *record)
{
    struct task_row *row = &record->row;
    keep_past(record, row->provider_task_id);
    record->closed = false;
    row->state = LATE;
    row->late = true;
    row->owner = 0;
    row->fence += 1;
    row->version += 1;
    row->submitted_ms = world_clock_ms(call->op.world);
}

static void run_learn(struct call *call)
{
    struct tables *tables = call->op.world->tables;
    struct record_of *record = record_at(tables, call->small.id);
    call->learn.end = LEARN_NOWHERE;
    if (!record) {
        return;
    }
    struct task_row *row = &record->row;
    if (row->submission != call->small.more_ms) {
        call->learn.end = learn_past(call, record);
        return;
    }
    if (record_had(record, call->small.other.at)) {
        call->learn.end = LEARN_SAME; /* what is here is another attempt */
        return;
    }
    call->learn.end = compare(call, row->provider_task_id);
    if (call->learn.end != LEARN_WRITTEN) {
        return;
    }
    record->learnt_sends = row->sends;
    if (record->closed && row->kind == FAILURE_SUBMIT_UNKNOWN) {
        reopen(call, record);
    } else if (row->state == QUEUED) {
        learn_queued(record, 0);
    }
}

static void answer_learn(struct call *call)
{
    call->on_learnt(call->context, call->learn.end, call->learn.there,
                    &call->err);
}

void store_learn(struct store *store, int64_t task, int32_t submission,
                 struct str provider_task_id, learn_fn *on_learnt,
                 void *context)
{
    struct call *call = call_new(store, run_learn, answer_learn, context);
    call->on_learnt = on_learnt;
    call->unit = UNIT_LEARN;
    call->small.id = task;
    call->small.more_ms = submission;
    call->small.other = copy_str(&call->op.arena, provider_task_id);
    call_go(call, LANE_DATA);
}

static struct hold_of *find_hold(struct tables *tables, const struct call *call)
{
    for (size_t i = 0; i < tables->holds_len; i++) {
        if (tables->holds[i].reason == call->small.reason &&
            str_eq(str_of(tables->holds[i].scope), call->small.text)) {
            return &tables->holds[i];
        }
    }
    return NULL;
}

static struct call *hold_call(struct store *store, call_fn *run,
                              enum hold_reason reason, struct str scope,
                              store_done_fn *on_done, void *context)
{
    struct call *call = call_new(store, run, call_answer_done, context);
    call->on_done = on_done;
    call->small.reason = reason;
    call->small.text = copy_str(&call->op.arena, scope);
    return call;
}

static void run_hold_set(struct call *call)
{
    struct tables *tables = call->op.world->tables;
    struct hold_of *hold = find_hold(tables, call);
    if (!hold) {
        assert(tables->holds_len < HOLDS_MAX);
        hold = &tables->holds[tables->holds_len++];
        *hold = (struct hold_of){
            .reason = call->small.reason,
            .since_ms = world_clock_ms(tables->world),
            .next_try_ms = call->small.at_ms,
        };
        snprintf(hold->scope, sizeof hold->scope, "%.*s",
                 (int)call->small.text.len, call->small.text.at);
        world_tell(tables->world, "hold %s",
                   hold_reason_name(call->small.reason));
    }
    snprintf(hold->message, sizeof hold->message, "%.*s",
             (int)call->small.other.len,
             call->small.other.at ? call->small.other.at : "");
}

void store_hold_set(struct store *store, enum hold_reason reason,
                    struct str scope, struct str message, int64_t next_try_ms,
                    store_done_fn *on_done, void *context)
{
    struct call *call =
        hold_call(store, run_hold_set, reason, scope, on_done, context);
    call->small.other = copy_str(&call->op.arena, message);
    call->small.at_ms = next_try_ms;
    call_go(call, LANE_DATA);
}

static void run_hold_lift(struct call *call)
{
    struct tables *tables = call->op.world->tables;
    struct hold_of *hold = find_hold(tables, call);
    if (hold) {
        *hold = tables->holds[--tables->holds_len];
        call->small.done = true;
        world_tell(tables->world, "lifted %s",
                   hold_reason_name(call->small.reason));
    }
}

void store_hold_lift(struct store *store, enum hold_reason reason,
                     struct str scope, store_done_fn *on_done, void *context)
{
    call_go(hold_call(store, run_hold_lift, reason, scope, on_done, context),
            LANE_DATA);
}

static void run_hold_probe(struct call *call)
{
    struct hold_of *hold = find_hold(call->op.world->tables, call);
    if (hold && hold->next_try_ms <= call->small.at_ms) {
        hold->next_try_ms = call->small.at_ms + call->small.more_ms;
        call->small.done = true;
    }
}

void store_hold_probe(struct store *store, enum hold_reason reason,
                      struct str scope, int64_t now_ms, int64_t again_ms,
                      store_done_fn *on_done, void *context)
{
    struct call *call =
        hold_call(store, run_hold_probe, reason, scope, on_done, context);
    call->small.at_ms = now_ms;
    call->small.more_ms = again_ms;
    call_go(call, LANE_DATA);
}

static void run_keys_answer(struct call *call)
{
    struct tables *tables = call->op.world->tables;
    struct account_of_all *account = made_account(tables, call->small.text.at);
    if (account->keys_answer == KEYS_BROKEN) {
        return; /* it stays caught */
    }
    tables->keys_answer = call->small.answer;
    account->keys_answer = call->small.answer;
    account->key_retention_ms = call->small.more_ms;
    call->small.done = true;
}

void store_keys_answer(struct store *store, const char *account,
                       enum keys_answer answer, int64_t retention_ms,
                       store_done_fn *on_done, void *context)
{
    struct call *call =
        call_new(store, run_keys_answer, call_answer_done, context);
    call->on_done = on_done;
    call->small.text = copy_str(&call->op.arena, str_of(account));
    call->unit = UNIT_KEYS;
    call->small.answer = answer;
    call->small.more_ms = retention_ms;
    call_go(call, LANE_DATA);
}
