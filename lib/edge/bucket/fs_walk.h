#ifndef EDGE_BUCKET_FS_WALK_H
#define EDGE_BUCKET_FS_WALK_H

#include "edge/bucket/fs.h"

/** As bucket_look(). */
void fs_look(struct bucket *base, struct str key, bucket_fn *on_result,
             void *context);

/** As bucket_walk(). */
void fs_walk(struct bucket *base, bucket_objects_fn *on_objects,
             bucket_fn *on_end, void *context);

#endif
