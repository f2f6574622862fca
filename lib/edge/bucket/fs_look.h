#ifndef EDGE_BUCKET_FS_LOOK_H
#define EDGE_BUCKET_FS_LOOK_H

#include "edge/bucket/fs.h"

/** What is there, and whether more may be. */

/** Whether the store has room for more; else that it hasn't is in `why`. */
bool fs_has_room(const struct fs *fs, int folder_fd, char why[static 256]);

void fs_check(struct bucket *base, struct str key, bucket_fn *on_result,
              void *context);
void fs_probe(struct bucket *base, bucket_fn *on_result, void *context);

#endif
