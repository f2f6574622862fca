#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    size_t used;
    max_align_t bytes[];
};

void arena_init(struct arena *arena, size_t chunk_bytes, size_t bytes_max)
{
    *arena = (struct arena){.chunk_bytes = chunk_bytes, .bytes_max = bytes_max};
}

static struct arena_chunk *chunk_new(struct arena *arena, size_t bytes)
{
    size_t size = bytes > arena->chunk_bytes ? bytes : arena->chunk_bytes;
    struct arena_chunk *chunk = malloc(sizeof *chunk + size);
    if (!chunk) {
        return NULL;
    }
    *chunk = (struct arena_chunk){.next = arena->chunks, .size = size};
    arena->chunks = chunk;
    return chunk;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    const size_t align = sizeof(max_align_t);
    assert(!arena->bytes_max || arena->used_bytes <= arena->bytes_max);
    if (arena->failed || bytes > SIZE_MAX / 2) {
        arena->failed = true;
        return NULL;
    }
    size_t need = (bytes + align - 1) / align * align;
    if (arena->bytes_max && need > arena->bytes_max - arena->used_bytes) {
        arena->failed = true;
        return NULL;
    }
    struct arena_chunk *chunk = arena->chunks;
    if (!chunk || chunk->size - chunk->used < need) {
        chunk = chunk_new(arena, need);
        if (!chunk) {
            arena->failed = true;
            return NULL;
        }
    }
    assert(chunk->used + need <= chunk->size);
    void *at = (char *)chunk->bytes + chunk->used;
    chunk->used += need;
    arena->used_bytes += need;
    return memset(at, 0, need);
}

char *arena_copy(struct arena *arena, const char *bytes, size_t len)
{
    assert(bytes || len == 0);
    char *copy = arena_alloc(arena, len + 1);
    if (copy && len) {
        memcpy(copy, bytes, len);
    }
    return copy;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = len < 0 ? NULL : arena_alloc(arena, (size_t)len + 1);
    if (!text) {
        return NULL;
    }
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}

void arena_reset(struct arena *arena)
{
    struct arena_chunk *keep = arena->chunks;
    if (keep) {
        for (struct arena_chunk *c = keep->next; c;) {
            struct arena_chunk *next = c->next;
            free(c);
            c = next;
        }
        keep->next = NULL;
        keep->used = 0;
        if (keep->size > arena->chunk_bytes) {
            free(keep);
            arena->chunks = NULL;
        }
    }
    arena->used_bytes = 0;
    arena->failed = false;
}

void arena_done(struct arena *arena)
{
    for (struct arena_chunk *c = arena->chunks; c;) {
        struct arena_chunk *next = c->next;
        free(c);
        c = next;
    }
    *arena = (struct arena){0};
}
