#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>

/**
 * Pieces of one size that come and go often, in memory of their own: among what
 * stays for long they would leave holes. What was taken once is kept for the
 * next until pool_done().
 */
struct pool {
    size_t bytes; /* of a piece, a multiple of 8 */
    void *free;   /* linked by their first bytes */
    void *pages;  /* the same */
};

void pool_init(struct pool *pool, size_t bytes);
/** Gives all memory back: no piece is in use any more. */
void pool_done(struct pool *pool);

/** A zeroed piece; null: no memory. */
void *pool_get(struct pool *pool);
void pool_put(struct pool *pool, void *piece);

#endif
