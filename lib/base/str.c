#include "base/str.h"

#include <assert.h>
#include <endian.h>
#include <stdio.h>

static unsigned char lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

static bool is_space(unsigned char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len) {
        return false;
    }
    if (str_eq(a, b)) {
        return true; /* as most of what is the same is written */
    }
    for (size_t i = 0; i < a.len; i++) {
        if (lower((unsigned char)a.at[i]) != lower((unsigned char)b.at[i])) {
            return false;
        }
    }
    return true;
}

bool str_starts(struct str text, struct str start)
{
    return text.len >= start.len &&
           str_eq((struct str){text.at, start.len}, start);
}

bool str_ends(struct str text, struct str end)
{
    return text.len >= end.len &&
           (end.len == 0 ||
            memcmp(text.at + text.len - end.len, end.at, end.len) == 0);
}

struct str str_trim(struct str text)
{
    assert(text.at || text.len == 0);
    while (text.len && is_space((unsigned char)text.at[0])) {
        text.at++;
        text.len--;
    }
    while (text.len && is_space((unsigned char)text.at[text.len - 1])) {
        text.len--;
    }
    return text;
}

ptrdiff_t str_find_nocase(struct str text, struct str part)
{
    if (part.len == 0) {
        return 0;
    }
    const int first = lower((unsigned char)part.at[0]);
    for (size_t i = 0; i + part.len <= text.len; i++) {
        if (lower((unsigned char)text.at[i]) == first &&
            str_eq_nocase((struct str){text.at + i, part.len}, part)) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

bool str_to_i64(struct str text, int64_t min, int64_t max, int64_t *value)
{
    assert(min <= max && value);
    bool negative = text.len > 0 && text.at[0] == '-';
    size_t at = negative ? 1 : 0;
    if (at == text.len) {
        return false;
    }
    int64_t sum = 0; /* counted downwards: INT64_MIN has no positive twin */
    for (; at < text.len; at++) {
        if (text.at[at] < '0' || text.at[at] > '9') {
            return false;
        }
        if (__builtin_mul_overflow(sum, (int64_t)10, &sum) ||
            __builtin_sub_overflow(sum, (int64_t)(text.at[at] - '0'), &sum)) {
            return false;
        }
    }
    if (!negative && __builtin_sub_overflow((int64_t)0, sum, &sum)) {
        return false;
    }
    if (sum < min || sum > max) {
        return false;
    }
    *value = sum;
    return true;
}

/** Bytes of the code point at the start, or 0 if it is not valid UTF-8. */
static size_t point_bytes(const unsigned char *at, size_t len)
{
    unsigned char c = at[0];
    if (c < 0x80) {
        return 1;
    }
    size_t need = c >= 0xc2 && c <= 0xdf   ? 2
                  : c >= 0xe0 && c <= 0xef ? 3
                  : c >= 0xf0 && c <= 0xf4 ? 4
                                           : 0;
    if (need == 0 || len < need) {
        return 0;
    }
    for (size_t i = 1; i < need; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    /* Overlong forms, surrogates, and what lies above U+10FFFF. */
    if ((c == 0xe0 && at[1] < 0xa0) || (c == 0xed && at[1] > 0x9f) ||
        (c == 0xf0 && at[1] < 0x90) || (c == 0xf4 && at[1] > 0x8f)) {
        return 0;
    }
    return need;
}

size_t str_point_bytes(struct str text)
{
    return text.len ? point_bytes((const unsigned char *)text.at, text.len) : 0;
}

bool str_is_utf8(struct str text)
{
    assert(text.at || text.len == 0);
    for (size_t at = 0; at < text.len;) {
        uint64_t eight = 0; /* most texts are ASCII: eight bytes at a glance */
        if (text.len - at >= sizeof eight) {
            memcpy(&eight, text.at + at, sizeof eight);
            if (!(eight & 0x8080808080808080)) {
                at += sizeof eight;
                continue;
            }
        }
        size_t n =
            point_bytes((const unsigned char *)text.at + at, text.len - at);
        if (n == 0) {
            return false;
        }
        at += n;
    }
    return true;
}

/** The highest bit of the first of eight bytes that is not plain is set, and of
 * none before it. */
static uint64_t odd_bytes(uint64_t eight)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t quote = eight ^ (ones * '"');
    const uint64_t slash = eight ^ (ones * '\\');
    const uint64_t del = eight ^ (ones * 0x7f);
    /* A byte below n borrows from its highest bit, and perhaps from those of
     * later ones: 0x20 for controls, 1 for what is equal. */
    const uint64_t low = (eight - ones * 0x20) & ~eight;
    const uint64_t equal = ((quote - ones) & ~quote) |
                           ((slash - ones) & ~slash) | ((del - ones) & ~del);
    return (eight | low | equal) & (ones * 0x80);
}

size_t str_plain_bytes(struct str text)
{
    for (size_t at = 0;; at += sizeof(uint64_t)) {
        const size_t left = text.len - at;
        uint64_t eight = 0; /* the end looks like a control */
        if (left >= sizeof eight) {
            memcpy(&eight, text.at + at, sizeof eight);
        } else if (left) {
            memcpy(&eight, text.at + at, left);
        }
        const uint64_t odd = odd_bytes(le64toh(eight));
        if (odd) {
            return at + (size_t)__builtin_ctzll(odd) / 8;
        }
    }
}

size_t str_code_points(struct str text)
{
    size_t points = 0;
    for (size_t i = 0; i < text.len; i++) {
        points += ((unsigned char)text.at[i] & 0xc0) != 0x80;
    }
    return points;
}

struct str str_cut_points(struct str text, size_t points)
{
    size_t seen = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (((unsigned char)text.at[i] & 0xc0) != 0x80 && seen++ == points) {
            return (struct str){text.at, i};
        }
    }
    return text;
}

void str_hex(const unsigned char *bytes, size_t len, char *out)
{
    assert(bytes || len == 0);
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool str_unhex(struct str hex, char *out)
{
    assert(out);
    for (size_t i = 0; i + 1 < hex.len; i += 2) {
        int high = hex_digit(hex.at[i]);
        int low = hex_digit(hex.at[i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i / 2] = (char)(high << 4 | low);
    }
    return hex.len % 2 == 0;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t str_distance(struct str a, struct str b)
{
    enum { LIMIT = 63 };
    if (a.len > LIMIT || b.len > LIMIT) {
        return LIMIT + 1;
    }
    /* Three rows of the table: the one before last serves swapped letters. */
    size_t rows[3][LIMIT + 1];
    for (size_t j = 0; j <= b.len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        size_t *row = rows[i % 3];
        const size_t *before = rows[(i + 2) % 3];
        const size_t *older = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t other = a.at[i - 1] != b.at[j - 1];
            row[j] =
                least(before[j - 1] + other, least(before[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a.at[i - 1] == b.at[j - 2] &&
                a.at[i - 2] == b.at[j - 1]) {
                row[j] = least(row[j], older[j - 2] + 1);
            }
        }
    }
    return rows[a.len % 3][b.len];
}

/** The last ones, zeros before them. */
static void put_digits(char *out, size_t digits, int64_t value)
{
    assert(value >= 0);
    while (digits > 0) {
        out[--digits] = (char)('0' + value % 10);
        value /= 10;
    }
}

void str_time(int64_t time_ms, char out[static 25])
{
    int64_t days = time_ms / 86400000;
    int64_t rest = time_ms % 86400000;
    if (rest < 0) {
        rest += 86400000;
        days--;
    }
    /* Civil date from a day count, in eras of 400 years that begin in March. */
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int64_t day = doy - (153 * mp + 2) / 5 + 1;
    int64_t month = mp < 10 ? mp + 3 : mp - 9;
    int64_t year = yoe + era * 400 + (month <= 2);
    memcpy(out, "0000-00-00T00:00:00.000Z", 25);
    if (year < 0 || year > 9999) {
        return;
    }
    put_digits(out, 4, year);
    put_digits(out + 5, 2, month);
    put_digits(out + 8, 2, day);
    put_digits(out + 11, 2, rest / 3600000);
    put_digits(out + 14, 2, rest / 60000 % 60);
    put_digits(out + 17, 2, rest / 1000 % 60);
    put_digits(out + 20, 3, rest % 1000);
}
