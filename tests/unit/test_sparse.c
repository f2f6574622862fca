#include <stdint.h>
#include <string.h>

#include "lib/check.h"
#include "base/sparse.h"

#define BYTES 520

static size_t there_and_back(const unsigned char *bytes, size_t len)
{
    unsigned char packed[SPARSE_MOST(BYTES)];
    unsigned char back[BYTES];
    memset(back, 0xa5, sizeof back);
    size_t packed_len = sparse_pack(bytes, len, packed);
    assert_true(packed_len <= SPARSE_MOST(len));
    sparse_unpack(packed, back, len);
    assert_memory_equal(bytes, back, len);
    return packed_len;
}

TEST_CASE(sparse__any_bytes__come_back)
{
    uint32_t seed = 7;
    for (int turn = 0; turn < 20000; turn++) {
        unsigned char bytes[BYTES] = {0};
        seed = seed * 1664525u + 1013904223u;
        const uint32_t one_in = 1 + (seed >> 8) % 40;
        for (size_t i = 0; i < BYTES; i++) {
            seed = seed * 1664525u + 1013904223u;
            bytes[i] = (seed >> 8) % one_in ? 0 : (unsigned char)(seed >> 24);
        }
        (void)there_and_back(bytes, 8 + 8 * (size_t)(turn % 65));
    }
}

TEST_CASE(sparse__zeros__take_a_bit_for_eight_of_them)
{
    const unsigned char bytes[BYTES] = {0};
    assert_int_equal(there_and_back(bytes, BYTES), (BYTES + 63) / 64);
}

TEST_CASE(sparse__no_zero_at_all__fits_into_the_most)
{
    unsigned char bytes[BYTES];
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(there_and_back(bytes, BYTES),
                     BYTES + BYTES / 8 + (BYTES + 63) / 64);
}

TESTS_RUN(NULL, NULL)
