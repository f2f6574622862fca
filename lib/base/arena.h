#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena_chunk;

/**
 * Memory for the life of one running effect or one batch: taken piece by
 * piece, given back all at once. Running out is sticky: arena_alloc() then
 * returns null for good and `failed` stays set, so that a sequence of steps
 * may look once, at its end.
 */
struct arena {
    struct arena_chunk *chunks; /* newest first */
    size_t chunk_bytes;         /* size of an ordinary chunk */
    size_t used_bytes;          /* handed out since the last reset */
    size_t bytes_max;           /* 0: no limit */
    bool failed;                /* malloc or the limit said no */
};

/** Allocates nothing yet. bytes_max 0 means no limit. */
void arena_init(struct arena *arena, size_t chunk_bytes, size_t bytes_max);

/** Zeroed memory, aligned for any type; null once the arena has failed. */
void *arena_alloc(struct arena *arena, size_t bytes);

/** A copy with a NUL behind it; null once the arena has failed. */
char *arena_copy(struct arena *arena, const char *bytes, size_t len);

/** Text as by printf; null once the arena has failed. */
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Everything handed out ends; one chunk is kept for the next use. */
void arena_reset(struct arena *arena);

/** Gives all memory back; a zeroed struct is accepted. */
void arena_done(struct arena *arena);

#endif
