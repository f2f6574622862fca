#include <stdint.h>
#include <string.h>

#include "lib/check.h"
#include "base/sparse.h"

#define BYTES 520

static uint32_t seed = 7;

static unsigned draw(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

/** Packed into exactly the room that it may need. */
static size_t there_and_back(const unsigned char *bytes,
                             const unsigned char *like, size_t len)
{
    unsigned char packed[SPARSE_MOST(BYTES)];
    unsigned char back[BYTES];
    memset(back, 0xa5, sizeof back);
    size_t packed_len = sparse_pack(bytes, like, len, packed);
    assert_true(packed_len <= SPARSE_MOST(len));
    memset(packed + packed_len, 0x5a, sizeof packed - packed_len);
    sparse_unpack(packed, like, back, len);
    assert_memory_equal(bytes, back, len);
    return packed_len;
}

TEST_CASE(sparse__any_bytes__come_back)
{
    for (int turn = 0; turn < 20000; turn++) {
        unsigned char bytes[BYTES];
        unsigned char like[BYTES];
        const uint32_t one_in = 1 + draw() % 40;
        for (size_t i = 0; i < BYTES; i++) {
            like[i] = (unsigned char)draw();
            bytes[i] = draw() % one_in ? like[i] : (unsigned char)draw();
        }
        (void)there_and_back(bytes, like, 8 + 8 * (size_t)(turn % 65));
    }
}

TEST_CASE(sparse__what_is_alike__takes_a_byte)
{
    unsigned char bytes[BYTES];
    for (size_t i = 0; i < BYTES; i++) {
        bytes[i] = (unsigned char)draw();
    }
    assert_int_equal(there_and_back(bytes, bytes, BYTES), 1);
}

TEST_CASE(sparse__one_byte_anywhere__takes_itself_and_its_place)
{
    for (size_t i = 0; i < BYTES; i++) {
        const unsigned char like[BYTES] = {0};
        unsigned char bytes[BYTES] = {0};
        bytes[i] = 0x80;
        assert_int_equal(there_and_back(bytes, like, BYTES),
                         1 + 1 + (i >= 24) + 1);
    }
}

TEST_CASE(sparse__nothing_alike__fits_into_the_most)
{
    const unsigned char like[SPARSE_BYTES_MAX] = {0};
    unsigned char bytes[SPARSE_BYTES_MAX];
    unsigned char packed[SPARSE_MOST(SPARSE_BYTES_MAX)];
    unsigned char back[SPARSE_BYTES_MAX];
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(sparse_pack(bytes, like, sizeof bytes, packed),
                     1 + sizeof bytes + sizeof bytes / 8);
    sparse_unpack(packed, like, back, sizeof back);
    assert_memory_equal(bytes, back, sizeof back);
}

TESTS_RUN(NULL, NULL)
