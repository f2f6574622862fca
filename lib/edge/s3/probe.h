#ifndef EDGE_S3_PROBE_H
#define EDGE_S3_PROBE_H

#include "edge/s3/put.h"

/** What a store takes, found out by doing it (probe.c). */

/** What a store may take at most: as STORAGE_URL says. */
struct s3_takes s3_takes_at_best(const struct s3 *s3);

/** Has the store probed; s3_put_learnt() follows. */
void s3_learn(struct s3_put *put);

void s3_probe(struct bucket *base, bucket_fn *on_result, void *context);
void s3_probe_end(struct s3 *s3); /* the one under way; nobody is told */

#endif
