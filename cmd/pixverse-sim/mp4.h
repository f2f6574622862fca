#ifndef SIM_MP4_H
#define SIM_MP4_H

#include "base/buf.h"

/** A video to make. */
struct mp4_spec {
    uint32_t width, height; /* pixels, even */
    uint32_t seconds;
    bool audio;        /* with a silent AAC track */
    uint64_t seed;     /* of the colours and of the padding */
    const char *label; /* written into a `free` box */
    uint64_t bytes;    /* the file is padded to this; less than needed: not */
};

/**
 * Make a playable file but for its padding: ftyp, free, moov, mdat.
 *
 * @return  Bytes of padding that complete the mdat; see mp4_padding().
 */
uint64_t mp4_make(struct buf *out, const struct mp4_spec *spec);

/** The padding's bytes [offset, offset + len). */
void mp4_padding(uint64_t seed, uint64_t offset, char *out, size_t len);

#endif
