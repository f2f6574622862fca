#ifndef CORE_VIDEO_TABLES_H
#define CORE_VIDEO_TABLES_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/**
 * Where a film's media lies, by its own tables (ISO/IEC 14496-12, 8.7 and 8.8).
 * For video.c only. A table that can't be read points to nothing.
 */
struct video_tables {
    uint64_t media_end; /* the furthest byte that they point to; 0: to none */
    bool blind;         /* of some track's media nothing says where it ends */
    bool fragmented;    /* more media comes in fragments */
    bool whole;         /* the boxes inside tile the box */
};

/** @param body  Of a moov box, behind its head. */
struct video_tables video_read_moov(struct str body);

/** @param at  Where the moof box begins in the file. */
struct video_tables video_read_moof(struct str body, uint64_t at);

/** The end of what a sidx box names; @param end where that box ends. 0: it
 * can't be read. */
uint64_t video_read_sidx(struct str body, uint64_t end);

/** Whether a mfra box is complete: its last box tells its length. */
bool video_read_mfra(struct str body, uint64_t box_bytes);

#endif
