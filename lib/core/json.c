#include "core/json.h"

#include "core/json_plain.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first double that no int64_t holds. */
#define TWO_TO_63 9223372036854775808.0
#define TWO_TO_64 18446744073709551616.0
#define AMOUNT_BYTES_MAX 64
#define FRAME_BYTES 5 /* a zero byte, and an id in four */
#define I64_MAX_DIGITS "9223372036854775807"
#define U64_MAX_DIGITS "18446744073709551615"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/** Bytes of the string that begins at text.at[0], quotes included. */
static size_t string_bytes(struct str text, bool *nul)
{
    const char *quote = memchr(text.at + 1, '"', text.len - 1);
    if (quote && !memchr(text.at, '\\', (size_t)(quote - text.at))) {
        return (size_t)(quote - text.at) + 1; /* most have no escapes */
    }
    size_t len = 1;
    while (len < text.len && text.at[len] != '"') {
        if (text.at[len] == '\\') {
            const struct str rest = {text.at + len, text.len - len};
            *nul = *nul || str_starts(rest, STR("\\u0000"));
            len++;
        }
        len++;
    }
    return len < text.len ? len + 1 : text.len;
}

/** Bytes of what a number could be made of. */
static size_t number_bytes(struct str text)
{
    size_t len = 1;
    while (len < text.len &&
           (is_digit(text.at[len]) || strchr("+-.eE", text.at[len]))) {
        len++;
    }
    return len;
}

/** Whole, above 2^63-1 and not above 2^64-1, in digits. */
static bool is_big_number(struct str number)
{
    for (size_t i = 0; i < number.len; i++) {
        if (!is_digit(number.at[i])) {
            return false;
        }
    }
    if (number.len == 19) {
        return memcmp(number.at, I64_MAX_DIGITS, 19) > 0;
    }
    return number.len == 20 && number.at[0] != '0' &&
           memcmp(number.at, U64_MAX_DIGITS, 20) <= 0;
}

/** What there is to know of a text before jansson reads it. */
struct scan {
    bool shallow;    /* brackets inside strings don't count */
    size_t deep_at;  /* the bracket that goes too deep */
    bool nul;        /* an escaped NUL stands in a string */
    size_t nul_at;   /* that string */
    struct buf text; /* with its big numbers as json_is_big(); empty: none */
};

/** jansson's own limit of depth is 2048. */
static void scan_text(struct scan *scan, struct str text)
{
    int depth = 0;
    size_t copied = 0;
    buf_init(&scan->text, 0);
    for (size_t i = 0; i < text.len;) {
        const struct str rest = {text.at + i, text.len - i};
        const char c = rest.at[0];
        size_t step = 1;
        if (c == '"') {
            const bool before = scan->nul;
            step = string_bytes(rest, &scan->nul);
            scan->nul_at = before ? scan->nul_at : i;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX) {
                scan->deep_at = i;
                return;
            }
        } else if (c == '}' || c == ']') {
            depth--;
        } else if (c == '-' || is_digit(c)) {
            step = number_bytes(rest);
            if (is_big_number((struct str){rest.at, step})) {
                buf_add(&scan->text, text.at + copied, i - copied);
                buf_add_text(&scan->text, "\"\\u0000");
                buf_add(&scan->text, rest.at, step);
                buf_add_char(&scan->text, '"');
                copied = i + step;
            }
        }
        i += step;
    }
    if (copied) {
        buf_add(&scan->text, text.at + copied, text.len - copied);
    }
    scan->shallow = true;
}

/** The byte as line and place in it. What the message says there is its
 * sender's: it stays out. */
static void say_where(char *out, struct str text, size_t byte, const char *what)
{
    size_t line = 1;
    size_t begin = 0;
    for (size_t i = 0; i < byte && i < text.len; i++) {
        if (text.at[i] == '\n') {
            line++;
            begin = i + 1;
        }
    }
    int n = snprintf(out, JSON_WHERE_BYTES, "line %zu, byte %zu: ", line,
                     byte - begin + 1);
    for (; *what && n < JSON_WHERE_BYTES - 1; what++) {
        out[n++] = *what >= ' ' && *what < 0x7f ? *what : '?';
    }
    out[n] = '\0';
}

/** How many of the first bytes are not the sender's: what stands around big
 * numbers. */
static size_t added_bytes(const struct buf *text, size_t at)
{
    static const char mark[] = "\"\\u0000";
    size_t added = 0;
    for (size_t i = 0; i + sizeof mark - 1 <= at && at <= text->len; i++) {
        if (memcmp(text->bytes + i, mark, sizeof mark - 1) == 0) {
            added += sizeof mark; /* and the quote behind the digits */
        }
    }
    return added;
}

/** Of the character that begins so; 0: none does. */
static size_t sequence_bytes(char lead)
{
    unsigned char c = (unsigned char)lead;
    return c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/** What jansson would let pass, or would not name; false: said. */
static bool is_readable(struct str text, char *where)
{
    if (text.len == 0) {
        snprintf(where, JSON_WHERE_BYTES, "the message is empty");
        return false;
    }
    /* jansson 2.14 swallows a NUL byte behind a number. */
    const char *nul = memchr(text.at, '\0', text.len);
    if (nul) {
        say_where(where, text, (size_t)(nul - text.at), "a NUL byte");
        return false;
    }
    if (!str_is_utf8(text)) {
        size_t good = 0;
        size_t len;
        while (good < text.len && (len = sequence_bytes(text.at[good])) &&
               good + len <= text.len &&
               str_is_utf8((struct str){text.at + good, len})) {
            good += len;
        }
        say_where(where, text, good, "bytes that are not UTF-8");
        return false;
    }
    return true;
}

json_t *json_read(struct str text, bool *no_memory)
{
    char where[JSON_WHERE_BYTES];
    return json_read_where(text, no_memory, where);
}

json_t *json_read_where(struct str text, bool *no_memory,
                        char where[JSON_WHERE_BYTES])
{
    assert(no_memory && where);
    *no_memory = false;
    if (!is_readable(text, where)) {
        return NULL;
    }
    json_t *value = json_read_plain(text, JSON_DEPTH_MAX, JSON_PLAIN_INTS);
    if (value) {
        return value;
    }
    struct scan scan = {.deep_at = text.len};
    scan_text(&scan, text);
    if (scan.text.failed) {
        *no_memory = true;
    } else if (!scan.shallow) {
        say_where(where, text, scan.deep_at, "nested more than 32 deep");
    } else if (scan.nul) {
        say_where(where, text, scan.nul_at, "an escaped NUL");
    } else {
        /* The rest jansson refuses by itself: a BOM, lone surrogates, other
         * integers over 64 bits, reals over a double. */
        json_error_t error;
        const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY |
                             (scan.text.len ? JSON_ALLOW_NUL : 0);
        const struct str read = scan.text.len ? buf_str(&scan.text) : text;
        value = json_loadb(read.at, read.len, flags, &error);
        *no_memory =
            !value && json_error_code(&error) == json_error_out_of_memory;
        if (!value) {
            size_t at = error.position > 0 ? (size_t)error.position - 1 : 0;
            char *quoted = strstr(error.text, " near ");
            if (quoted) {
                *quoted = '\0';
            }
            say_where(where, text, at - added_bytes(&scan.text, at),
                      error.text);
        }
    }
    buf_done(&scan.text);
    return value;
}

struct str json_unframed(struct str value)
{
    static const char space[] = " \t\r\n";
    assert(value.at || value.len == 0);
    size_t at = FRAME_BYTES;
    if (value.len <= FRAME_BYTES || value.at[0] != '\0') {
        return value;
    }
    while (at < value.len && value.at[at] && strchr(space, value.at[at])) {
        at++;
    }
    return at < value.len && value.at[at] == '{'
               ? (struct str){value.at + FRAME_BYTES, value.len - FRAME_BYTES}
               : value;
}

bool json_is_big(const json_t *value)
{
    return json_string_length(value) > 0 && json_string_value(value)[0] == '\0';
}

static struct str big_digits(const json_t *big)
{
    return (struct str){json_string_value(big) + 1,
                        json_string_length(big) - 1};
}

enum json_whole json_to_i64(const json_t *value, int64_t *whole)
{
    assert(value && whole);
    if (json_is_integer(value)) {
        *whole = json_integer_value(value);
        return JSON_WHOLE;
    }
    if (json_is_big(value)) {
        return JSON_WHOLE_TOO_BIG;
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

/** Digits, perhaps a fraction, perhaps an exponent: as JSON writes it. */
static bool is_decimal(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0) {
        return false;
    }
    text += digits;
    if (*text == '.') {
        digits = strspn(text + 1, "0123456789");
        if (digits == 0) {
            return false;
        }
        text += 1 + digits;
    }
    if (*text == 'e' || *text == 'E') {
        text += text[1] == '+' || text[1] == '-' ? 2 : 1;
        digits = strspn(text, "0123456789");
        return digits > 0 && text[digits] == '\0';
    }
    return *text == '\0';
}

bool json_to_amount(const json_t *value, double *amount)
{
    assert(amount);
    double number = -1;
    if (json_is_number(value)) {
        number = json_number_value(value);
    } else if (json_is_string(value) && !json_is_big(value)) {
        const struct str text = str_trim(
            (struct str){json_string_value(value), json_string_length(value)});
        char copy[AMOUNT_BYTES_MAX + 1] = {0};
        if (text.len <= AMOUNT_BYTES_MAX) {
            memcpy(copy, text.at, text.len);
        }
        if (strlen(copy) == text.len && is_decimal(copy)) {
            number = strtod(copy, NULL);
        }
    }
    if (!(number >= 0) || isinf(number)) {
        return false;
    }
    *amount = number == 0 ? 0 : number; /* no -0 */
    return true;
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

/** Without fraction and within what an integer may be in digits. */
static bool is_whole_real(double real)
{
    return real == trunc(real) && real > -TWO_TO_63 && real < TWO_TO_64;
}

static void write_number(struct buf *buf, const json_t *value, bool canonical)
{
    if (json_is_integer(value)) {
        buf_add_i64(buf, json_integer_value(value));
    } else if (canonical && is_whole_real(json_real_value(value))) {
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

#define MEMBERS_USUAL 24

/** A few are in their order sooner than qsort() has begun. */
static void sort_members(struct member *members, size_t len)
{
    if (len > MEMBERS_USUAL) {
        qsort(members, len, sizeof *members, by_key);
        return;
    }
    for (size_t i = 1; i < len; i++) {
        const struct member member = members[i];
        size_t at = i;
        for (; at > 0 && strcmp(members[at - 1].key, member.key) > 0; at--) {
            members[at] = members[at - 1];
        }
        members[at] = member;
    }
}

static void write_object(struct buf *buf, const json_t *object, bool canonical)
{
    assert(json_is_object(object));
    size_t count = json_object_size(object);
    struct member usual[MEMBERS_USUAL];
    struct member *members =
        count <= MEMBERS_USUAL ? usual : calloc(count, sizeof *members);
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
        sort_members(members, len);
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
    if (members != usual) {
        free(members);
    }
}

static void write_array(struct buf *buf, const json_t *array, bool canonical)
{
    assert(json_is_array(array));
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
        if (json_is_big(value)) {
            buf_add_str(buf, big_digits(value));
            break;
        }
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
