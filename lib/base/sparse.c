#include "base/sparse.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#define WORD sizeof(uint64_t)

/* Eight words at a time: a bit for each that isn't zero, then of each of those
 * a bit for each byte that isn't, and those bytes. */

size_t sparse_pack(const void *from, size_t bytes, unsigned char *to)
{
    assert(from && to && bytes % WORD == 0);
    const unsigned char *at = from;
    const unsigned char *end = at + bytes;
    unsigned char *out = to;
    while (at < end) {
        unsigned char *words = out++;
        *words = 0;
        for (unsigned w = 0; w < 8 && at < end; w++, at += WORD) {
            uint64_t word;
            memcpy(&word, at, WORD);
            if (!word) {
                continue;
            }
            *words |= (unsigned char)(1u << w);
            unsigned char *map = out++;
            unsigned there = 0;
            for (unsigned b = 0; b < WORD; b++) {
                *out = at[b];
                there |= (unsigned)(at[b] != 0) << b;
                out += at[b] != 0;
            }
            *map = (unsigned char)there;
        }
    }
    assert((size_t)(out - to) <= SPARSE_MOST(bytes));
    return (size_t)(out - to);
}

void sparse_unpack(const unsigned char *from, void *to, size_t bytes)
{
    assert(from && to && bytes % WORD == 0);
    unsigned char *at = to;
    unsigned char *end = at + bytes;
    memset(to, 0, bytes);
    while (at < end) {
        const unsigned words = *from++;
        for (unsigned w = 0; w < 8 && at < end; w++, at += WORD) {
            if (!(words & 1u << w)) {
                continue;
            }
            const unsigned there = *from++;
            for (unsigned b = 0; b < WORD; b++) {
                if (there & 1u << b) {
                    at[b] = *from++;
                }
            }
        }
    }
}
