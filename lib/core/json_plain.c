#include "core/json_plain.h"

#include <assert.h>

#define DIGITS_MAX 18          /* every number of so many fits */
#define FRACTION_DIGITS_MAX 15 /* with those before the point */

struct plain {
    const char *at;
    const char *end; /* at <= end */
    int depth;
    int depth_max;
    enum json_plain_ints ints;
};

static json_t *read_value(struct plain *plain);

/** The next byte that is no white space; NUL, which no text holds: the end. */
static char look(struct plain *plain)
{
    for (; plain->at < plain->end; plain->at++) {
        const char c = *plain->at;
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
            assert(c != '\0');
            return c;
        }
    }
    return '\0';
}

/** Past `c`, if that is next. */
static bool take(struct plain *plain, char c)
{
    if (look(plain) != c) {
        return false;
    }
    plain->at++;
    return true;
}

/** What stands between the quotes; false: it has an escape, or no end. */
static bool read_text(struct plain *plain, struct str *text)
{
    if (!take(plain, '"')) {
        return false;
    }
    const char *begin = plain->at;
    for (;; plain->at++) {
        const struct str rest = {plain->at, (size_t)(plain->end - plain->at)};
        plain->at += str_plain_bytes(rest);
        if (plain->at == plain->end) {
            return false;
        }
        const unsigned char c = (unsigned char)*plain->at;
        if (c == '"') {
            *text = (struct str){begin, (size_t)(plain->at - begin)};
            plain->at++;
            return true;
        }
        if (c == '\\' || c < ' ') {
            return false;
        }
    }
}

static json_t *read_string(struct plain *plain)
{
    struct str text;
    return read_text(plain, &text) ? json_stringn_nocheck(text.at, text.len)
                                   : NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/** Digits behind those of *sum, `most` at most. */
static int read_digits(struct plain *plain, json_int_t *sum, int most)
{
    int digits = 0;
    for (; plain->at < plain->end && is_digit(*plain->at) && digits < most;
         digits++) {
        *sum = 10 * *sum + (*plain->at++ - '0');
    }
    return digits;
}

/** Behind its point: few digits, so that whole number and power of ten are
 * exact, and their quotient is the nearest double. */
static json_t *read_fraction(struct plain *plain, bool negative, json_int_t sum,
                             int digits)
{
    if (digits >= FRACTION_DIGITS_MAX) {
        return NULL;
    }
    const int places = read_digits(plain, &sum, FRACTION_DIGITS_MAX - digits);
    double tens = 1;
    for (int i = 0; i < places; i++) {
        tens *= 10;
    }
    const double value = (double)sum / tens;
    return places ? json_real(negative ? -value : value) : NULL;
}

static json_t *read_number(struct plain *plain)
{
    const bool negative = take(plain, '-');
    const char first = plain->at < plain->end ? *plain->at : '\0';
    json_int_t sum = 0;
    const int digits = read_digits(plain, &sum, DIGITS_MAX);
    if (digits == 0 || (digits > 1 && first == '0')) {
        return NULL;
    }
    /* One digit more, or an exponent, is nothing that may stand behind a value:
     * the caller gives up there. */
    if (plain->at < plain->end && *plain->at == '.') {
        plain->at++;
        return read_fraction(plain, negative, sum, digits);
    }
    sum = negative ? -sum : sum;
    return plain->ints == JSON_PLAIN_INTS ? json_integer(sum)
           : negative && sum == 0         ? json_real(-0.0)
                                          : json_real((double)sum);
}

static json_t *read_word(struct plain *plain, struct str word, json_t *value)
{
    const struct str rest = {plain->at, (size_t)(plain->end - plain->at)};
    if (!str_starts(rest, word)) {
        return NULL;
    }
    plain->at += word.len;
    return value; /* jansson's own, never counted */
}

/** The members up to the closing bracket; false: not plain. */
static bool read_members(struct plain *plain, json_t *object)
{
    if (take(plain, '}')) {
        return true;
    }
    do {
        struct str key;
        if (look(plain) != '"' || !read_text(plain, &key) ||
            !take(plain, ':')) {
            return false;
        }
        const size_t before = json_object_size(object);
        json_t *value = read_value(plain);
        /* It takes the value over, whatever comes of it. */
        if (!value ||
            json_object_setn_new_nocheck(object, key.at, key.len, value) != 0 ||
            json_object_size(object) == before) {
            return false;
        }
    } while (take(plain, ','));
    return take(plain, '}');
}

static bool read_elements(struct plain *plain, json_t *array)
{
    if (take(plain, ']')) {
        return true;
    }
    do {
        json_t *value = read_value(plain);
        if (!value || json_array_append_new(array, value) != 0) {
            return false;
        }
    } while (take(plain, ','));
    return take(plain, ']');
}

static json_t *read_nested(struct plain *plain, bool object)
{
    assert(plain->depth >= 0 && plain->depth <= plain->depth_max);
    if (plain->depth == plain->depth_max) {
        return NULL;
    }
    json_t *nested = object ? json_object() : json_array();
    plain->at++;
    plain->depth++;
    if (nested && !(object ? read_members(plain, nested)
                           : read_elements(plain, nested))) {
        json_decref(nested);
        nested = NULL;
    }
    plain->depth--;
    return nested;
}

/** Recursive: depth is bounded. */
static json_t *read_value(struct plain *plain)
{
    const char c = look(plain);
    switch (c) {
    case '{':
        return read_nested(plain, true);
    case '[':
        return read_nested(plain, false);
    case '"':
        return read_string(plain);
    case 't':
        return read_word(plain, STR("true"), json_true());
    case 'f':
        return read_word(plain, STR("false"), json_false());
    case 'n':
        return read_word(plain, STR("null"), json_null());
    default:
        return c == '-' || is_digit(c) ? read_number(plain) : NULL;
    }
}

json_t *json_read_plain(struct str text, int depth_max,
                        enum json_plain_ints ints)
{
    assert(text.at && text.len && depth_max > 0);
    struct plain plain = {.at = text.at,
                          .end = text.at + text.len,
                          .depth_max = depth_max,
                          .ints = ints};
    json_t *value = read_value(&plain);
    if (value && look(&plain)) {
        json_decref(value);
        value = NULL;
    }
    assert(plain.depth == 0 && plain.at <= plain.end);
    return value;
}
