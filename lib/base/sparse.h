#ifndef BASE_SPARSE_H
#define BASE_SPARSE_H

#include <stddef.h>

/**
 * Structs most of whose bytes are zero, kept small: what isn't zero, behind a
 * map of where it stands. Knows no fields: a struct may change at will.
 */

/** The most that `bytes` of a struct take: every eighth byte says what follows.
 */
#define SPARSE_MOST(bytes) ((bytes) + (bytes) / 8 + (bytes) / 64 + 1)

/** Writes `bytes` (a multiple of 8) at `from` to `to`, which has room for
 * SPARSE_MOST(bytes); how many that took. */
size_t sparse_pack(const void *from, size_t bytes, unsigned char *to);

/** The `bytes` that were packed at `from`, as they were. */
void sparse_unpack(const unsigned char *from, void *to, size_t bytes);

#endif
