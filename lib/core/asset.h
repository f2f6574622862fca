#ifndef CORE_ASSET_H
#define CORE_ASSET_H

#include "base/arena.h"
#include "core/task.h"

/** One URL of a result: what to fetch. */
struct asset {
    struct str url;
    int64_t expires_ms; /* 0: not told */
};

/**
 * Read task_row.result.
 *
 * @return  How many; 0 where it is null, empty or unreadable.
 */
size_t assets_read(const char *result, struct arena *arena,
                   struct asset **assets);

/**
 * Expand KEY_TEMPLATE for one video: {tenant} {yyyy} {mm} {dd} {request_id}
 * {index}, the date that of `received` in UTC. The n-th submission that an
 * operator ordered expands {request_id} to "<id>/n".
 */
struct str asset_key(const char *key_template, const struct facts *facts,
                     int32_t submission, size_t index, struct arena *arena);

/**
 * Whether asset_key() can have made that key of this template: some request's,
 * on some day. Where a bucket is shared, nothing else is ours.
 */
bool asset_key_fits(const char *key_template, struct str key);

/** Whose it is: the request id that asset_key_fits() found in it, a
 * submission's number left out; absent: it doesn't fit. */
struct str asset_key_request(const char *key_template, struct str key);

#endif
