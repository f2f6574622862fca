#ifndef EDGE_BUCKET_FS_SWEEP_H
#define EDGE_BUCKET_FS_SWEEP_H

#include "edge/bucket/fs.h"

/** Removes what writers that died have left unfinished. */
void fs_sweep(struct bucket *base, const char *key_template,
              int64_t older_than_ms);

#endif
