#ifndef CORE_PROVIDER_JSON_H
#define CORE_PROVIDER_JSON_H

#include "base/str.h"

#include <jansson.h>

/* For jansson: a NUL in a text, a name that stands twice (the last counts), a
 * number too big for 64 bits, or what a gateway put behind it must not cost us
 * the reply. */
#define PROVIDER_JSON_FLAGS                                                    \
    (JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL | JSON_DISABLE_EOF_CHECK)

/**
 * What a body says whose text provider_json() has made fit: by jansson with
 * those flags, or the same in one pass where it is plain (json_plain.h).
 *
 * @param parsed  How many bytes of it were read; 0 with null. Null: nobody
 * asks.
 * @return        An object or array, the caller's, for json_decref(); null: it
 *                is neither, or no memory.
 */
json_t *provider_json_read(struct str body, size_t *parsed);

#endif
