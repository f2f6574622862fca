#ifndef CORE_STATUS_SCAN_H
#define CORE_STATUS_SCAN_H

#include "base/str.h"

#include <stdbool.h>

/**
 * The answer to nearly every poll, "it still runs", read without building a
 * tree of it: a twentieth of what jansson takes. It knows plain JSON only, and
 * says no to whatever is odd; then the body goes the long way, which finds the
 * same where this one says yes (tests/fuzz/fuzz_poll_reply.c holds them
 * together).
 */

/** What stands in `data`. Slices of the body. */
struct status_scan {
    struct str id; /* absent: none */
    struct str task_id;
    struct str status; /* absent: none */
    int progress;      /* 0..100; -1: none */
};

/**
 * @return  false: not plain JSON with an object `data` whose fields above, each
 *          there at most once, are texts without escapes and a whole number;
 *          *scan is undefined then.
 */
bool status_scan(struct str body, struct status_scan *scan);

#endif
