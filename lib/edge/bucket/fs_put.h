#ifndef EDGE_BUCKET_FS_PUT_H
#define EDGE_BUCKET_FS_PUT_H

#include "edge/bucket/fs.h"

/** A video on its way into the folder. */

struct put *fs_put(struct bucket *base, struct str key, int64_t bytes,
                   loop_fn *on_ready, bucket_fn *on_end, void *context,
                   struct err *err);
bool fs_write(struct put *base, const char *bytes, size_t len);
void fs_finish(struct put *base, const char *sha256);
void fs_cancel(struct put *base);

#endif
