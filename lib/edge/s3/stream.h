#ifndef EDGE_S3_STREAM_H
#define EDGE_S3_STREAM_H

#include "edge/s3/put.h"

/** One PUT that streams a known length, the last chunk held back until
 * put_finish(). */
extern const struct s3_way s3_stream;

#endif
