#ifndef EDGE_BUCKET_FS_EXPECT_H
#define EDGE_BUCKET_FS_EXPECT_H

#include "edge/bucket/fs.h"

/** Folders that are made, and stay there, before the video has come. */

void fs_expect(struct bucket *base, struct str key);

/** Whether the folder of that key was made for it, or may be at this moment;
 * whose put asks has it to look after from then on. */
bool fs_expect_take(struct fs *fs, const char *key);

#endif
