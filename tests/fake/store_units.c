#include "core/apimart.h"
#include "fake/store_call.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* lib/edge/store.h: intake, sources, the engine's turn. */

/* ---- intake ---- */

static void copy_request(struct arena *arena, struct intake_row *to,
                         const struct intake_row *from)
{
    *to = *from;
    struct str *texts[] = {
        &to->request_id,  &to->tenant,     &to->metadata, &to->warnings,
        &to->traceparent, &to->tracestate, &to->body,     &to->event,
        &to->source,      &to->account,
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        *texts[i] = copy_str(arena, *texts[i]);
    }
}

/* ---- orders to cancel, as messages (sql/query/intake_cancel.sql) ---- */

#define KEPT_MS INT64_C(86400000)

static struct early_of *early_of(const struct tables *tables, struct str id,
                                 struct str tenant)
{
    for (size_t i = 0; i < tables->earlies_len; i++) {
        struct early_of *early = &tables->earlies[i];
        if (str_eq(str_of(early->request_id), id) &&
            str_eq(str_of(early->tenant), tenant)) {
            return early;
        }
    }
    return NULL;
}

static void keep_early(struct tables *tables, const struct intake_row *row)
{
    struct early_of *early = early_of(tables, row->request_id, row->tenant);
    if (!early) {
        tables->earlies =
            realloc(tables->earlies,
                    (tables->earlies_len + 1) * sizeof(*tables->earlies));
        assert(tables->earlies);
        early = &tables->earlies[tables->earlies_len++];
    }
    snprintf(early->request_id, sizeof early->request_id, "%.*s",
             (int)row->request_id.len, row->request_id.at);
    snprintf(early->tenant, sizeof early->tenant, "%.*s", (int)row->tenant.len,
             row->tenant.at);
    early->kept_ms = row->received_ms;
}

static enum intake_verdict order(struct tables *tables,
                                 const struct intake_row *row, bool old)
{
    struct record_of *record = record_named(tables, row->request_id);
    if (!record && old) {
        return INTAKE_TOO_OLD;
    }
    if (!record) {
        keep_early(tables, row);
        return INTAKE_CANCEL_KEPT;
    }
    if (record->request.tenant.at &&
        !str_eq(record->request.tenant, row->tenant)) {
        return INTAKE_CANCEL_TENANT;
    }
    return cancel_record(record) || record->row.kind == FAILURE_CANCELLED
               ? INTAKE_CANCELLED
               : INTAKE_CANCEL_LATE;
}

static void insert(struct tables *tables, const struct intake_row *row,
                   int64_t owner)
{
    struct record_of *record = calloc(1, sizeof *record);
    tables->records =
        realloc(tables->records, (tables->len + 1) * sizeof(*tables->records));
    assert(record && tables->records);
    tables->records[tables->len++] = record;
    copy_request(&tables->arena, &record->request, row);
    if (tables->estimates && tables->len % 5) { /* 0.2 to 0.5, or none */
        record->request.price = (money)(1 + tables->len % 5) * MONEY_ONE / 10;
    }
    record->row = (struct task_row){
        .id = (int64_t)tables->len,
        .state = QUEUED,
        .received_ms = row->received_ms,
        .deadline_ms = row->deadline_seconds
                           ? row->received_ms + row->deadline_seconds * 1000
                           : 0,
    };
    if (row->event.at) {
        record->row.state = FAILED;
        record->row.kind = FAILURE_INVALID_REQUEST;
        record->row.settled_ms = row->received_ms;
        record->row.event = strndup(row->event.at, row->event.len);
        record->bare = true;
    } else {
        record->waiting = true;
        pin(record, row->account);
        record->expires_ms = record->row.deadline_ms;
        record->row.doubt = row->produced_ms < tables->rewound_ms;
        record->row.first_sent_ms = record->row.doubt ? row->produced_ms : 0;
        record->row.not_before_ms = row->source.at ? row->received_ms : 0;
        const struct early_of *early =
            early_of(tables, row->request_id, row->tenant);
        if (early && early->kept_ms > row->received_ms - KEPT_MS) {
            record->cancel = record->ordered = record->early = true;
        }
        record->owes_accepted = tables->accepted_events;
        record->accepted_owner = owner;
    }
}

static bool is_old(const struct call *call, const struct intake_row *row)
{
    int64_t known_from_ms = call->op.world->tables->known_from_ms;
    if (known_from_ms < call->intake.known_from_ms) {
        known_from_ms = call->intake.known_from_ms;
    }
    return row->produced_ms && row->produced_ms < known_from_ms;
}

static enum intake_verdict take_in(struct call *call, size_t i)
{
    struct tables *tables = call->op.world->tables;
    const struct intake_row *row = &call->intake.rows[i];
    const struct record_of *there = record_named(tables, row->request_id);
    if (there) {
        bool same = memcmp(there->request.content, row->content,
                           sizeof row->content) == 0;
        return same ? INTAKE_REPEAT : INTAKE_REUSED;
    }
    if (is_old(call, row)) {
        return INTAKE_TOO_OLD;
    }
    insert(tables, row, call->intake.owner);
    run_unblock_named(tables, row->event.at ? row->request_id : row->source);
    return INTAKE_NEW;
}

/** Orders first: they hold for requests of their batch, and are answered by
 * what has come with them. */
static void run_intake(struct call *call)
{
    struct tables *tables = call->op.world->tables;
    struct intake_result *result = &call->intake.result;
    const struct intake_row *rows = call->intake.rows;
    for (size_t i = 0; i < result->len; i++) {
        if (rows[i].cancel) {
            result->verdicts[i] =
                order(tables, &rows[i], is_old(call, &rows[i]));
        }
    }
    for (size_t i = 0; i < result->len; i++) {
        if (!rows[i].cancel) {
            result->verdicts[i] = take_in(call, i);
        }
    }
    for (size_t i = 0; i < result->len; i++) {
        if (rows[i].cancel && result->verdicts[i] == INTAKE_CANCEL_KEPT &&
            record_named(tables, rows[i].request_id)) {
            result->verdicts[i] = order(tables, &rows[i], false);
        }
    }
}

static void answer_intake(struct call *call)
{
    call->intake.result.err = call->err;
    call->on_intake(call->context, &call->intake.result);
}

void store_intake(struct store *store, int64_t owner, int64_t known_from_ms,
                  const struct intake_row *rows, size_t len,
                  intake_fn *on_result, void *context)
{
    struct call *call = call_new(store, run_intake, answer_intake, context);
    struct arena *arena = &call->op.arena;
    call->on_intake = on_result;
    call->unit = UNIT_INTAKE;
    call->intake.owner = owner;
    call->intake.known_from_ms = known_from_ms;
    call->intake.rows = arena_alloc(arena, (len + 1) * sizeof *rows);
    for (size_t i = 0; i < len; i++) {
        copy_request(arena, &call->intake.rows[i], &rows[i]);
    }
    call->intake.result = (struct intake_result){
        .verdicts = arena_alloc(arena, (len + 1) * sizeof(enum intake_verdict)),
        .len = len,
    };
    call_go(call, LANE_DATA);
}

static enum source_state source_state(const struct task_row *row)
{
    switch (row->state) {
    case READY:
    case SUCCEEDED:
        return SOURCE_FINISHED;
    case RUNNING:
    case LATE:
    case QUEUED:
    case SUBMITTING:
        return SOURCE_UNFINISHED;
    case FAILED:
    case CLOSED:
    case TASK_STATES_LEN:
        break;
    }
    return row->kind == FAILURE_NONE || row->kind == FAILURE_ASSET_EXPIRED ||
                   row->kind == FAILURE_ASSET_UNUSABLE
               ? SOURCE_FINISHED
               : SOURCE_FAILED;
}

static struct source source_of(const struct tables *tables, struct str id,
                               struct arena *arena)
{
    for (size_t i = 0; i < tables->len; i++) {
        const struct task_row *row = &tables->records[i]->row;
        if (id.len && str_eq(str_of(row->provider_task_id), id)) {
            const struct str name = apimart_account_name(row->account);
            return (struct source){source_state(row),
                                   name.len ? copy_str(arena, name)
                                            : (struct str){0}};
        }
    }
    return (struct source){.state = SOURCE_FOREIGN};
}

static void run_sources(struct call *call)
{
    for (size_t i = 0; i < call->sources.len; i++) {
        call->sources.found[i] = source_of(
            call->op.world->tables, call->sources.ids[i], &call->op.arena);
    }
}

static void answer_sources(struct call *call)
{
    call->on_sources(call->context, call->sources.found, call->sources.len,
                     &call->err);
}

void store_sources(struct store *store, const struct str *ids, size_t len,
                   sources_fn *on_result, void *context)
{
    struct call *call = call_new(store, run_sources, answer_sources, context);
    struct arena *arena = &call->op.arena;
    call->on_sources = on_result;
    call->sources.ids = arena_alloc(arena, (len + 1) * sizeof *ids);
    call->sources.found = arena_alloc(arena, (len + 1) * sizeof(struct source));
    call->sources.len = len;
    for (size_t i = 0; i < len; i++) {
        call->sources.ids[i] = copy_str(arena, ids[i]);
    }
    call_go(call, LANE_DATA);
}

static const struct str *copy_strs(struct arena *arena, const struct str *all,
                                   size_t len)
{
    struct str *copies = arena_alloc(arena, (len + 1) * sizeof *copies);
    for (size_t i = 0; i < len; i++) {
        copies[i] = copy_str(arena, all[i]);
    }
    return copies;
}

/* ---- turns ---- */

static void run_turn_call(struct call *call)
{
    run_turn(call->op.world->tables, &call->turn.ask, &call->turn.result,
             &call->op.arena);
}

static void answer_turn(struct call *call)
{
    call->turn.result.err = call->err;
    call->on_turn(call->context, &call->turn.result);
}

static void *copy_bytes(struct arena *arena, const void *bytes, size_t len)
{
    void *copy = arena_alloc(arena, len + 1);
    if (len) {
        memcpy(copy, bytes, len);
    }
    return copy;
}

static const struct reason_row *
copy_reasons(struct arena *arena, const struct reason_row *rows, size_t len)
{
    struct reason_row *copy = arena_alloc(arena, (len + 1) * sizeof *copy);
    for (size_t i = 0; i < len; i++) {
        copy[i] = rows[i];
        copy[i].word = arena_copy(arena, rows[i].word, strlen(rows[i].word));
        copy[i].answer =
            arena_copy(arena, rows[i].answer, strlen(rows[i].answer));
    }
    return copy;
}

static enum unit unit_of(const struct turn *turn)
{
    return turn->mine         ? UNIT_MINE
           : turn->claims_max ? UNIT_CLAIM
           : turn->adopts_max ? UNIT_ADOPT
                              : UNIT_SAVE;
}

static void copy_shares(struct arena *arena, struct turn *ask)
{
    struct share_ask *asks =
        copy_bytes(arena, ask->shares, ask->shares_len * sizeof *asks);
    struct share_use *uses =
        copy_bytes(arena, ask->uses, ask->uses_len * sizeof *uses);
    for (size_t i = 0; i < ask->shares_len; i++) {
        asks[i].tenant = copy_str(arena, str_of(asks[i].tenant)).at;
    }
    for (size_t i = 0; i < ask->uses_len; i++) {
        uses[i].account = copy_str(arena, str_of(uses[i].account)).at;
        uses[i].tenant = copy_str(arena, str_of(uses[i].tenant)).at;
    }
    ask->shares = asks;
    ask->uses = uses;
}

void store_turn(struct store *store, const struct turn *turn,
                turn_fn *on_result, void *context)
{
    struct call *call = call_new(store, run_turn_call, answer_turn, context);
    struct arena *arena = &call->op.arena;
    struct turn *ask = &call->turn.ask;
    call->on_turn = on_result;
    *ask = *turn;
    struct task_row *rows =
        arena_alloc(arena, (turn->saves_len + 1) * sizeof *rows);
    const struct task_row **saves =
        arena_alloc(arena, (turn->saves_len + 1) * sizeof *saves);
    for (size_t i = 0; i < turn->saves_len; i++) {
        copy_row(arena, &rows[i], turn->saves[i]);
        saves[i] = &rows[i];
    }
    ask->saves = saves;
    ask->facts =
        copy_bytes(arena, turn->facts, turn->facts_len * sizeof(int64_t));
    ask->rereads =
        copy_bytes(arena, turn->rereads, turn->rereads_len * sizeof(int64_t));
    ask->reasons = copy_reasons(arena, turn->reasons, turn->reasons_len);
    ask->reasons_gone =
        copy_reasons(arena, turn->reasons_gone, turn->reasons_gone_len);
    ask->shared = copy_reasons(arena, turn->shared, turn->shared_len);
    ask->forget =
        copy_bytes(arena, turn->forget, turn->forget_len * sizeof(int64_t));
    copy_shares(arena, ask);
    ask->account =
        copy_str(arena, str_of(turn->account ? turn->account : "")).at;
    ask->bucket = arena_copy(arena, turn->bucket, strlen(turn->bucket));
    call->unit = unit_of(turn);
    call_go(call, LANE_DATA);
}

/* ---- places ---- */

static void answer_places(struct call *call)
{
    call->places.result.err = call->err;
    call->on_places(call->context, &call->places.result);
}

void store_places(struct store *store, const struct places *places,
                  places_fn *on_result, void *context)
{
    struct call *call = call_new(store, run_places, answer_places, context);
    call->on_places = on_result;
    call->unit = UNIT_PLACES;
    call->places.ask = *places;
    call->places.ask.claim_after = copy_bytes(
        &call->op.arena, places->claim_after, PRIORITIES * sizeof(int64_t));
    call->places.ask.accounts =
        copy_strs(&call->op.arena, places->accounts, places->accounts_len);
    call->places.result = (struct places_result){.owner = places->owner};
    call_go(call, LANE_DATA);
}

/* ---- tenants ---- */

static void answer_look(struct call *call)
{
    const bool fine = call->err.kind == ERR_NONE;
    call->on_look(call->context, fine ? call->look.seen : NULL,
                  fine ? call->look.len : 0, fine ? NULL : &call->err);
}

void store_share_look(struct store *store, const struct share_look *look,
                      share_look_fn *on_result, void *context)
{
    struct call *call = call_new(store, run_tenants, answer_look, context);
    call->on_look = on_result;
    call->look.ask = *look;
    call->look.ask.accounts =
        copy_strs(&call->op.arena, look->accounts, look->accounts_len);
    call_go(call, LANE_DATA);
}

static void run_tag(struct call *call)
{
    call->small.done = false; /* nobody waits untold here */
}

void store_share_tag(struct store *store, store_done_fn *on_done, void *context)
{
    struct call *call = call_new(store, run_tag, call_answer_done, context);
    call->on_done = on_done;
    call_go(call, LANE_DATA);
}
