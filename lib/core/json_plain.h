#ifndef CORE_JSON_PLAIN_H
#define CORE_JSON_PLAIN_H

#include "base/str.h"

#include <jansson.h>

/* Of every text that is read; jansson's own limit is 2048. */
#define JSON_DEPTH_MAX 32

/**
 * The usual JSON, read in one pass. For json.c only: jansson takes texts apart
 * byte by byte through a callback, four times as long as all that we do with a
 * request afterwards.
 *
 * Plain: strings without escapes, integers of at most 18 digits, no more than
 * `depth_max` deep, no key twice. What it reads, jansson would read as the
 * same value (tests/fuzz/fuzz_json.c holds them together); anything else,
 * right or wrong, it leaves to jansson.
 *
 * @param text  UTF-8 without NUL bytes.
 * @return      The caller's, for json_decref(); null: not plain, or no memory.
 */
json_t *json_read_plain(struct str text, int depth_max);

#endif
