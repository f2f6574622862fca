#ifndef PIXVERSE_CTL_STORED_H
#define PIXVERSE_CTL_STORED_H

#include "base/proxy.h"
#include "base/settings.h"
#include "edge/bucket.h"

/** URIs of videos that are stored, and keys of their bucket. */

#define STORED_URI_BYTES 4096

/** Where STORAGE_URL says, to be looked at. `proxy` lives as long. */
struct bucket *stored_open(struct loop *loop, const struct settings *settings,
                           struct proxy *proxy, struct err *err);

/** What URIs of this bucket begin with. */
void stored_base(const struct bucket *bucket, char *out, size_t out_bytes);

/** The path that a file: URI or a STORAGE_URL names, %XX decoded, the caller's;
 * null: it names none, or holds a NUL, or no memory. */
char *stored_path(const char *uri);

/** The key of a URI with that base, the caller's; null: it is another
 * bucket's, or no memory. */
char *stored_key(const char *base, const char *uri);

#endif
