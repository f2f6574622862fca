#include "edge/pg/array.h"

#include <assert.h>
#include <string.h>

#define HEAD_BYTES 12 /* dimensions, whether NULLs are there, type */
#define DIM_BYTES 8   /* elements, the first one's number */

/** The lowest bytes of the value, the highest of them first. */
static void put(char *at, uint64_t value, size_t bytes)
{
    for (size_t i = bytes; i-- > 0; value >>= 8) {
        at[i] = (char)(unsigned char)(value & 0xff);
    }
}

/** Room for one element: its length before its bytes. null: no memory. */
static char *add(struct pg_array *array, size_t bytes)
{
    char *at = bytes <= INT32_MAX ? buf_room(array->buf, 4 + bytes) : NULL;
    array->len++;
    array->tail = 0;
    if (!at) {
        array->buf->failed = true;
        return NULL;
    }
    put(at, bytes, 4);
    buf_took(array->buf, 4 + bytes);
    return at + 4;
}

void pg_array_begin(struct pg_array *array, struct buf *buf, enum pg_type type)
{
    *array = (struct pg_array){.buf = buf, .type = type, .head = buf->len};
    char *at = buf_room(buf, HEAD_BYTES + DIM_BYTES);
    if (at) {
        memset(at, 0, HEAD_BYTES + DIM_BYTES);
        buf_took(buf, HEAD_BYTES + DIM_BYTES);
    }
}

static size_t bytes_of(enum pg_type type)
{
    assert(type == PG_INT2 || type == PG_INT4 || type == PG_INT8);
    return type == PG_INT8 ? 8 : type == PG_INT4 ? 4 : 2;
}

void pg_array_i64(struct pg_array *array, int64_t value)
{
    const size_t bytes = bytes_of(array->type);
    assert(bytes == 8 || value >> (8 * bytes - 1) == 0 ||
           value >> (8 * bytes - 1) == -1);
    char *at = add(array, bytes);
    if (at) {
        put(at, (uint64_t)value, bytes);
    }
}

void pg_array_bool(struct pg_array *array, bool value)
{
    assert(array->type == PG_BOOL);
    char *at = add(array, 1);
    if (at) {
        *at = value;
    }
}

void pg_array_double(struct pg_array *array, double value)
{
    assert(array->type == PG_FLOAT8);
    uint64_t bits;
    static_assert(sizeof bits == sizeof value, "float8 is IEEE's");
    memcpy(&bits, &value, sizeof bits);
    char *at = add(array, sizeof bits);
    if (at) {
        put(at, bits, sizeof bits);
    }
}

static void add_bytes(struct pg_array *array, const void *bytes, size_t len)
{
    char *at = add(array, len);
    if (at && len) {
        memcpy(at, bytes, len);
    }
}

void pg_array_str(struct pg_array *array, struct str text)
{
    assert(array->type == PG_TEXT);
    if (text.at) {
        add_bytes(array, text.at, text.len);
    } else {
        pg_array_null(array);
    }
}

void pg_array_bytes(struct pg_array *array, const unsigned char *bytes,
                    size_t len)
{
    assert(array->type == PG_BYTEA && bytes);
    add_bytes(array, bytes, len);
}

void pg_array_null(struct pg_array *array)
{
    const size_t tail = array->tail;
    char *at = add(array, 0);
    array->nulls = true;
    array->tail = tail + 1;
    if (at) {
        put(at - 4, UINT32_MAX, 4); /* a length of -1 */
    }
}

void pg_array_shorten(struct pg_array *array)
{
    struct buf *buf = array->buf;
    if (buf->failed) {
        return;
    }
    assert(array->tail <= array->len);
    buf->len -= 4 * array->tail;
    buf->bytes[buf->len] = '\0';
    array->len -= array->tail;
    array->tail = 0;
}

void pg_array_end(struct pg_array *array)
{
    struct buf *buf = array->buf;
    if (buf->failed || array->len > INT32_MAX) {
        buf->failed = true;
        return;
    }
    char *at = buf->bytes + array->head;
    assert(buf->len >= array->head + HEAD_BYTES + DIM_BYTES);
    put(at, array->len > 0, 4);
    put(at + 4, array->nulls, 4);
    put(at + 8, (uint64_t)array->type, 4);
    put(at + 12, array->len, 4);
    put(at + 16, 1, 4);
    if (!array->len) { /* no elements, no dimension */
        buf->len = array->head + HEAD_BYTES;
        buf->bytes[buf->len] = '\0';
    }
}
