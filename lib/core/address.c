#include "core/address.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct block {
    unsigned char start[16];
    int bits;
};

/* IANA's special-purpose registry, multicast and reserved space. */
static const struct block v4_closed[] = {
    {{0}, 8},                 /* this network */
    {{10}, 8},                /* private */
    {{100, 64}, 10},          /* shared by carriers */
    {{127}, 8},               /* loopback */
    {{168, 63, 129, 16}, 32}, /* Azure's host */
    {{169, 254}, 16},         /* link-local */
    {{172, 16}, 12},          /* private */
    {{192, 0, 0}, 24},        /* protocol assignments */
    {{192, 0, 2}, 24},        /* documentation */
    {{192, 88, 99}, 24},      /* 6to4 relays */
    {{192, 168}, 16},         /* private */
    {{198, 18}, 15},          /* benchmarks */
    {{198, 51, 100}, 24},     /* documentation */
    {{203, 0, 113}, 24},      /* documentation */
    {{224}, 3},               /* multicast, reserved, broadcast */
};

static const struct block v4_link_local[] = {
    {{169, 254}, 16},
    {{100, 100, 100, 200}, 32}, /* Alibaba's metadata */
    {{168, 63, 129, 16}, 32},   /* Azure's host */
    {{192, 0, 0, 192}, 32},     /* Oracle's metadata */
};

static const struct block v6_closed[] = {
    {{0x20, 0x01}, 23},             /* protocol assignments; Teredo see below */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {{0x3f, 0xff}, 20},             /* documentation */
};

static const struct block v6_link_local[] = {
    {{0xfe, 0x80}, 10},
    {{0xfd, 0x00, 0x0e, 0xc2}, 32}, /* Amazon's metadata */
    {{0xfd, 0x20, 0x00, 0xce}, 32}, /* Google's metadata */
};

/* IPv6 forms that carry an IPv4 address at byte `at`. */
static const struct carrier {
    struct block block;
    int at;
    bool flipped; /* every bit of it */
} carriers[] = {
    {{{[10] = 0xff, [11] = 0xff}, 96}, 12, false}, /* mapped */
    {{{0, 0x64, 0xff, 0x9b}, 96}, 12, false},      /* NAT64 */
    {{{0x20, 0x02}, 16}, 2, false},                /* 6to4 */
    {{{0x20, 0x01, 0, 0}, 32}, 12, true},          /* Teredo */
    {{{[8] = 0xff, [9] = 0xff}, 96}, 12, false},   /* translated */
};

static bool is_in(const unsigned char *ip, const struct block *block)
{
    int whole = block->bits / 8;
    int rest = block->bits % 8;
    if (memcmp(ip, block->start, (size_t)whole) != 0) {
        return false;
    }
    return rest == 0 || ((ip[whole] ^ block->start[whole]) >> (8 - rest)) == 0;
}

static bool is_in_any(const unsigned char *ip, const struct block *blocks,
                      size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (is_in(ip, &blocks[i])) {
            return true;
        }
    }
    return false;
}

/** The IPv4 address inside an IPv6 one, if it has such a form. */
static bool inner_address(const unsigned char *ip, unsigned char inner[4])
{
    for (size_t i = 0; i < COUNT(carriers); i++) {
        if (is_in(ip, &carriers[i].block)) {
            for (int j = 0; j < 4; j++) {
                unsigned char byte = ip[carriers[i].at + j];
                inner[j] = carriers[i].flipped ? (unsigned char)~byte : byte;
            }
            return true;
        }
    }
    return false;
}

bool address_is_public(int family, const unsigned char *bytes)
{
    unsigned char inner[4];
    if (family == 4) {
        return !is_in_any(bytes, v4_closed, COUNT(v4_closed));
    }
    if (inner_address(bytes, inner)) {
        return address_is_public(4, inner);
    }
    static const unsigned char isatap[] = {0, 0x5e, 0xfe};
    if ((bytes[8] & 0xfd) == 0 && memcmp(bytes + 9, isatap, 3) == 0) {
        return false; /* a tunnel into somebody's own network */
    }
    /* Of IPv6 only 2000::/3 is given out for the public. */
    return (bytes[0] & 0xe0) == 0x20 &&
           !is_in_any(bytes, v6_closed, COUNT(v6_closed));
}

bool address_is_link_local(int family, const unsigned char *bytes)
{
    unsigned char inner[4];
    if (family == 4) {
        return is_in_any(bytes, v4_link_local, COUNT(v4_link_local));
    }
    if (inner_address(bytes, inner)) {
        return address_is_link_local(4, inner);
    }
    return is_in_any(bytes, v6_link_local, COUNT(v6_link_local));
}
