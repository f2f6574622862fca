#include "edge/store/own.h"

#include "base/must.h"

#include <assert.h>
#include <stdlib.h>

/** Where a partition changes hands, its last owner's next batch is under way as
 * soon as the one before it is there. */
#define MET_MAX 8

/** A batch on its way. */
struct batch {
    struct store *store;
    struct arena arena;
    const struct intake_row *rows; /* as given */
    struct str *stored; /* of each first row that was there: its content, in hex
                         */
    size_t *firsts;     /* of each row: the first one of the same id */
    /* of each first row: when the last message of its id was produced */
    int64_t *newest_ms;
    size_t rows_len;
    struct cancels cancels; /* those of the rows that are orders to cancel */
    const struct intake_row **order; /* requests: first ones, by id */
    size_t requests_len;             /* all of them */
    size_t order_len;
    int64_t owner;
    int64_t known_from_ms;
    struct ranges ranges; /* of order, still to be tried */
    size_t from;          /* under way */
    size_t to;
    size_t known_len; /* of order, so many were there before */
    int met;          /* so often another transaction brought an id of it */
    struct intake_result result;
    intake_fn *on_result;
    void *context;
};

/* ---- rows, and their order ---- */

/** As PostgreSQL orders them under the collation "C"; then as given. */
static int by_id(const void *a, const void *b)
{
    const struct intake_row *one = *(const struct intake_row *const *)a;
    const struct intake_row *other = *(const struct intake_row *const *)b;
    assert(one->request_id.at && other->request_id.at);
    struct str left = one->request_id;
    struct str right = other->request_id;
    size_t len = left.len < right.len ? left.len : right.len;
    int order = memcmp(left.at, right.at, len);
    if (order == 0) {
        order = (left.len > right.len) - (left.len < right.len);
    }
    return order ? order : (one > other) - (one < other);
}

/** false: no memory. */
static bool take_rows(struct batch *batch, const struct intake_row *rows,
                      size_t len)
{
    assert(rows && len > 0);
    struct arena *arena = &batch->arena;
    batch->rows = rows;
    batch->rows_len = len;
    batch->order = arena_alloc(arena, (len + 1) * sizeof *batch->order);
    batch->firsts = arena_alloc(arena, (len + 1) * sizeof *batch->firsts);
    batch->stored = arena_alloc(arena, (len + 1) * sizeof *batch->stored);
    batch->newest_ms = arena_alloc(arena, (len + 1) * sizeof(int64_t));
    batch->cancels.asked = arena_alloc(arena, (len + 1) * sizeof(size_t));
    batch->result.len = len;
    batch->result.verdicts =
        arena_alloc(arena, (len + 1) * sizeof(enum intake_verdict));
    for (size_t i = 0; i < len && !arena->failed; i++) {
        if (!rows[i].cancel) {
            batch->order[batch->requests_len++] = &rows[i];
        }
    }
    return !arena->failed;
}

/** Sorted, the first of each id only; two batches then lock in one order. */
static void sort_rows(struct batch *batch)
{
    assert(batch->order_len == 0);
    const struct intake_row **order = batch->order;
    qsort(order, batch->requests_len, sizeof(struct intake_row *), by_id);
    for (size_t i = 0; i < batch->requests_len; i++) {
        size_t last = batch->order_len;
        const struct intake_row *row = order[i];
        if (!last || !str_eq(order[last - 1]->request_id, row->request_id)) {
            order[batch->order_len++] = row;
        }
        size_t first = (size_t)(order[batch->order_len - 1] - batch->rows);
        batch->firsts[row - batch->rows] = first;
        /* Of one without a time nobody can say that it is old. */
        int64_t ms = row->produced_ms ? row->produced_ms : INT64_MAX;
        if (batch->newest_ms[first] < ms) {
            batch->newest_ms[first] = ms;
        }
    }
}

/** Where an id stands in the order, or would. */
static size_t seek(const struct batch *batch, struct str request_id)
{
    assert(batch->order_len <= batch->rows_len);
    size_t low = 0;
    size_t high = batch->order_len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct str at = batch->order[middle]->request_id;
        size_t len = at.len < request_id.len ? at.len : request_id.len;
        int order = memcmp(at.at, request_id.at, len);
        if (order < 0 || (order == 0 && at.len < request_id.len)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/** Place among the given rows of an id that PostgreSQL names. */
static size_t place_of(const struct batch *batch, struct str request_id)
{
    const size_t at = seek(batch, request_id);
    assert(at < batch->order_len);
    return (size_t)(batch->order[at] - batch->rows);
}

/* ---- the end ---- */

/** An order that was kept for a request of its own batch: it came with it. */
static enum intake_verdict met(const struct batch *batch, size_t cancel)
{
    const struct intake_row *order = &batch->rows[cancel];
    const size_t at = seek(batch, order->request_id);
    const struct intake_row *row =
        at < batch->order_len ? batch->order[at] : NULL;
    if (!row || !str_eq(row->request_id, order->request_id) ||
        batch->result.verdicts[row - batch->rows] != INTAKE_NEW) {
        return INTAKE_CANCEL_KEPT;
    }
    if (row->tenant.at && !str_eq(row->tenant, order->tenant)) {
        return INTAKE_CANCEL_TENANT;
    }
    return row->event.at ? INTAKE_CANCEL_LATE : INTAKE_CANCELLED;
}

/** Whether a row has the content that is stored under its id, or will be. */
static bool is_same(const struct batch *batch, size_t row)
{
    const size_t first = batch->firsts[row];
    const struct str stored = batch->stored[first];
    char content[2 * DIGEST_BYTES + 1];
    if (!stored.at) {
        return memcmp(batch->rows[row].content, batch->rows[first].content,
                      DIGEST_BYTES) == 0;
    }
    str_hex(batch->rows[row].content, DIGEST_BYTES, content);
    return str_eq(stored, str_of(content));
}

static void end_batch(struct batch *batch, const struct err *err)
{
    assert(batch->on_result);
    struct intake_result *result = &batch->result;
    if (err) {
        result->err = *err;
    }
    for (size_t i = 0; i < batch->rows_len && !err; i++) {
        if (batch->rows[i].cancel) {
            if (result->verdicts[i] == INTAKE_CANCEL_KEPT) {
                result->verdicts[i] = met(batch, i);
            }
            continue;
        }
        size_t first = batch->firsts[i];
        enum intake_verdict verdict = result->verdicts[first];
        if (verdict == INTAKE_POISON || verdict == INTAKE_TOO_OLD ||
            (first == i && verdict == INTAKE_NEW)) {
            result->verdicts[i] = verdict;
            continue;
        }
        result->verdicts[i] = is_same(batch, i) ? INTAKE_REPEAT : INTAKE_REUSED;
    }
    batch->on_result(batch->context, result);
    arena_done(&batch->arena);
    must_free(batch);
}

/** Not stored, as far as is known: the same batch is tried again. */
static void end_failed(struct batch *batch, const struct pg_unit *unit)
{
    struct err err = unit->err;
    err.kind = pg_unit_is_strange(unit) ? ERR_PERMANENT : ERR_TRANSIENT;
    end_batch(batch, &err);
}

static void on_known(void *context, struct pg_unit *unit)
{
    struct batch *batch = context;
    if (unit->err.kind != ERR_NONE) {
        end_failed(batch, unit);
        return;
    }
    const PGresult *result = unit->results[0];
    size_t found = 0;
    for (int i = 0; i < PQntuples(result); i++) {
        size_t at = place_of(batch, pg_str(result, i, 0));
        bool known = !PQgetisnull(result, i, 1);
        if (known) {
            const struct str content = pg_str(result, i, 1);
            batch->stored[at] =
                (struct str){arena_copy(&batch->arena, content.at, content.len),
                             content.len};
        } else if (pg_bool(result, i, 2)) {
            batch->result.verdicts[at] = INTAKE_TOO_OLD;
        }
        found += known || pg_bool(result, i, 2);
    }
    if (found != batch->known_len || batch->arena.failed) {
        /* Neither inserted nor there: nobody may take it for stored. */
        struct err err;
        err_set(&err, ERR_TRANSIENT,
                batch->arena.failed ? "no memory for a batch of requests"
                                    : "a request that was there is gone");
        end_batch(batch, &err);
        return;
    }
    end_batch(batch, NULL);
}

/** When the last message of this id was produced, of those in the batch. */
static int64_t newest_ms(const struct batch *batch, size_t place)
{
    assert(place < batch->order_len);
    return batch->newest_ms[batch->order[place] - batch->rows];
}

/** Not inserted: it was there, or is too old. */
static bool is_known(const struct batch *batch, size_t place)
{
    assert(place < batch->order_len);
    size_t at = (size_t)(batch->order[place] - batch->rows);
    return batch->result.verdicts[at] == INTAKE_REPEAT;
}

static void ask_known(struct batch *batch)
{
    assert(batch->known_len > 0);
    struct pg_unit *unit = pg_unit_new(on_known, batch);
    pg_unit_call(unit, "intake_known");
    struct pg_array *array = pg_unit_array(unit, PG_TEXT);
    for (size_t i = 0; i < batch->order_len; i++) {
        if (is_known(batch, i)) {
            pg_array_str(array, batch->order[i]->request_id);
        }
    }
    pg_unit_array_end(unit);
    array = pg_unit_array(unit, PG_INT8);
    for (size_t i = 0; i < batch->order_len; i++) {
        if (is_known(batch, i)) {
            pg_array_i64(array, newest_ms(batch, i));
        }
    }
    pg_unit_array_end(unit);
    pg_unit_i64(unit, batch->known_from_ms);
    pg_lane_send(batch->store->data, unit);
}

/* ---- the insert ---- */

/** The columns of sql/query/intake.sql, one array each. */
static const enum pg_type columns[] = {
    PG_TEXT, PG_BYTEA, PG_TEXT, PG_INT2, PG_INT2, PG_INT8,
    PG_TEXT, PG_TEXT,  PG_TEXT, PG_TEXT, PG_TEXT, PG_INT8,
    PG_TEXT, PG_INT8,  PG_TEXT, PG_TEXT, PG_INT8,
};

#define COLUMNS_LEN (sizeof columns / sizeof *columns)
#define ID_COLUMN 0

static void add_column(struct pg_array *array, size_t column,
                       const struct intake_row *row)
{
    assert(column < COLUMNS_LEN);
    switch (column) {
    case ID_COLUMN:
        pg_array_str(array, row->request_id);
        break;
    case 1:
        pg_array_bytes(array, row->content, DIGEST_BYTES);
        break;
    case 2:
        pg_array_str(array, row->tenant);
        break;
    case 3:
        pg_array_i64(array, (int64_t)row->mode);
        break;
    case 4:
        pg_array_i64(array, row->priority);
        break;
    case 5:
        if (row->deadline_seconds) {
            pg_array_i64(array, row->deadline_seconds);
        } else {
            pg_array_null(array);
        }
        break;
    case 6:
        pg_array_str(array, row->metadata);
        break;
    case 7:
        pg_array_str(array, str_eq(row->warnings, STR("[]")) ? (struct str){0}
                                                             : row->warnings);
        break;
    case 8:
        pg_array_str(array, row->traceparent);
        break;
    case 9:
        pg_array_str(array, row->tracestate);
        break;
    case 10:
        pg_array_str(array, row->event.at ? (struct str){0} : row->body);
        break;
    case 11:
        pg_array_i64(array, row->received_ms);
        break;
    case 12:
        pg_array_str(array, row->event);
        break;
    case 13:
        pg_array_i64(array, row->produced_ms);
        break;
    case 14:
        pg_array_str(array, row->event.at ? (struct str){0} : row->source);
        break;
    case 15:
        pg_array_str(array, row->event.at ? (struct str){0} : row->account);
        break;
    default:
        if (row->event.at || row->price < 0) {
            pg_array_null(array);
        } else {
            pg_array_i64(array, row->price);
        }
        break;
    }
}

static void send_next(struct batch *batch);

static void took(struct batch *batch, const PGresult *result)
{
    assert(batch->from < batch->to && batch->to <= batch->order_len);
    enum intake_verdict *verdicts = batch->result.verdicts;
    const size_t asked = batch->to - batch->from;
    const size_t stored = (size_t)pg_i64(result, 0, 0);
    const bool all = stored == asked;
    assert(stored <= asked &&
           (all || !stored || stored == (size_t)PQntuples(result)));
    for (size_t i = batch->from; i < batch->to; i++) {
        /* Unless it is new, it was there; whether it is the same is asked. */
        verdicts[batch->order[i] - batch->rows] =
            all ? INTAKE_NEW : INTAKE_REPEAT;
    }
    for (size_t i = 0; i < stored && !all; i++) {
        verdicts[place_of(batch, pg_str(result, (int)i, 1))] = INTAKE_NEW;
    }
    batch->known_len += asked - stored;
}

static void on_inserted(void *context, struct pg_unit *unit)
{
    struct batch *batch = context;
    size_t len = batch->to - batch->from;
    assert(unit->err.kind != ERR_PERMANENT || len > 0);
    if (unit->err.kind == ERR_NONE) {
        took(batch, unit->results[1]);
    } else if (pg_unit_is_constraint(unit) && batch->met < MET_MAX) {
        /* Of the same id: it is there by now. Or a sequence is behind its
         * table, and no other try helps. */
        batch->met++;
        ranges_push(&batch->ranges, batch->from, batch->to);
    } else if (unit->err.kind != ERR_PERMANENT) {
        end_failed(batch, unit);
        return;
    } else if (len == 1) {
        const struct intake_row *row = batch->order[batch->from];
        batch->result.verdicts[row - batch->rows] = INTAKE_POISON;
    } else {
        ranges_push(&batch->ranges, batch->from + len / 2, batch->to);
        ranges_push(&batch->ranges, batch->from, batch->from + len / 2);
    }
    send_next(batch);
}

/** What is finished already frees who extends it in this unit; and one at fault
 * is an end for who does. */
static void add_sources(struct batch *batch, struct pg_unit *unit)
{
    size_t len = 0;
    struct str *ids =
        arena_alloc(&batch->arena, (batch->to - batch->from + 1) * sizeof *ids);
    if (!ids) {
        pg_unit_fail(unit);
        return;
    }
    for (size_t i = batch->from; i < batch->to; i++) {
        const struct intake_row *row = batch->order[i];
        const struct str id = row->event.at ? row->request_id : row->source;
        if (id.len) {
            ids[len++] = id;
        }
    }
    if (len) {
        unblock_add(unit, NULL, 0, ids, len);
    }
}

static void send_next(struct batch *batch)
{
    if (!ranges_pop(&batch->ranges, &batch->from, &batch->to)) {
        if (batch->known_len) {
            ask_known(batch);
        } else {
            end_batch(batch, NULL);
        }
        return;
    }
    struct pg_unit *unit = pg_unit_new(on_inserted, batch);
    pg_unit_call(unit, "early_look");
    pg_unit_call(unit, "intake");
    for (size_t column = 0; column < COLUMNS_LEN; column++) {
        struct pg_array *array = pg_unit_array(unit, columns[column]);
        for (size_t i = batch->from; i < batch->to; i++) {
            add_column(array, column, batch->order[i]);
        }
        if (column != ID_COLUMN) { /* that one says how many rows there are */
            pg_array_shorten(array);
        }
        pg_unit_array_end(unit);
    }
    struct pg_array *array = pg_unit_array(unit, PG_INT8);
    for (size_t i = batch->from; i < batch->to; i++) {
        pg_array_i64(array, newest_ms(batch, i));
    }
    pg_unit_array_end(unit);
    pg_unit_i64(unit, batch->owner);
    pg_unit_i64(unit, batch->known_from_ms);
    pg_unit_i64(unit, batch->store->accepted_events);
    add_sources(batch, unit);
    store_send_batch(batch->store, unit);
}

static void on_cancels(void *context, struct pg_unit *ended)
{
    struct batch *batch = context;
    if (ended) {
        end_failed(batch, ended);
    } else {
        send_next(batch);
    }
}

void store_intake(struct store *store, int64_t owner, int64_t known_from_ms,
                  const struct intake_row *rows, size_t len,
                  intake_fn *on_result, void *context)
{
    assert(owner >= 0 && rows && on_result);
    assert(len > 0);
    struct batch *batch = MUST_NEW(struct batch);
    batch->store = store;
    batch->owner = owner;
    batch->known_from_ms = known_from_ms;
    batch->on_result = on_result;
    batch->context = context;
    arena_init(&batch->arena, 65536, 0);
    if (!take_rows(batch, rows, len)) {
        struct pg_unit *unit = pg_unit_new(on_inserted, batch);
        pg_unit_fail(unit);
        pg_lane_send(store->data, unit);
        return;
    }
    sort_rows(batch);
    if (batch->order_len) {
        ranges_push(&batch->ranges, 0, batch->order_len);
    }
    batch->cancels = (struct cancels){
        .store = store,
        .rows = batch->rows,
        .rows_len = len,
        .verdicts = batch->result.verdicts,
        .asked = batch->cancels.asked,
        .known_from_ms = known_from_ms,
        .on_end = on_cancels,
        .context = batch,
    };
    if (!cancels_send(&batch->cancels)) {
        send_next(batch);
    }
}
