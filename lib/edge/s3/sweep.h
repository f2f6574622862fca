#ifndef EDGE_S3_SWEEP_H
#define EDGE_S3_SWEEP_H

#include "edge/s3/call.h"

/** Uploads in parts that nobody completes, and single keys, are removed. */

void s3_sweep(struct bucket *base, const char *key_template,
              int64_t older_than_ms);
bool s3_forget(struct bucket *base, struct str key, bucket_fn *on_result,
               void *context);

/** Abort uploads of this very key that somebody left. */
void s3_sweep_key(struct s3 *s3, struct str key);

void s3_sweeps_end(struct s3 *s3); /* those that nobody awaits */

#endif
