#ifndef EDGE_S3_LINK_H
#define EDGE_S3_LINK_H

#include "edge/s3/call.h"

/** As bucket_link(): a presigned GET. */
bool s3_link(struct bucket *base, struct str key, int expires_s,
             struct buf *url, struct err *err);

/** As bucket_site(). */
const char *s3_site(const struct bucket *base);

#endif
