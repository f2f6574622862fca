#ifndef TESTS_EDGE_CODED_H
#define TESTS_EDGE_CODED_H

/** Bodies in content codings, for the tests of what undoes them. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define CODED_JSON                                                             \
    "{\"code\":200,\"data\":[{\"status\":\"submitted\",\"task_id\":\"task_A\"" \
    "}]}"

/** CODED_JSON by a browser's brotli. */
static const unsigned char coded_brotli[] = {
    0x1b, 0x3e, 0x00, 0x28, 0xac, 0x0a, 0xec, 0x36, 0xd6, 0xe7, 0x2b,
    0xc5, 0x60, 0xaa, 0x97, 0xa1, 0x64, 0x37, 0x5f, 0x8a, 0xcc, 0xed,
    0x75, 0x50, 0x58, 0x1a, 0x9d, 0xea, 0xea, 0x4b, 0x1d, 0x18, 0x96,
    0x14, 0x91, 0xd9, 0x4a, 0x91, 0xaf, 0x35, 0x70, 0xc8, 0x81, 0x1c,
    0x9c, 0x02, 0xc9, 0x5b, 0x14, 0xd5, 0x8a, 0x4a, 0xc6, 0x44, 0xd3,
    0xd2, 0x27, 0xca, 0x6b, 0x63, 0xee, 0x65, 0xbb, 0x40, 0x50,
};

struct coded {
    char *bytes; /* free() it */
    size_t len;
};

#define CODED_GZIP (15 + 16)
#define CODED_ZLIB 15
#define CODED_DEFLATE (-15) /* without a head */

static inline struct coded coded_zlib(const void *bytes, size_t len, int bits)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)bytes,
                       .avail_in = (uInt)len};
    if (deflateInit2(&stream, 6, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        abort();
    }
    struct coded out = {.len = deflateBound(&stream, (uLong)len) + 32};
    out.bytes = malloc(out.len);
    stream.next_out = (Bytef *)out.bytes;
    stream.avail_out = (uInt)out.len;
    if (!out.bytes || deflate(&stream, Z_FINISH) != Z_STREAM_END) {
        abort();
    }
    out.len = stream.total_out;
    deflateEnd(&stream);
    return out;
}

static inline struct coded coded_zstd(const void *bytes, size_t len)
{
    struct coded out = {.len = ZSTD_compressBound(len)};
    out.bytes = malloc(out.len);
    out.len = ZSTD_compress(out.bytes, out.len, bytes, len, 1);
    if (!out.bytes || ZSTD_isError(out.len)) {
        abort();
    }
    return out;
}

static inline struct coded coded_br(void)
{
    struct coded out = {malloc(sizeof coded_brotli), sizeof coded_brotli};
    if (!out.bytes) {
        abort();
    }
    memcpy(out.bytes, coded_brotli, out.len);
    return out;
}

#endif
