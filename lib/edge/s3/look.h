#ifndef EDGE_S3_LOOK_H
#define EDGE_S3_LOOK_H

#include "edge/s3/call.h"

/** As bucket_check(): reads what is there. */
void s3_check(struct bucket *base, struct str key, bucket_fn *on_result,
              void *context);

#endif
