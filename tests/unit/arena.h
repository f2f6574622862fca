#ifndef UNIT_ARENA_H
#define UNIT_ARENA_H

#include "base/arena.h"
#include "lib/check.h"

/** An arena for all tests of a file: TESTS_RUN(arena_begin, arena_end). */

static struct arena arena;

static inline int arena_begin(void **state)
{
    (void)state;
    arena_init(&arena, 4096, 0);
    return 0;
}

static inline int arena_end(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

#endif
