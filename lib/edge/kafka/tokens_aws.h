#ifndef EDGE_KAFKA_TOKENS_AWS_H
#define EDGE_KAFKA_TOKENS_AWS_H

#include "base/buf.h"
#include "base/err.h"

/**
 * A token for Amazon MSK, signed with the keys that AWS's tools would take on
 * this machine. Waits for whoever hands them out: for librdkafka's threads and
 * commands, never for a loop.
 *
 * @param region   Of the cluster; "": the environment's or the profile's.
 * @param now_ms   Unix time.
 * @param token    Gets it appended.
 * @param life_ms  Until when it is good, from now_ms.
 * @return         false, with *err set: ERR_TRANSIENT no keys, no region.
 */
MUST_CHECK bool kafka_tokens_aws(const char *region, int64_t now_ms,
                                 struct buf *token, int64_t *life_ms,
                                 struct err *err);

#endif
