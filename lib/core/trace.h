#ifndef CORE_TRACE_H
#define CORE_TRACE_H

#include "base/str.h"

/**
 * The headers of W3C Trace Context (https://www.w3.org/TR/trace-context/), as
 * strangers send them. One that is malformed is dropped; nothing else comes of
 * it.
 */

#define TRACE_HEADER_MAX 512

/** "00-<32 hex>-<16 hex>-<2 hex>", lower case, neither id all zeros; a later
 * version may go on behind another "-". */
bool trace_parent_fits(struct str value);

/** Up to 32 members "key=value", separated by commas, at least one. */
bool trace_state_fits(struct str value);

#endif
