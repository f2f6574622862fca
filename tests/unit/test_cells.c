#include <string.h>

#include "lib/check.h"
#include "base/cells.h"

#define PIECES 200

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void assert_filled(const unsigned char *at, int with, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        assert_int_equal(at[i], with);
    }
}

TEST_CASE(cells__random_use__each_piece_keeps_its_bytes)
{
    struct cells cells;
    unsigned char *at[PIECES] = {0};
    size_t len[PIECES] = {0};
    uint32_t seed = 7;
    cells_init(&cells);
    for (int turn = 0; turn < 20000; turn++) {
        const size_t i = next(&seed) % PIECES;
        const size_t bytes = next(&seed) % (next(&seed) % 5 ? 800 : 4000);
        const size_t kept = bytes < len[i] ? bytes : len[i];
        assert_filled(at[i], (int)i, len[i]);
        if (next(&seed) % 3 == 0) {
            cells_give(at[i], &cells);
            at[i] = NULL;
            len[i] = 0;
            continue;
        }
        at[i] = cells_resize(at[i], bytes, &cells);
        assert_non_null(at[i]);
        assert_filled(at[i], (int)i, kept);
        memset(at[i], (int)i, bytes);
        len[i] = bytes;
    }
    for (size_t i = 0; i < PIECES; i++) {
        cells_give(at[i], &cells);
    }
    cells_done(&cells);
}

TEST_CASE(cells_give__the_next_of_its_size__is_the_same_memory)
{
    struct cells cells;
    cells_init(&cells);
    void *small = cells_take(100, &cells);
    void *other = cells_take(100, &cells);
    assert_ptr_not_equal(small, other);
    cells_give(small, &cells);
    assert_ptr_equal(cells_take(128, &cells), small);
    assert_ptr_not_equal(cells_take(129, &cells), NULL);
    cells_done(&cells);
}

TEST_CASE(cells_take_zeros__what_was_used_before__is_zero)
{
    struct cells cells;
    cells_init(&cells);
    for (size_t bytes = 0; bytes < 2000; bytes += 77) {
        unsigned char *at = cells_take(bytes, &cells);
        memset(at, 0xff, bytes);
        cells_give(at, &cells);
        at = cells_take_zeros(bytes, 1, &cells);
        assert_filled(at, 0, bytes);
        cells_give(at, &cells);
    }
    assert_null(cells_take_zeros(SIZE_MAX / 2, 4, &cells));
    assert_null(cells_take(SIZE_MAX - 8, &cells));
    cells_done(&cells);
}

TESTS_RUN(NULL, NULL)
