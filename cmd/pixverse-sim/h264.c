#include "h264.h"

#include "draw.h"

enum { STRIPES = 8, FRAME_NUM_BITS = 8 };

/** Bits of a NAL unit, before emulation prevention. */
struct bits {
    struct buf raw;
    unsigned int byte; /* the one being filled */
    unsigned int have; /* its bits so far */
};

static void put(struct bits *bits, unsigned int value, unsigned int count)
{
    while (count-- > 0) {
        bits->byte = (bits->byte << 1) | ((value >> count) & 1);
        if (++bits->have == 8) {
            buf_add_char(&bits->raw, (char)bits->byte);
            bits->byte = 0;
            bits->have = 0;
        }
    }
}

/** Exp-Golomb, ue(v) of the standard. */
static void put_ue(struct bits *bits, unsigned int value)
{
    unsigned int length = 0;
    while ((value + 1) >> (length + 1)) {
        length++;
    }
    put(bits, 0, length);
    put(bits, value + 1, length + 1);
}

static void align(struct bits *bits)
{
    while (bits->have > 0) {
        put(bits, 0, 1);
    }
}

static void bits_init(struct bits *bits)
{
    *bits = (struct bits){0};
    buf_init(&bits->raw, 0);
}

/** Trailing bits, emulation prevention (7.4.1), out. */
static void finish(struct bits *bits, unsigned int header, struct buf *out)
{
    put(bits, 1, 1);
    align(bits);
    buf_add_char(out, (char)header);
    unsigned int zeros = 0;
    for (size_t i = 0; i < bits->raw.len; i++) {
        const unsigned char byte = (unsigned char)bits->raw.bytes[i];
        if (zeros == 2 && byte <= 3) {
            buf_add_char(out, 3);
            zeros = 0;
        }
        buf_add_char(out, (char)byte);
        zeros = byte == 0 ? zeros + 1 : 0;
    }
    buf_done(&bits->raw);
}

static unsigned int in_blocks(uint32_t pixels)
{
    return (pixels + 15) / 16;
}

/** The smallest level (Table A-1) that holds a picture of so many blocks. */
static unsigned int level(struct h264_picture picture)
{
    const unsigned int blocks =
        in_blocks(picture.width) * in_blocks(picture.height);
    return blocks <= 1620 ? 30 : blocks <= 3600 ? 31 : blocks <= 8192 ? 40 : 51;
}

void h264_sps(struct buf *out, struct h264_picture picture)
{
    const unsigned int right = in_blocks(picture.width) * 16 - picture.width;
    const unsigned int low = in_blocks(picture.height) * 16 - picture.height;
    struct bits bits;
    bits_init(&bits);
    put(&bits, 66, 8);   /* baseline */
    put(&bits, 0xc0, 8); /* and constrained */
    put(&bits, level(picture), 8);
    put_ue(&bits, 0); /* its id */
    put_ue(&bits, FRAME_NUM_BITS - 4);
    put_ue(&bits, 2); /* output order is decoding order */
    put_ue(&bits, 1); /* one reference picture */
    put(&bits, 0, 1); /* no gaps */
    put_ue(&bits, in_blocks(picture.width) - 1);
    put_ue(&bits, in_blocks(picture.height) - 1);
    put(&bits, 1, 1); /* frames only */
    put(&bits, 1, 1); /* direct 8x8 inference */
    put(&bits, right || low, 1);
    if (right || low) {
        put_ue(&bits, 0);
        put_ue(&bits, right / 2);
        put_ue(&bits, 0);
        put_ue(&bits, low / 2);
    }
    put(&bits, 0, 1); /* no VUI */
    finish(&bits, 0x67, out);
}

void h264_pps(struct buf *out)
{
    struct bits bits;
    bits_init(&bits);
    put_ue(&bits, 0); /* its id */
    put_ue(&bits, 0); /* the sequence's */
    put(&bits, 0, 2); /* CAVLC; no field order */
    put_ue(&bits, 0); /* one slice group */
    put_ue(&bits, 0); /* one reference in list 0 */
    put_ue(&bits, 0); /* and list 1 */
    put(&bits, 0, 3); /* no weighted prediction */
    put_ue(&bits, 0); /* QP 26 */
    put_ue(&bits, 0); /* QS 26 */
    put_ue(&bits, 0); /* chroma offset */
    put(&bits, 1, 1); /* slices say how they deblock */
    put(&bits, 0, 2);
    finish(&bits, 0x68, out);
}

/** A macroblock of raw samples in one colour. */
static void put_pcm(struct bits *bits, uint64_t colour)
{
    put_ue(bits, 25);
    align(bits);
    const unsigned int y = 40 + (unsigned int)(colour & 0xff) * 2 / 3;
    const unsigned int cb = 48 + (unsigned int)((colour >> 8) & 0xff) * 5 / 8;
    const unsigned int cr = 48 + (unsigned int)((colour >> 16) & 0xff) * 5 / 8;
    for (unsigned int i = 0; i < 256; i++) {
        put(bits, y, 8);
    }
    for (unsigned int i = 0; i < 128; i++) {
        put(bits, i < 64 ? cb : cr, 8);
    }
}

/**
 * A macroblock predicted from its left or upper neighbour, no residual.
 * The empty coefficient block is written by the table (9.2.1) that the
 * neighbours choose: one next to raw samples counts 16 coefficients there.
 */
static void put_predicted(struct bits *bits, bool from_left, bool next_to_pcm)
{
    put_ue(bits, from_left ? 2 : 1); /* I_16x16, nothing coded */
    put_ue(bits, from_left ? 1 : 2); /* chroma the same way */
    put_ue(bits, 0);                 /* QP unchanged */
    if (next_to_pcm) {
        put(bits, 3, 6);
    } else {
        put(bits, 1, 1);
    }
}

void h264_stripes(struct buf *out, struct h264_picture picture, uint64_t seed,
                  unsigned int parity)
{
    const unsigned int columns = in_blocks(picture.width);
    const unsigned int rows = in_blocks(picture.height);
    struct bits bits;
    bits_init(&bits);
    put_ue(&bits, 0); /* from the first macroblock */
    put_ue(&bits, 7); /* I, as all slices of the picture */
    put_ue(&bits, 0);
    put(&bits, 0, FRAME_NUM_BITS);
    put_ue(&bits, parity & 1); /* neighbouring IDR pictures differ */
    put(&bits, 0, 2);          /* reference marking */
    put_ue(&bits, 0);          /* QP */
    put_ue(&bits, 1);          /* no deblocking */
    bool pcm_above = false;
    for (unsigned int row = 0; row < rows; row++) {
        const unsigned int stripe = row * STRIPES / rows;
        const bool pcm = row == 0 || stripe != (row - 1) * STRIPES / rows;
        if (pcm) {
            put_pcm(&bits, draw(seed, stripe));
        } else {
            put_predicted(&bits, false, pcm_above);
        }
        for (unsigned int column = 1; column < columns; column++) {
            put_predicted(&bits, true, pcm && column == 1);
        }
        pcm_above = pcm;
    }
    finish(&bits, 0x65, out);
}

void h264_repeat(struct buf *out, struct h264_picture picture, unsigned int n)
{
    struct bits bits;
    bits_init(&bits);
    put_ue(&bits, 0);
    put_ue(&bits, 5); /* P */
    put_ue(&bits, 0);
    put(&bits, n, FRAME_NUM_BITS);
    put(&bits, 0, 1); /* the usual number of references */
    put(&bits, 0, 1); /* in the usual order */
    put(&bits, 0, 1); /* sliding window */
    put_ue(&bits, 0); /* QP */
    put_ue(&bits, 1); /* no deblocking */
    put_ue(&bits, in_blocks(picture.width) * in_blocks(picture.height));
    finish(&bits, 0x41, out);
}
