#ifndef CORE_URL_CLEAN_H
#define CORE_URL_CLEAN_H

#include "base/buf.h"

/**
 * Appends a URL, or a reference as `Location` brings it, as a browser would
 * send it (WHATWG URL, "percent-encode sets"): what surrounds it and line
 * breaks go, and in path, query and fragment spaces, control characters, all
 * that isn't ASCII and the characters that these parts forbid become %XX. What
 * is encoded already stays as it is, or signatures would break; so do scheme
 * and host, whose faults are for the parser to judge.
 */
void url_clean(struct str url, struct buf *out);

#endif
