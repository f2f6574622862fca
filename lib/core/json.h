#ifndef CORE_JSON_H
#define CORE_JSON_H

#include "base/buf.h"
#include "base/str.h"

#include <jansson.h>

/**
 * JSON as CONTRACT "JSON in" reads it, and as we write it. The size is judged
 * by the caller, who knows its limit.
 */

#define JSON_DEPTH_MAX 32

/**
 * UTF-8 without BOM, at most 32 deep, no duplicate keys, no NUL, no lone
 * surrogates, integers within 64 bits, numbers within a double.
 *
 * @param no_memory  Set if that, and not the text, is why null came back.
 * @return           The caller's, for json_decref(); null if it isn't such.
 */
json_t *json_read(struct str text, bool *no_memory);

/** Compact, in the order of the keys, numbers in the fewest digits. */
void json_write(struct buf *buf, const json_t *value);

/**
 * One text for all equal JSON values: keys sorted by their bytes, and numbers
 * written by value, so that 5, 5.0 and 0.5e1 are the same.
 */
void json_write_canonical(struct buf *buf, const json_t *value);

/** A number without fraction. */
enum json_whole { JSON_WHOLE, JSON_NOT_WHOLE, JSON_WHOLE_TOO_BIG };

/** What kind of number it is; *whole is set for JSON_WHOLE only. */
enum json_whole json_to_i64(const json_t *value, int64_t *whole);

#endif
