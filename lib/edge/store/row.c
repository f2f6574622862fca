#include "edge/store/own.h"

#include "core/event_pack.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum field_type {
    FIELD_I64,
    FIELD_I32,
    FIELD_BOOL,
    FIELD_DOUBLE,
    FIELD_STATE,
    FIELD_KIND,
    FIELD_CHARS, /* an array inside the row */
    FIELD_TEXT,  /* a pointer; null: none */
};

struct field {
    const char *name;
    enum field_type type;
    size_t offset;
    size_t bytes; /* FIELD_CHARS: with the NUL */
};

#define VALUE(type, name)                                                      \
    {#name, TYPE_OF(((struct task_row *)0)->name),                             \
     offsetof(struct task_row, name), 0},
#define CHARS(bytes, name)                                                     \
    {#name, FIELD_CHARS, offsetof(struct task_row, name), bytes},
#define TYPE_OF(value)                                                         \
    _Generic((value),                                                          \
        int64_t: FIELD_I64,                                                    \
        int32_t: FIELD_I32,                                                    \
        bool: FIELD_BOOL,                                                      \
        double: FIELD_DOUBLE,                                                  \
        enum task_state: FIELD_STATE,                                          \
        enum failure_kind: FIELD_KIND,                                         \
        char *: FIELD_TEXT)

/* Their order is that of the parameters (:task_arrays in sql/query). */
static const struct field fields[] = {TASK_COLUMNS(VALUE, CHARS, CHARS, VALUE)};

#define FIELDS_LEN (sizeof fields / sizeof *fields)
/* without unusable, source_task_id, result, event */
#define FIELDS_CLOSED_LEN (FIELDS_LEN - 4)

/* ---- out ---- */

/** As sql/embed.cmake casts it. */
static enum pg_type type_of(const struct field *field)
{
    assert(field->name && field->name[0]);
    switch (field->type) {
    case FIELD_I64:
        return PG_INT8;
    case FIELD_I32:
        return PG_INT4;
    case FIELD_BOOL:
        return PG_BOOL;
    case FIELD_DOUBLE:
        return PG_FLOAT8;
    case FIELD_STATE:
    case FIELD_KIND:
        return PG_INT2;
    case FIELD_CHARS:
    case FIELD_TEXT:
        break;
    }
    return PG_TEXT;
}

/** As the database keeps it: what reads it there has the text again. */
static void add_event(struct pg_array *array, struct str event)
{
    struct buf packed;
    buf_init(&packed, 0);
    pg_array_str(array, event_pack(event, &packed));
    buf_done(&packed);
}

static void add_value(struct pg_array *array, const struct field *field,
                      const struct task_row *row)
{
    assert(array && row);
    const void *at = (const char *)row + field->offset;
    switch (field->type) {
    case FIELD_I64:
        pg_array_i64(array, *(const int64_t *)at);
        break;
    case FIELD_I32:
        pg_array_i64(array, *(const int32_t *)at);
        break;
    case FIELD_BOOL:
        pg_array_bool(array, *(const bool *)at);
        break;
    case FIELD_DOUBLE:
        pg_array_double(array, *(const double *)at);
        break;
    case FIELD_STATE:
        pg_array_i64(array, (int64_t) * (const enum task_state *)at);
        break;
    case FIELD_KIND:
        pg_array_i64(array, (int64_t) * (const enum failure_kind *)at);
        break;
    case FIELD_CHARS:
        pg_array_str(array, str_of(at));
        break;
    case FIELD_TEXT:
        if (field->offset == offsetof(struct task_row, event)) {
            add_event(array, str_of(*(char *const *)at));
        } else {
            pg_array_str(array, str_of(*(char *const *)at));
        }
        break;
    }
}

void rows_add_params(struct pg_unit *unit, const struct task_row *const *rows,
                     size_t len, bool closed)
{
    assert(rows && len > 0);
    for (size_t f = 0; f < (closed ? FIELDS_CLOSED_LEN : FIELDS_LEN); f++) {
        struct pg_array *array = pg_unit_array(unit, type_of(&fields[f]));
        for (size_t i = 0; i < len; i++) {
            add_value(array, &fields[f], rows[i]);
        }
        pg_unit_array_end(unit);
    }
}

void rows_add_told(struct pg_unit *unit, const struct task_row *const *rows,
                   size_t len)
{
    assert(len > 0);
    struct pg_array *ids = pg_unit_array(unit, PG_INT8);
    for (size_t i = 0; i < len; i++) {
        pg_array_i64(ids, rows[i]->id);
    }
    pg_unit_array_end(unit);
    struct pg_array *fences = pg_unit_array(unit, PG_INT4);
    for (size_t i = 0; i < len; i++) {
        pg_array_i64(fences, rows[i]->fence);
    }
    pg_unit_array_end(unit);
}

/* ---- in ---- */

void row_columns_find(struct row_columns *columns, const PGresult *result)
{
    static_assert(FIELDS_LEN <=
                      sizeof columns->fields / sizeof *columns->fields,
                  "a place for each");
    const struct {
        const char *name;
        int *column;
    } others[] = {
        {"request_id", &columns->request_id},
        {"tenant", &columns->tenant},
        {"traceparent", &columns->traceparent},
        {"tracestate", &columns->tracestate},
        {"cancel", &columns->cancel},
        {"orphan", &columns->orphan},
    };
    int last = -1;
    for (size_t f = 0; f < FIELDS_LEN; f++) {
        last = columns->fields[f] = pg_column(result, fields[f].name, last + 1);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        const int column = pg_column(result, others[i].name, last + 1);
        *others[i].column = column;
        last = column < 0 ? last : column;
    }
}

static bool read_enum(const PGresult *result, int row, int column, int len,
                      int *value)
{
    assert(len > 0);
    int64_t number = pg_i64(result, row, column);
    *value = (int)number;
    return number >= 0 && number < len;
}

/** Whether this program can hold the value. */
static bool read_value(const struct field *field, void *at,
                       const PGresult *result, int row, int column)
{
    assert(column >= 0);
    int number = 0;
    int64_t wide = 0;
    bool fine = true;
    struct str text;
    if (field->type != FIELD_TEXT && PQgetisnull(result, row, column)) {
        return false;
    }
    switch (field->type) {
    case FIELD_I64:
        *(int64_t *)at = pg_i64(result, row, column);
        return true;
    case FIELD_I32:
        wide = pg_i64(result, row, column);
        *(int32_t *)at = (int32_t)wide;
        return wide >= INT32_MIN && wide <= INT32_MAX;
    case FIELD_BOOL:
        *(bool *)at = pg_bool(result, row, column);
        return true;
    case FIELD_DOUBLE:
        *(double *)at = strtod(PQgetvalue(result, row, column), NULL);
        return true;
    case FIELD_STATE:
        fine = read_enum(result, row, column, CLOSED, &number);
        *(enum task_state *)at = fine ? (enum task_state)number : CLOSED;
        return fine;
    case FIELD_KIND:
        fine = read_enum(result, row, column, FAILURE_KINDS_LEN, &number);
        *(enum failure_kind *)at =
            fine ? (enum failure_kind)number : FAILURE_NONE;
        return fine;
    case FIELD_CHARS:
        text = pg_str(result, row, column);
        if (text.len >= field->bytes) {
            return false;
        }
        memcpy(at, text.at ? text.at : "", text.len);
        return true;
    case FIELD_TEXT:
        *(char **)at = PQgetisnull(result, row, column)
                           ? NULL
                           : PQgetvalue(result, row, column);
        return true;
    }
    return false;
}

void task_read_row(struct task_read *read, const struct row_columns *columns,
                   const PGresult *result, int row)
{
    assert(row >= 0 && row < PQntuples(result));
    *read = (struct task_read){
        .request_id = pg_str(result, row, columns->request_id),
        .tenant = pg_str(result, row, columns->tenant),
        .traceparent = pg_str(result, row, columns->traceparent),
        .tracestate = pg_str(result, row, columns->tracestate),
        .cancel = columns->cancel >= 0 && pg_bool(result, row, columns->cancel),
        .orphan = columns->orphan >= 0 && pg_bool(result, row, columns->orphan),
    };
    for (size_t f = 0; f < FIELDS_LEN; f++) {
        int column = columns->fields[f];
        void *at = (char *)&read->row + fields[f].offset;
        if (column < 0 || !read_value(&fields[f], at, result, row, column)) {
            read->unreadable = true;
        }
    }
    if (!read->request_id.len || read->request_id.len >= REQUEST_ID_BYTES) {
        read->unreadable = true;
    }
}

struct task_read *task_read_rows(struct arena *arena, const PGresult *result,
                                 size_t *len)
{
    *len = 0;
    int rows = PQntuples(result);
    if (rows <= 0) {
        return NULL;
    }
    struct task_read *reads =
        arena_alloc(arena, (size_t)rows * sizeof(struct task_read));
    if (!reads) {
        return NULL;
    }
    struct row_columns columns;
    row_columns_find(&columns, result);
    for (int i = 0; i < rows; i++) {
        task_read_row(&reads[i], &columns, result, i);
    }
    *len = (size_t)rows;
    return reads;
}

static enum request_mode mode_of(int64_t number)
{
    return number > MODE_NONE && number <= MODE_EXTEND
               ? (enum request_mode)number
               : MODE_NONE;
}

/** A column by its name, once for all rows: PQfnumber() is not for loops. */
enum facts_column {
    FACTS_ID,
    FACTS_REQUEST_ID,
    FACTS_TENANT,
    FACTS_MODE,
    FACTS_METADATA,
    FACTS_WARNINGS,
    FACTS_TRACEPARENT,
    FACTS_TRACESTATE,
    FACTS_DEADLINE_SECONDS,
    FACTS_RECEIVED_MS,
    FACTS_BODY,
    FACTS_CONTENT,
    FACTS_LEN
};

static const char *const facts_names[FACTS_LEN] = {
    "id",          "request_id", "tenant",
    "mode",        "metadata",   "warnings",
    "traceparent", "tracestate", "deadline_seconds",
    "received_ms", "body",       "content",
};

static struct str bytes_of(struct arena *arena, struct str hex)
{
    char *bytes = arena_alloc(arena, hex.len / 2 + 1);
    bool fine = bytes && str_unhex(hex, bytes);
    return fine ? (struct str){bytes, hex.len / 2} : (struct str){0};
}

struct facts_row *facts_read_rows(const struct store *store,
                                  struct arena *arena, const PGresult *result,
                                  size_t *len)
{
    const struct str salt = pg_lane_salt(store->data);
    int at[FACTS_LEN];
    int rows = PQntuples(result);
    *len = 0;
    struct facts_row *facts =
        arena_alloc(arena, ((size_t)rows + 1) * sizeof *facts);
    if (!facts) {
        return NULL;
    }
    for (int i = 0; i < FACTS_LEN; i++) {
        at[i] = pg_column(result, facts_names[i], i == 0 ? 0 : at[i - 1] + 1);
    }
    for (int r = 0; r < rows; r++) {
        facts[r] = (struct facts_row){
            .id = pg_i64(result, r, at[FACTS_ID]),
            .facts =
                {
                    .request_id = pg_str(result, r, at[FACTS_REQUEST_ID]),
                    .tenant = pg_str(result, r, at[FACTS_TENANT]),
                    .mode = mode_of(pg_i64(result, r, at[FACTS_MODE])),
                    .metadata = pg_str(result, r, at[FACTS_METADATA]),
                    .warnings = pg_str(result, r, at[FACTS_WARNINGS]),
                    .traceparent = pg_str(result, r, at[FACTS_TRACEPARENT]),
                    .tracestate = pg_str(result, r, at[FACTS_TRACESTATE]),
                    .deadline_seconds =
                        pg_i64(result, r, at[FACTS_DEADLINE_SECONDS]),
                    .received_ms = pg_i64(result, r, at[FACTS_RECEIVED_MS]),
                },
            .body = pg_str(result, r, at[FACTS_BODY]),
            .content = bytes_of(arena, pg_str(result, r, at[FACTS_CONTENT])),
            .salt = salt,
        };
    }
    *len = (size_t)rows;
    return arena->failed ? NULL : facts;
}

/* ---- ranges ---- */

void ranges_push(struct ranges *ranges, size_t from, size_t to)
{
    assert(from < to);
    assert(ranges->len < sizeof ranges->items / sizeof *ranges->items);
    ranges->items[ranges->len++] = (struct range){from, to};
}

bool ranges_pop(struct ranges *ranges, size_t *from, size_t *to)
{
    if (!ranges->len) {
        return false;
    }
    struct range range = ranges->items[--ranges->len];
    *from = range.from;
    *to = range.to;
    return true;
}
