#ifndef CORE_VIDEO_H
#define CORE_VIDEO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Is this stream a whole MP4? Fed piece by piece, it follows the top-level
 * boxes: they must tile the file exactly, `ftyp` first (ISO/IEC 14496-12), and
 * `moov` and `mdat` be there. libcurl reports a body without Content-Length
 * that ends early as success; this is what finds it.
 */
struct video_check {
    uint64_t at;       /* bytes seen */
    uint64_t box_left; /* bytes of the current box still to come; UINT64_MAX: to the end */
    unsigned char head[16];
    size_t head_len;
    bool ftyp, moov, mdat, boxes;
    const char *fault; /* a constant phrase; null: none so far */
};

void video_check_init(struct video_check *check);
void video_check_add(struct video_check *check, const void *bytes, size_t len);

/** After the last byte: null if it is whole, else what is wrong, a constant. */
const char *video_check_end(const struct video_check *check);

#endif
