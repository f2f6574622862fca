#ifndef EDGE_S3_PARTS_H
#define EDGE_S3_PARTS_H

#include "edge/s3/put.h"

/** Of an unknown length, or over 5 GiB: in parts, invisible until they are
 * completed. What fits one buffer goes as a plain PUT. */
extern const struct s3_way s3_parts;

#endif
