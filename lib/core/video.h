#ifndef CORE_VIDEO_H
#define CORE_VIDEO_H

#include "core/media.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Is this stream a whole MP4 (or the QuickTime that it comes from)? Fed piece
 * by piece, it follows the top-level boxes (ISO/IEC 14496-12), and reads in
 * `moov` and `moof` where the media lies: all of it has to be there. libcurl
 * reports a body without Content-Length that ends early as success; this is
 * what finds it.
 *
 * What the same boxes say of picture, length and sound is kept besides
 * (core/media.h); no word of it makes a film whole or faulty.
 *
 * What stands behind a whole film (a tag, a newline, zeros) does no harm.
 */
struct video_check {
    uint64_t at;     /* bytes seen */
    uint64_t box_at; /* where the current box begins */
    /* bytes of the current box still to come; UINT64_MAX: to the end */
    uint64_t box_left;
    unsigned char head[16];
    size_t head_len;
    bool moov, mdat, boxes; /* begun */
    bool moov_whole;
    bool mdat_whole; /* one of them */
    bool tail;       /* what comes is no box: the rest counts for nothing */
    bool cut_box;    /* the current box is one without which no film plays */
    unsigned char *kept; /* the current moov, moof, mfra or sidx; owned */
    size_t kept_len;
    size_t kept_size;
    bool keeping;
    uint64_t media_end; /* the furthest byte that a table points to */
    uint64_t index_end; /* the same of an index before the fragments */
    bool tables;        /* moov's tables say where all media ends */
    bool fragmented;
    bool closed;       /* the index behind the last fragment is whole */
    const char *fault; /* a constant phrase; null: none so far */
    struct media_scan media;
};

/** What comes out of it. */
struct video_verdict {
    const char *fault; /* null: none is seen; else what is wrong, a constant */
    /* without a fault: cut anywhere, it would have had one (but for what
     * nobody needs to play it) */
    bool proven;
    struct media media; /* without a fault: what its boxes say of it */
};

void video_check_init(struct video_check *check);
void video_check_add(struct video_check *check, const void *bytes, size_t len);

/**
 * After the last byte.
 *
 * @param complete  Whoever sent it has said where it ends, and it ends there.
 */
struct video_verdict video_check_end(const struct video_check *check,
                                     bool complete);

/** Frees what it holds; it may be begun again. */
void video_check_done(struct video_check *check);

#endif
