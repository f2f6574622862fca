#ifndef SIM_FAULT_BODY_H
#define SIM_FAULT_BODY_H

#include "base/buf.h"

/** Bodies that hurt. */

/** A valid answer with a string of `bytes` characters in it. */
void fault_body_huge_json(struct buf *out, uint64_t bytes);
/** Lists nested `depth` deep. */
void fault_body_deep_json(struct buf *out, uint64_t depth);
/** `bytes` as gzip (RFC 1952), stored and not compressed. */
void fault_body_gzip(struct buf *out, const char *bytes, size_t len);
/** Gzip that unpacks to about `bytes` zeros: 158 times what is sent. */
void fault_body_gzip_bomb(struct buf *out, uint64_t bytes);

#endif
