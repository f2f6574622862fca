#ifndef BASE_SPARSE_H
#define BASE_SPARSE_H

#include <stddef.h>

/**
 * Structs that resemble another one, kept small: the bytes in which they differ
 * from it, behind a map of where these stand. Knows no fields: a struct may
 * change at will.
 */

#define SPARSE_BYTES_MAX ((size_t)8 * 255)

/** The most that `bytes` of a struct take while they are written: a byte before
 * each eight, the number of these, and what a wide store writes beyond. */
#define SPARSE_MOST(bytes) ((bytes) + (bytes) / 8 + 1 + 8)

/** Writes how `bytes` (a multiple of 8) at `from` differ from those at `like`
 * to `to`, which has room for SPARSE_MOST(bytes); how many that took. */
size_t sparse_pack(const void *from, const void *like, size_t bytes,
                   unsigned char *to);

/** The `bytes` that were packed at `from`, as they were. */
void sparse_unpack(const unsigned char *from, const void *like, void *to,
                   size_t bytes);

#endif
