#ifndef CORE_JSON_H
#define CORE_JSON_H

#include "base/buf.h"
#include "base/str.h"

#include <jansson.h>

/**
 * JSON as CONTRACT "JSON in" reads it, and as we write it. The size is judged
 * by the caller, who knows its limit.
 */

/**
 * UTF-8 without BOM, at most 32 deep, no duplicate keys, no NUL, no lone
 * surrogates, integers of -2^63 .. 2^64-1, numbers within a double. Integers
 * from 2^63 up keep their digits: see json_is_big().
 *
 * @param no_memory  Set if that, and not the text, is why null came back.
 * @return           The caller's, for json_decref(); null if it isn't such.
 */
json_t *json_read(struct str text, bool *no_memory);

/**
 * An integer of 2^63 .. 2^64-1, which jansson can't hold: json_read() keeps it
 * as a string of a NUL and the digits, which no text it reads can be. It is
 * written as the number that it was; to every other reader it is a string, so
 * ask this first.
 */
bool json_is_big(const json_t *value);

#define JSON_WHERE_BYTES 160

/** The same; where: without a result, what is wrong and where, in ASCII:
 * "line 3, byte 57: …", counted from 1. */
json_t *json_read_where(struct str text, bool *no_memory,
                        char where[JSON_WHERE_BYTES]);

/**
 * The JSON of a Kafka message's value, which Confluent's serializers put behind
 * a zero byte and four bytes of their registry's id. No JSON begins with a zero
 * byte: a value that has no object behind those five stays as it is.
 */
struct str json_unframed(struct str value);

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

/**
 * A number of 0 or more, or a text that is one ("0.2", " 5 ", "1e-1"), as
 * those write it who keep decimals as text.
 *
 * @return  false, *amount untouched: it is none, below 0, or beyond a double.
 */
bool json_to_amount(const json_t *value, double *amount);

#endif
