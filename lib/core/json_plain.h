#ifndef CORE_JSON_PLAIN_H
#define CORE_JSON_PLAIN_H

#include "base/str.h"

#include <jansson.h>

/* Of every text that is read; jansson's own limit is 2048. */
#define JSON_DEPTH_MAX 32

enum json_plain_ints {
    JSON_PLAIN_INTS,
    JSON_PLAIN_REALS /* as by JSON_DECODE_INT_AS_REAL */
};

/**
 * The usual JSON, read in one pass. For json.c and provider_json.c only:
 * jansson takes texts apart byte by byte through a callback, four times as long
 * as all that we do with a request afterwards.
 *
 * Plain: strings without escapes, integers of at most 18 digits, others of at
 * most 15 and without exponent, no more than `depth_max` deep, no key twice.
 * What it reads, jansson would read as the same value (tests/fuzz/fuzz_json.c
 * holds them together); anything else, right or wrong, it leaves to jansson.
 *
 * @param text  UTF-8 without NUL bytes.
 * @param ints  What integers become.
 * @return      The caller's, for json_decref(); null: not plain, or no memory.
 */
json_t *json_read_plain(struct str text, int depth_max,
                        enum json_plain_ints ints);

#endif
