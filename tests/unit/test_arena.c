#include <string.h>

#include "lib/check.h"
#include "base/arena.h"

TEST_CASE(arena_alloc__many_sizes__are_zeroed_aligned_and_apart)
{
    struct arena arena;
    arena_init(&arena, 256, 0);
    char *last = NULL;
    for (size_t bytes = 1; bytes < 1000; bytes += 13) {
        char *at = arena_alloc(&arena, bytes);
        assert_non_null(at);
        assert_int_equal((uintptr_t)at % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < bytes; i++) {
            assert_int_equal(at[i], 0);
        }
        memset(at, 0x55, bytes);
        assert_ptr_not_equal(at, last);
        last = at;
    }
    arena_done(&arena);
}

TEST_CASE(arena_alloc__over_the_limit__fails_for_good)
{
    struct arena arena;
    arena_init(&arena, 64, 128);
    assert_non_null(arena_alloc(&arena, 100));
    assert_null(arena_alloc(&arena, 100));
    assert_true(arena.failed);
    assert_null(arena_alloc(&arena, 1));
    arena_reset(&arena);
    assert_false(arena.failed);
    assert_non_null(arena_alloc(&arena, 1));
    arena_done(&arena);
}

TEST_CASE(arena_copy__bytes_with_nul__are_kept_and_ended)
{
    struct arena arena;
    arena_init(&arena, 64, 0);
    char *copy = arena_copy(&arena, "a\0b", 3);
    assert_memory_equal(copy, "a\0b\0", 4);
    assert_string_equal(arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
    assert_string_equal(arena_copy(&arena, NULL, 0), "");
    arena_done(&arena);
    arena_done(&(struct arena){0});
}

TESTS_RUN(NULL, NULL)
