#include "base/sparse.h"

#include <assert.h>
#include <endian.h>
#include <stdint.h>
#include <string.h>

#define WORD sizeof(uint64_t)
#define SKIPS 3u /* so many alike words and more: a byte says how many */

/*
 * The number of words that differ; then of each of these
 *
 *   a byte: its first byte that differs (3 bits), how many from there to the
 *   last one, less one (3 bits), how many words before it are alike (2 bits)
 *   a byte: that number, where it doesn't fit
 *   the difference of those bytes
 */

static uint64_t word_at(const unsigned char *at)
{
    uint64_t word;
    memcpy(&word, at, WORD);
    return le64toh(word);
}

static void put_word(unsigned char *at, uint64_t word)
{
    word = htole64(word);
    memcpy(at, &word, WORD);
}

size_t sparse_pack(const void *from, const void *like, size_t bytes,
                   unsigned char *to)
{
    assert(from && like && to);
    assert(bytes % WORD == 0 && bytes <= SPARSE_BYTES_MAX);
    const unsigned char *at = from;
    const unsigned char *base = like;
    unsigned char *out = to + 1;
    unsigned words = 0;
    unsigned skips = 0;
    for (size_t i = 0; i < bytes; i += WORD) {
        if (i + 4 * WORD <= bytes && memcmp(at + i, base + i, 4 * WORD) == 0) {
            skips += 4;
            i += 3 * WORD;
            continue;
        }
        const uint64_t diff = word_at(at + i) ^ word_at(base + i);
        if (!diff) {
            skips++;
            continue;
        }
        const unsigned first = (unsigned)__builtin_ctzll(diff) / 8;
        const unsigned last = 7 - (unsigned)__builtin_clzll(diff) / 8;
        const unsigned skip = skips < SKIPS ? skips : SKIPS;
        *out++ = (unsigned char)(first | (last - first) << 3 | skip << 6);
        if (skip == SKIPS) {
            *out++ = (unsigned char)skips;
        }
        put_word(out, diff >> 8 * first); /* what is too much is zero */
        out += last - first + 1;
        words++;
        skips = 0;
    }
    *to = (unsigned char)words;
    assert((size_t)(out - to) <= SPARSE_MOST(bytes));
    return (size_t)(out - to);
}

void sparse_unpack(const unsigned char *from, const void *like, void *to,
                   size_t bytes)
{
    assert(from && like && to && bytes % WORD == 0);
    unsigned char *at = to;
    memcpy(to, like, bytes);
    for (unsigned words = *from++; words > 0; words--) {
        const unsigned what = *from++;
        const unsigned first = what & 7;
        const unsigned len = (what >> 3 & 7) + 1;
        const unsigned skip = what >> 6;
        at += WORD * (skip == SKIPS ? *from++ : skip);
        uint64_t diff = 0;
        for (unsigned i = 0; i < len; i++) {
            diff |= (uint64_t)from[i] << 8 * i;
        }
        put_word(at, word_at(at) ^ diff << 8 * first);
        from += len;
        at += WORD;
    }
    assert(at <= (unsigned char *)to + bytes);
}
