#ifndef EDGE_WEB_PLAIN_H
#define EDGE_WEB_PLAIN_H

#include "base/buf.h"
#include "core/exchange.h"

#define PLAIN_BYTES_MAX (1 << 20) /* of a short reply, unpacked, too */

/**
 * A short reply's body as it was meant: its codings undone. What can't be read
 * spoils a 2xx, whose body is the answer; any other status speaks for itself,
 * and `why` says what is missing.
 *
 * @param coding  Content-Encoding; absent or empty: none.
 * @param plain   With the limit above; holds a body that was coded as long as
 *                *reply is in use.
 * @param reply   With its end, status, and body as it came.
 */
void plain_body(struct str coding, struct buf *plain, struct reply *reply);

#endif
