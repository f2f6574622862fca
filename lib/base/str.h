#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** Bytes that somebody else owns; not NUL-terminated unless said so. */
struct str {
    const char *at; /* null and len 0: absent */
    size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

static inline struct str str_of(const char *text)
{
    return text ? (struct str){text, strlen(text)} : (struct str){0};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

bool str_eq_nocase(struct str a, struct str b);
bool str_starts(struct str text, struct str start);
bool str_ends(struct str text, struct str end);

/** ASCII white space off both ends. */
struct str str_trim(struct str text);

/** Where `part` first is in `text` (ASCII case folded), or -1. */
ptrdiff_t str_find_nocase(struct str text, struct str part);

/** Digits, perhaps after a "-", within [min, max]; false leaves *value as it
 * was. */
bool str_to_i64(struct str text, int64_t min, int64_t max, int64_t *value);

/** Whether the bytes are UTF-8 without surrogates and overlong forms. */
bool str_is_utf8(struct str text);

/** Bytes of the first code point; 0 if there is none or it is not valid
 * UTF-8. */
size_t str_point_bytes(struct str text);

/** Bytes at the start that JSON writes as they are: of ASCII, printable, no
 * quote and no backslash. */
size_t str_plain_bytes(struct str text);

/** Code points in valid UTF-8. */
size_t str_code_points(struct str text);

/** The longest start of valid UTF-8 `text` with at most `points` code
 * points. */
struct str str_cut_points(struct str text, size_t points);

/** Lower-case hex of `len` bytes into out[2*len+1]. */
void str_hex(const unsigned char *bytes, size_t len, char *out);

/** The bytes of lower-case hex into out[hex.len / 2]; false: it is none. */
bool str_unhex(struct str hex, char *out);

/** Damerau-Levenshtein distance, for suggestions; inputs over 63 bytes give
 * 64. */
size_t str_distance(struct str a, struct str b);

/**
 * Milliseconds of Unix time as RFC 3339 in UTC, "2026-11-22T06:00:00.123Z".
 * @param out  At least 25 bytes.
 */
void str_time(int64_t time_ms, char out[static 25]);

#endif
