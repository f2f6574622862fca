#ifndef SIM_H264_H
#define SIM_H264_H

#include "base/buf.h"

/**
 * H.264 (ITU-T H.264, Constrained Baseline) pictures of coloured stripes,
 * written without an encoder: the first macroblock of a stripe carries its
 * colour as raw samples (I_PCM), all others predict it without a residual.
 * A picture that repeats the one before is a P slice of skipped macroblocks.
 */
struct h264_picture {
    uint32_t width, height; /* in pixels, even */
};

/** Sequence parameter set, without start code or length. */
void h264_sps(struct buf *out, struct h264_picture picture);
/** Picture parameter set. */
void h264_pps(struct buf *out);
/** A picture of stripes in colours drawn from `seed`; `parity` alternates. */
void h264_stripes(struct buf *out, struct h264_picture picture, uint64_t seed,
                  unsigned int parity);
/** The n-th picture after h264_stripes(), the same as it; n from 1 to 255. */
void h264_repeat(struct buf *out, struct h264_picture picture, unsigned int n);

#endif
