#include <stdint.h>
#include <string.h>

#include "lib/check.h"
#include "base/pool.h"

#define PIECES 500
#define BYTES 520

TEST_CASE(pool__pieces__are_apart_and_zeroed_and_come_again)
{
    struct pool pool;
    unsigned char *pieces[PIECES];
    pool_init(&pool, BYTES);
    for (int turn = 0; turn < 3; turn++) {
        for (int i = 0; i < PIECES; i++) {
            static const unsigned char zeros[BYTES];
            pieces[i] = pool_get(&pool);
            assert_non_null(pieces[i]);
            assert_int_equal((uintptr_t)pieces[i] % sizeof(uint64_t), 0);
            assert_memory_equal(pieces[i], zeros, BYTES);
            memset(pieces[i], 1 + i % 255, BYTES);
        }
        for (int i = 0; i < PIECES; i++) {
            assert_int_equal(pieces[i][0], 1 + i % 255);
            assert_int_equal(pieces[i][BYTES - 1], 1 + i % 255);
            pool_put(&pool, pieces[i]);
        }
        assert_ptr_equal(pool_get(&pool), pieces[PIECES - 1]);
        pool_put(&pool, pieces[PIECES - 1]);
    }
    pool_done(&pool);
}

TESTS_RUN(NULL, NULL)
