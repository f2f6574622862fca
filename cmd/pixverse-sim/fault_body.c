#include "fault_body.h"

#include <stdlib.h>

enum { STORED_BYTES_MAX = 65535, MATCH_BYTES = 258 };

void fault_body_huge_json(struct buf *out, uint64_t bytes)
{
    buf_add_text(out, "{\"code\":200,\"data\":[{\"filler\":\"");
    char *room = buf_room(out, bytes);
    if (!room) {
        abort();
    }
    memset(room, 'x', bytes);
    buf_took(out, bytes);
    buf_add_text(out, "\"}]}");
}

void fault_body_deep_json(struct buf *out, uint64_t depth)
{
    for (uint64_t i = 0; i < depth; i++) {
        buf_add_char(out, '[');
    }
    for (uint64_t i = 0; i < depth; i++) {
        buf_add_char(out, ']');
    }
}

static uint32_t crc_step(uint32_t crc, unsigned char byte)
{
    static uint32_t table[256];
    if (table[1] == 0) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t entry = i;
            for (int bit = 0; bit < 8; bit++) {
                entry = (entry >> 1) ^ (entry & 1 ? 0xedb88320u : 0);
            }
            table[i] = entry;
        }
    }
    return table[(crc ^ byte) & 255] ^ (crc >> 8);
}

static void put_little(struct buf *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        buf_add_char(out, (char)(value >> (8 * i)));
    }
}

static void put_header(struct buf *out)
{
    buf_add(out, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
}

void fault_body_gzip(struct buf *out, const char *bytes, size_t len)
{
    uint32_t crc = UINT32_MAX;
    size_t at = 0;
    put_header(out);
    do {
        const size_t left = len - at;
        const size_t take = left < STORED_BYTES_MAX ? left : STORED_BYTES_MAX;
        buf_add_char(out, take == left); /* the last block says so */
        put_little(out, take, 2);
        put_little(out, ~take, 2);
        buf_add(out, bytes + at, take);
        at += take;
    } while (at < len);
    for (size_t i = 0; i < len; i++) {
        crc = crc_step(crc, (unsigned char)bytes[i]);
    }
    put_little(out, ~crc, 4);
    put_little(out, len, 4);
}

void fault_body_gzip_bomb(struct buf *out, uint64_t bytes)
{
    /* One block in the fixed code: a literal 0, then matches of 258 bytes one
     * back. Bits go out lowest first; the codes below are so reversed. */
    uint64_t bits = 3; /* last block, fixed code */
    unsigned int have = 3;
    uint64_t whole = 1;
    uint32_t crc = UINT32_MAX;
    put_header(out);
    bits |= (uint64_t)0x0c << have; /* literal 0: 00110000 */
    have += 8;
    while (whole < bytes) {
        bits |= (uint64_t)0xa3 << have; /* 285: 11000101, distance 1: 00000 */
        have += 13;
        whole += MATCH_BYTES;
        for (; have >= 8; have -= 8, bits >>= 8) {
            buf_add_char(out, (char)bits);
        }
    }
    have += 7; /* end of block: 0000000 */
    for (unsigned int sent = 0; sent < have; sent += 8, bits >>= 8) {
        buf_add_char(out, (char)bits);
    }
    for (uint64_t i = 0; i < whole; i++) {
        crc = crc_step(crc, 0);
    }
    put_little(out, ~crc, 4);
    put_little(out, whole, 4);
}
