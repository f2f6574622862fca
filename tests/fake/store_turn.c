#include "core/allot.h"
#include "core/apimart.h"
#include "core/step.h"
#include "fake/store_call.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * What the statements of a turn do to the tables (sql/query), each of them in
 * one piece, since the world does one thing at a time.
 */

struct str copy_str(struct arena *arena, struct str text)
{
    return text.at
               ? (struct str){arena_copy(arena, text.at, text.len), text.len}
               : (struct str){0};
}

void copy_row(struct arena *arena, struct task_row *to,
              const struct task_row *from)
{
    *to = *from;
    to->source_task_id = from->source_task_id
                             ? arena_copy(arena, from->source_task_id,
                                          strlen(from->source_task_id))
                             : NULL;
    to->result = from->result
                     ? arena_copy(arena, from->result, strlen(from->result))
                     : NULL;
    to->event = from->event
                    ? arena_copy(arena, from->event, strlen(from->event))
                    : NULL;
}

static const char salt[SALT_BYTES] = "the salt of the tables in memory";

static struct str content_of(const struct record_of *record)
{
    return (struct str){(const char *)record->request.content, DIGEST_BYTES};
}

bool key_is_of(struct record_of *record, struct str key)
{
    if (!record->key[0] || record->key_submission != record->row.submission ||
        record->key_attempt != record->row.attempt) {
        const struct send_identity send = {
            .salt = {salt, sizeof salt},
            .request_id = record->request.request_id,
            .content = content_of(record),
            .submission = record->row.submission,
            .attempt = record->row.attempt,
        };
        bool done = idempotency_key(&send, record->key);
        assert(done);
        (void)done;
        record->key_submission = record->row.submission;
        record->key_attempt = record->row.attempt;
    }
    return str_eq(str_of(record->key), key);
}

void keep_past(struct record_of *record, const char *provider_task_id)
{
    assert(record->past_len < PASTS_MAX);
    struct past_of *past = &record->past[record->past_len++];
    *past = (struct past_of){.submission = record->row.submission,
                             .attempt = record->row.attempt};
    snprintf(past->provider_task_id, sizeof past->provider_task_id, "%s",
             provider_task_id);
}

bool is_in_task(const struct record_of *record)
{
    return !record->closed && !record->waiting;
}

void learn_queued(struct record_of *record, int64_t owner)
{
    record->waiting = false;
    record->aside = false;
    record->uninvited = true;
    record->row.state = SUBMITTING;
    record->row.kind = FAILURE_NONE;
    record->row.owner = owner;
    record->row.doubt = true;
    record->row.fence += 1;
    record->row.version += 1;
}

static void read_record(const struct record_of *record, struct task_read *read,
                        struct arena *arena)
{
    copy_row(arena, &read->row, &record->row);
    if (record->bare) {
        read->row.provider_task_id[0] = '\0';
        read->row.account[0] = '\0';
    }
    read->request_id = record->request.request_id;
    read->tenant = record->request.tenant;
    read->traceparent = record->request.traceparent;
    read->tracestate = record->request.tracestate;
    read->cancel = record->cancel;
}

static void read_facts(const struct record_of *record, struct facts_row *row)
{
    const struct intake_row *r = &record->request;
    *row = (struct facts_row){
        .id = record->row.id,
        .facts =
            {
                .request_id = r->request_id,
                .tenant = r->tenant,
                .mode = r->mode,
                .metadata = r->metadata,
                .warnings = r->warnings,
                .traceparent = r->traceparent,
                .tracestate = r->tracestate,
                .deadline_seconds = r->deadline_seconds,
                .received_ms = r->received_ms,
            },
        .body = r->body,
        .content = content_of(record),
        .salt = {salt, sizeof salt},
    };
}

/* ---- saves ---- */

static char *own(const char *text)
{
    return text ? strdup(text) : NULL;
}

/** What a row keeps in the queue (sql/query/save.sql). */
static struct task_row waiting_row(const struct task_row *row)
{
    struct task_row kept = {.state = QUEUED};
#define X(name) memcpy(&kept.name, &row->name, sizeof kept.name);
    WAITING_COLUMNS(X)
#undef X
    return kept;
}

/** A final end was told (sql/query/told.sql). */
static enum save_end tell(struct tables *tables, struct record_of *record,
                          const struct task_row *row)
{
    if (!record || !is_in_task(record) || !record->bare ||
        record->row.fence != row->fence) {
        tables->fenced++;
        return SAVE_FENCED;
    }
    record->bare = false;
    record->closed = true;
    record->cancel = false;
    record->row.state = CLOSED;
    record->row.owner = 0;
    return SAVE_DONE;
}

static enum save_end save(struct tables *tables, const struct task_row *row)
{
    struct record_of *record = record_at(tables, row->id);
    struct task_row *stored = record ? &record->row : NULL;
    if (row->state == CLOSED && task_end_is_final(row)) {
        return tell(tables, record, row);
    }
    bool same_id =
        stored && strcmp(stored->provider_task_id, row->provider_task_id) == 0;
    if (!stored || !is_in_task(record) || stored->fence != row->fence ||
        stored->version != row->version - 1 ||
        !(same_id || (row->state != CLOSED && !stored->provider_task_id[0]))) {
        tables->fenced++;
        return SAVE_FENCED;
    }
    assert(stored->state != QUEUED || row->state != RUNNING);
    assert(!record->bare);
    struct task_row next = *row;
    if (task_begins_again(row)) {
        keep_past(record, row->provider_task_id);
        record->past[record->past_len - 1].untold = true;
        record->past[record->past_len - 1].cost = row->cost;
    }
    if (row->state == QUEUED) {
        next = waiting_row(row);
    }
    next.source_task_id = own(next.source_task_id);
    next.result = row->state == CLOSED ? NULL : own(next.result);
    next.event = own(next.event);
    task_row_done(stored);
    *stored = next;
    record->closed = row->state == CLOSED;
    record->bare = (row->state == SUCCEEDED || row->state == FAILED) &&
                   task_end_is_final(row);
    if (row->state == CLOSED) {
        record->cancel = false;
        stored->owner = 0;
    }
    if (row->state == QUEUED) {
        record->waiting = true;
        record->waits_until_ms = row->not_before_ms;
        record->expires_ms = row->deadline_ms;
    }
    return SAVE_DONE;
}

static void run_saves(struct tables *tables, const struct turn *turn,
                      struct turn_result *result, struct arena *arena)
{
    enum save_end *ends =
        arena_alloc(arena, (turn->saves_len + 1) * sizeof *ends);
    for (size_t i = 0; i < turn->saves_len; i++) {
        bool later = tables->keep_out > 0;
        tables->keep_out -= later;
        result->claims_put_off =
            result->claims_put_off || (later && turn->saves_slots > 0);
        ends[i] = later ? SAVE_LATER : save(tables, turn->saves[i]);
    }
    result->saves = ends;
}

/* ---- reads ---- */

static void run_reads(struct tables *tables, const struct turn *turn,
                      struct turn_result *result, struct arena *arena)
{
    struct facts_row *facts =
        arena_alloc(arena, (turn->facts_len + 1) * sizeof *facts);
    for (size_t i = 0; i < turn->facts_len; i++) {
        const struct record_of *record = record_at(tables, turn->facts[i]);
        if (record && !record->closed) {
            read_facts(record, &facts[result->facts_len++]);
        }
    }
    struct task_read *rereads =
        arena_alloc(arena, (turn->rereads_len + 1) * sizeof *rereads);
    for (size_t i = 0; i < turn->rereads_len; i++) {
        const struct record_of *record = record_at(tables, turn->rereads[i]);
        if (record && is_in_task(record)) {
            read_record(record, &rereads[result->rereads_len++], arena);
        }
    }
    tables->facts_read += turn->facts_len;
    result->facts = facts;
    result->rereads = rereads;
    if (!turn->mine) {
        return;
    }
    struct task_read *mine =
        arena_alloc(arena, (tables->len + 1) * sizeof *mine);
    for (size_t i = 0; i < tables->len; i++) {
        const struct record_of *record = tables->records[i];
        if (is_in_task(record) && record->row.owner == turn->owner) {
            read_record(record, &mine[result->mine_len++], arena);
        }
    }
    result->mine = mine;
}

/* ---- claims and takeovers ---- */

/** What the account's slots leave. */
static int slots_left(const struct tables *tables, const struct turn *turn)
{
    const struct str ours = apimart_account_name(turn->account);
    int slots = turn->account_slots;
    for (size_t i = 0; i < tables->len; i++) {
        const struct task_row *row = &tables->records[i]->row;
        slots -= is_in_task(tables->records[i]) &&
                 allot_counts(row, turn->now_ms) &&
                 str_eq(apimart_account_name(row->account), ours);
    }
    return slots;
}

/** tenant: null: anybody's. */
static struct record_of *next_waiting(const struct tables *tables,
                                      const struct turn *turn, bool expired,
                                      const char *tenant)
{
    const int64_t now_ms = turn->now_ms;
    const struct str ours =
        expired ? (struct str){0} : apimart_account_name(turn->account);
    struct record_of *best = NULL;
    for (size_t i = 0; i < tables->len; i++) {
        struct record_of *record = tables->records[i];
        bool over = record->cancel ||
                    (record->expires_ms > 0 && record->expires_ms <= now_ms);
        const bool blocked = is_blocked(record);
        over = over || record->row.kind != FAILURE_NONE ||
               (blocked && waited_for_long(record, turn));
        if (!record->waiting || over != expired ||
            (tenant && !str_eq(record->request.tenant, str_of(tenant))) ||
            (!expired &&
             (record->aside || record->picked ||
              record->waits_until_ms > now_ms || blocked ||
              (record->pinned && !is_pinned_to(record, &ours, 1)) ||
              record->row.id <= turn->claim_after[record->request.priority] ||
              (record->row.doubt &&
               (record->row.first_sent_ms <= turn->resend_after_ms ||
                !is_certain(tables, turn)))))) {
            continue;
        }
        if (!best || record->request.priority > best->request.priority) {
            best = record;
        }
    }
    return best;
}

/** The rule itself; whose and which is the store's to say. */
static void claim(struct record_of *record, const struct turn *turn)
{
    assert(record->row.state == QUEUED);
    const struct task waits = {.row = record->row};
    const struct outcome outcome = {.kind = OUTCOME_CLAIMED};
    const struct policy policy = {.account = turn->account};
    record->row = task_step(&waits, &outcome, &policy, turn->now_ms).next.row;
    record->row.owner = turn->owner;
    record->row.fence += 1;
    record->waiting = false;
    record->uninvited = false;
    record->claim_day = budget_day(turn->now_ms);
}

/** Those whose turn it is. */
static size_t pick(struct tables *tables, const struct turn *turn,
                   const struct turn_result *result, size_t max,
                   struct record_of **picks)
{
    struct record_of *record;
    const struct share_ask all = {.n = (int)max};
    const struct share_ask *asks = turn->sharing ? turn->shares : &all;
    size_t len = 0;
    if (tables->budgets_len && !turn->budgets) {
        return 0; /* it has not heard of them yet */
    }
    for (size_t i = 0; i < (turn->sharing ? turn->shares_len : 1); i++) {
        int n = turn->sharing
                    ? share_left(tables, turn, &asks[i], !result->caps_busy)
                    : (int)max;
        while (len < max && n-- > 0 &&
               (record = next_waiting(tables, turn, false, asks[i].tenant))) {
            record->picked = true;
            picks[len++] = record;
        }
    }
    return len;
}

static void run_claims(struct tables *tables, const struct turn *turn,
                       struct turn_result *result, struct arena *arena)
{
    int max =
        is_held(tables, turn) || result->claims_put_off ? 0 : turn->claims_max;
    if (max && turn->account_slots) {
        const int left = slots_left(tables, turn);
        result->claims_put_off = tables->counting_busy > 0;
        tables->counting_busy -= result->claims_put_off;
        result->slots_full = !result->claims_put_off && left < max;
        result->slots_room = left;
        max = result->claims_put_off ? 0 : left < max ? left : max;
        max = max > 0 ? max : 0;
    }
    result->caps_busy = turn->capped && tables->caps_busy > 0;
    tables->caps_busy -= result->caps_busy;
    struct task_read *claimed =
        arena_alloc(arena, ((size_t)max + 1) * sizeof *claimed);
    struct facts_row *facts =
        arena_alloc(arena, ((size_t)max + 1) * sizeof *facts);
    struct record_of **picks =
        arena_alloc(arena, ((size_t)max + 1) * sizeof(*picks));
    result->claimed = claimed;
    result->claimed_facts = facts;
    const size_t len = pick(tables, turn, result, (size_t)max, picks);
    budgets_bar(tables, turn, result, picks, len);
    for (size_t i = 0; i < len; i++) {
        struct record_of *record = picks[i];
        record->picked = false;
        if (record->barred) {
            record->barred = false;
            continue;
        }
        result->claimed_last[record->request.priority] = record->row.id;
        claim(record, turn);
        budgets_reserve(tables, turn, record);
        if (turn->sharing) {
            share_use(tables, turn->owner, record);
        }
        read_record(record, &claimed[result->claimed_len], arena);
        read_facts(record, &facts[result->claimed_len++]);
    }
    budgets_hold(tables, turn, result);
    if (turn->sharing) {
        shares_hold(tables, turn);
    }
    if (turn->guarded && result->claimed_len) {
        places_hold(tables, turn);
    }
}

static void run_expiry(struct tables *tables, const struct turn *turn,
                       struct turn_result *result, struct arena *arena)
{
    struct task_read *expired =
        arena_alloc(arena, ((size_t)turn->expires_max + 1) * sizeof *expired);
    struct record_of *record;
    while ((int)result->expired_len < turn->expires_max &&
           (record = next_waiting(tables, turn, true, NULL))) {
        const bool late =
            record->expires_ms > 0 && record->expires_ms <= turn->now_ms;
        if (is_blocked(record) && !late && waited_for_long(record, turn)) {
            record->row.kind = FAILURE_SOURCE_FAILED;
        }
        record->waiting = false;
        record->aside = false;
        record->row.owner = turn->owner;
        record->row.fence += 1;
        record->row.version += 1;
        read_record(record, &expired[result->expired_len++], arena);
    }
    result->expired = expired;
}

static void run_dead(const struct tables *tables, const struct turn *turn,
                     struct turn_result *result, struct arena *arena)
{
    int64_t *dead = arena_alloc(arena, DEAD_MAX * sizeof *dead);
    for (size_t i = 0; i < tables->leases_len && turn->adopt_begins &&
                       !turn->adopt_nobodys && result->dead_len < DEAD_MAX;
         i++) {
        if (tables->leases[i].dead && !tables->leases[i].forgotten) {
            dead[result->dead_len++] = tables->leases[i].id;
        }
    }
    result->dead = dead;
}

static void run_adopts(struct tables *tables, const struct turn *turn,
                       struct turn_result *result, struct arena *arena)
{
    struct task_read *adopted =
        arena_alloc(arena, ((size_t)turn->adopts_max + 1) * sizeof *adopted);
    run_dead(tables, turn, result, arena);
    for (size_t i = (size_t)turn->adopt_after;
         i < tables->len &&
         (!turn->adopt_until || (int64_t)i < turn->adopt_until) &&
         (int)result->adopted_len < turn->adopts_max;
         i++) {
        struct record_of *record = tables->records[i];
        struct task_row *row = &record->row;
        if (!is_in_task(record) || lease_is_alive(tables, row->owner) ||
            (turn->adopt_nobodys && row->owner > 0)) {
            continue;
        }
        bool orphan = row->owner > 0;
        if (turn->guarded) {
            places_bring(tables, row, turn);
        }
        row->owner = turn->owner;
        row->fence += 1;
        row->version += 1;
        row->doubt = row->doubt || row->state == SUBMITTING;
        row->takeovers += 1;
        if (tenants_share(tables) && allot_counts(row, turn->now_ms)) {
            share_use(tables, turn->owner, record);
        }
        read_record(record, &adopted[result->adopted_len], arena);
        adopted[result->adopted_len++].orphan = orphan;
    }
    result->adopted = adopted;
    result->adopts_seen = (int)result->adopted_len;
    result->adopt_last =
        result->adopted_len ? adopted[result->adopted_len - 1].row.id : 0;
}

static void run_forget(struct tables *tables, const struct turn *turn)
{
    for (size_t i = 0; i < turn->forget_len; i++) {
        struct lease_of *lease = &tables->leases[turn->forget[i] - 1];
        assert(lease->dead);
        for (size_t k = 0; k < tables->len; k++) {
            assert(tables->records[k]->closed ||
                   tables->records[k]->row.owner != lease->id);
        }
        lease->forgotten = lease->id != turn->owner;
    }
}

/* ---- reasons ---- */

static struct reason_of reason_copy(const struct reason_row *row, int64_t owner)
{
    struct reason_of copy = {
        .owner = owner,
        .fence = row->fence,
        .state = row->state,
        .since_ms = row->since_ms,
        .tries = row->tries,
        .next_ms = row->next_ms,
    };
    assert(strlen(row->word) < sizeof copy.word);
    assert(strlen(row->answer) < sizeof copy.answer);
    snprintf(copy.word, sizeof copy.word, "%s", row->word);
    snprintf(copy.answer, sizeof copy.answer, "%s", row->answer);
    return copy;
}

static void run_shared(struct tables *tables, const struct turn *turn)
{
    size_t kept = 0;
    for (size_t i = 0; i < tables->shared_len; i++) {
        if (tables->shared[i].owner != turn->owner) {
            tables->shared[kept++] = tables->shared[i];
        }
    }
    tables->shared_len = kept;
    for (size_t i = 0; i < turn->shared_len; i++) {
        assert(tables->shared_len < SHARED_MAX);
        tables->shared[tables->shared_len++] =
            reason_copy(&turn->shared[i], turn->owner);
    }
}

static void run_reasons(struct tables *tables, const struct turn *turn)
{
    for (size_t i = 0; i < turn->reasons_gone_len; i++) {
        struct record_of *record =
            record_at(tables, turn->reasons_gone[i].task);
        if (record && record->has_reason &&
            record->reason.fence <= turn->reasons_gone[i].fence) {
            record->has_reason = false;
        }
    }
    for (size_t i = 0; i < turn->reasons_len; i++) {
        const struct reason_row *row = &turn->reasons[i];
        struct record_of *record = record_at(tables, row->task);
        if (record && is_in_task(record) && record->row.owner == turn->owner &&
            record->row.fence == row->fence &&
            record->row.state == row->state) {
            record->reason = reason_copy(row, turn->owner);
            record->has_reason = true;
            tables->reasons_written++;
        }
    }
    if (turn->shared_changed && lease_is_alive(tables, turn->owner)) {
        run_shared(tables, turn);
    }
}

/** What the saves say of what others wait for. */
static void run_news(struct tables *tables, const struct turn *turn,
                     struct unblocked *out)
{
    for (size_t i = 0; i < turn->saves_len; i++) {
        const enum task_state state = turn->saves[i]->state;
        if (state == READY || state == SUCCEEDED || state == FAILED ||
            state == CLOSED) {
            run_unblock(tables, record_at(tables, turn->saves[i]->id), out);
        }
    }
    if (turn->chains) {
        tables->looks++;
        run_unblock(tables, NULL, out);
    }
}

void run_turn(struct tables *tables, const struct turn *turn,
              struct turn_result *result, struct arena *arena)
{
    run_saves(tables, turn, result, arena);
    budgets_move(tables, turn);
    run_news(tables, turn, &result->unblocked);
    bool takes = turn->claims_max || turn->adopts_max || turn->expires_max ||
                 turn->uses_told;
    if (takes && !lease_is_alive(tables, turn->owner)) {
        result->lease_dead = true;
    } else {
        run_uses(tables, turn);
        run_claims(tables, turn, result, arena);
        run_expiry(tables, turn, result, arena);
        run_adopts(tables, turn, result, arena);
    }
    run_forget(tables, turn);
    run_reads(tables, turn, result, arena);
    run_reasons(tables, turn);
    result->commits = turn->saves_len || result->claimed_len;
}
