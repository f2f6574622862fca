#ifndef SIM_VIDEO_H
#define SIM_VIDEO_H

#include "world.h"

/** Find the sale and file that a path under /f/video/ names. */
void video_find(struct site *site);

/** Answer GET or HEAD of a video; Range and If-Range are understood. */
void video_serve(struct site *site);

/** What is known of a sale's files; made if nothing was. */
struct sale_file *video_files(struct sale *sale);

/** Make sure that bytes and SHA-256 of a file are known. */
void video_measure(const struct world *world, struct sale *sale,
                   uint32_t index);

#endif
