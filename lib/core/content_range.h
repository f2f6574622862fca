#ifndef CORE_CONTENT_RANGE_H
#define CORE_CONTENT_RANGE_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/**
 * Whether a 206 brings all there is: "bytes 0-N/N+1" (RFC 9110 14.4). Where the
 * whole's length is not told (`*`), it may be a part.
 *
 * @param bytes  Set to the whole's length, if it returns true.
 */
bool content_range_is_whole(struct str value, int64_t *bytes);

#endif
