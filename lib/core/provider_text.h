#ifndef CORE_PROVIDER_TEXT_H
#define CORE_PROVIDER_TEXT_H

#include "base/arena.h"
#include "base/str.h"

#include <stddef.h>

/** What the provider writes, made fit to be read: by a parser, by a person. */

#define PROVIDER_TEXT_POINTS_MAX 2000
#define PROVIDER_CODE_POINTS_MAX 100

/**
 * A body that a JSON reader will take: without a byte order mark, with U+FFFD
 * for what is not UTF-8, and null for NaN and Infinity. A paid id must not be
 * lost for one bad byte.
 */
struct str provider_json(struct str body, struct arena *arena);

/**
 * Readable text of at most `points` code points: control characters become
 * spaces; the queries of URLs and what looks like an API key become "...".
 */
struct str provider_text(struct str text, size_t points, struct arena *arena);

#endif
