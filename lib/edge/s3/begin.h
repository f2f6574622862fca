#ifndef EDGE_S3_BEGIN_H
#define EDGE_S3_BEGIN_H

#include "edge/s3/put.h"

/** Puts begin here: which way an object goes up. */

/**
 * A put as a probe wants it: at any pace.
 *
 * @param key  With the prefix.
 * @param how  Lives until the end; null: as the store takes it.
 */
struct put *s3_put_as(struct s3 *s3, struct str key, int64_t bytes,
                      struct s3_how *how, loop_fn *on_ready, bucket_fn *on_end,
                      void *context, struct err *err);

/** Of struct bucket_kind. */
struct put *s3_put(struct bucket *base, struct str key, int64_t bytes,
                   loop_fn *on_ready, bucket_fn *on_end, void *context,
                   struct err *err);

#endif
