#include "core/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The first double that no int64_t holds. */
#define TWO_TO_63 9223372036854775808.0

/** jansson's own limit is 2048 deep; brackets inside strings don't count. */
static bool is_shallow(struct str text)
{
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (quoted) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                quoted = false;
            }
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX) {
                return false;
            }
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return true;
}

json_t *json_read(struct str text, bool *no_memory)
{
    *no_memory = false;
    /* jansson 2.14 swallows a NUL byte behind a number. */
    if (text.len == 0 || memchr(text.at, '\0', text.len) ||
        !str_is_utf8(text) || !is_shallow(text)) {
        return NULL;
    }
    /* The rest jansson refuses by itself: a BOM, \u0000, lone surrogates,
     * integers over 64 bits, reals over a double. */
    json_error_t error;
    json_t *value = json_loadb(
        text.at, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!value) {
        *no_memory = json_error_code(&error) == json_error_out_of_memory;
    }
    return value;
}

enum json_whole json_to_i64(const json_t *value, int64_t *whole)
{
    if (json_is_integer(value)) {
        *whole = json_integer_value(value);
        return JSON_WHOLE;
    }
    double real = json_real_value(value);
    if (!json_is_real(value) || real != trunc(real)) {
        return JSON_NOT_WHOLE;
    }
    if (real >= TWO_TO_63 || real < -TWO_TO_63) {
        return JSON_WHOLE_TOO_BIG;
    }
    *whole = (int64_t)real;
    return JSON_WHOLE;
}

/**
 * A real without fraction as the integer that its digits say: beyond 2^53 the
 * double's own value has other digits than the text it was read from, and than
 * the integer of that text.
 */
static void write_whole(struct buf *buf, double real)
{
    struct buf digits;
    buf_init(&digits, 0);
    buf_add_double(&digits, real == 0 ? 0 : real); /* no -0 */
    const char *e = digits.len ? strchr(digits.bytes, 'e') : NULL;
    if (!e) {
        buf_add_str(buf, buf_str(&digits));
    } else {
        long zeros = strtol(e + 1, NULL, 10);
        for (const char *c = digits.bytes; c < e; c++) {
            const char *point =
                memchr(digits.bytes, '.', (size_t)(c - digits.bytes));
            if (*c != '.') {
                buf_add_char(buf, *c);
                zeros -= point != NULL;
            }
        }
        for (; zeros > 0; zeros--) {
            buf_add_char(buf, '0');
        }
    }
    buf->failed = buf->failed || digits.failed;
    buf_done(&digits);
}

static void write_number(struct buf *buf, const json_t *value, bool canonical)
{
    int64_t whole = 0;
    if (json_is_integer(value)) {
        buf_add_i64(buf, json_integer_value(value));
    } else if (canonical && json_to_i64(value, &whole) == JSON_WHOLE) {
        write_whole(buf, json_real_value(value));
    } else {
        buf_add_double(buf, json_real_value(value));
    }
}

static void write_value(struct buf *buf, const json_t *value, bool canonical);

struct member {
    const char *key;
    const json_t *value;
};

static int by_key(const void *a, const void *b)
{
    const struct member *left = a;
    const struct member *right = b;
    return strcmp(left->key, right->key);
}

static void write_object(struct buf *buf, const json_t *object, bool canonical)
{
    size_t count = json_object_size(object);
    struct member *members = calloc(count + 1, sizeof *members);
    if (!members) {
        buf->failed = true;
        return;
    }
    size_t len = 0;
    const char *key;
    json_t *value;
    /* jansson walks an object without changing it, yet asks for it unconst. */
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        members[len++] = (struct member){key, value};
    }
    if (canonical) {
        qsort(members, len, sizeof *members, by_key);
    }
    buf_add_char(buf, '{');
    for (size_t i = 0; i < len; i++) {
        if (i > 0) {
            buf_add_char(buf, ',');
        }
        buf_add_json(buf, str_of(members[i].key));
        buf_add_char(buf, ':');
        write_value(buf, members[i].value, canonical);
    }
    buf_add_char(buf, '}');
    free(members);
}

static void write_array(struct buf *buf, const json_t *array, bool canonical)
{
    buf_add_char(buf, '[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0) {
            buf_add_char(buf, ',');
        }
        write_value(buf, json_array_get(array, i), canonical);
    }
    buf_add_char(buf, ']');
}

/** Recursive: json_read() has bounded the depth. */
static void write_value(struct buf *buf, const json_t *value, bool canonical)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        write_object(buf, value, canonical);
        break;
    case JSON_ARRAY:
        write_array(buf, value, canonical);
        break;
    case JSON_STRING:
        buf_add_json(buf, (struct str){json_string_value(value),
                                       json_string_length(value)});
        break;
    case JSON_INTEGER:
    case JSON_REAL:
        write_number(buf, value, canonical);
        break;
    case JSON_TRUE:
        buf_add_text(buf, "true");
        break;
    case JSON_FALSE:
        buf_add_text(buf, "false");
        break;
    case JSON_NULL:
        buf_add_text(buf, "null");
        break;
    }
}

void json_write(struct buf *buf, const json_t *value)
{
    write_value(buf, value, false);
}

void json_write_canonical(struct buf *buf, const json_t *value)
{
    write_value(buf, value, true);
}
