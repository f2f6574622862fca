#include "base/pool.h"

#include <assert.h>
#include <sanitizer/asan_interface.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES 16384 /* about */

static void *link_of(const void *piece)
{
    void *next;
    memcpy(&next, piece, sizeof next);
    return next;
}

static void push(void **head, void *piece)
{
    memcpy(piece, head, sizeof *head);
    *head = piece;
}

static void *pop(void **head, size_t bytes)
{
    void *piece = *head;
    ASAN_UNPOISON_MEMORY_REGION(piece, bytes);
    *head = link_of(piece);
    return piece;
}

/** Whoever still looks at it is found out, as with free(). */
static void keep(struct pool *pool, void *piece)
{
    push(&pool->free, piece);
    ASAN_POISON_MEMORY_REGION(piece, pool->bytes);
}

void pool_init(struct pool *pool, size_t bytes)
{
    assert(bytes >= sizeof(void *) && bytes % sizeof(uint64_t) == 0);
    *pool = (struct pool){.bytes = bytes};
}

void pool_done(struct pool *pool)
{
    while (pool->pages) {
        free(pop(&pool->pages, sizeof(void *)));
    }
    pool->free = NULL;
}

/** A page begins with its link. */
static void grow(struct pool *pool)
{
    const size_t pieces = 1 + PAGE_BYTES / pool->bytes;
    unsigned char *page = malloc(sizeof(uint64_t) + pieces * pool->bytes);
    if (!page) {
        return;
    }
    push(&pool->pages, page);
    for (size_t i = pieces; i > 0; i--) {
        keep(pool, page + sizeof(uint64_t) + (i - 1) * pool->bytes);
    }
}

void *pool_get(struct pool *pool)
{
    assert(pool->bytes > 0);
    if (!pool->free) {
        grow(pool);
    }
    return pool->free ? memset(pop(&pool->free, pool->bytes), 0, pool->bytes)
                      : NULL;
}

void pool_put(struct pool *pool, void *piece)
{
    assert(pool->bytes > 0 && piece);
    keep(pool, piece);
}
