#ifndef CORE_BASE64URL_H
#define CORE_BASE64URL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/** Base64 with - and _ in place of + and /, and no = at its end (RFC 4648,
 * section 5): how tokens are written. */

/** Appends. */
void base64url_add(struct buf *out, struct str bytes);

/**
 * Appends the bytes that a text stands for.
 *
 * @return  false: it holds another character, or has a length that no bytes
 *          give; something may have been appended.
 */
MUST_CHECK bool base64url_read(struct buf *out, struct str text);

#endif
