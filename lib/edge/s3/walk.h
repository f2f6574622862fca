#ifndef EDGE_S3_WALK_H
#define EDGE_S3_WALK_H

#include "edge/s3/call.h"

/** As bucket_look(). */
void s3_look(struct bucket *base, struct str key, bucket_fn *on_result,
             void *context);

/** As bucket_walk(). */
void s3_walk(struct bucket *base, bucket_objects_fn *on_objects,
             bucket_fn *on_end, void *context);

#endif
