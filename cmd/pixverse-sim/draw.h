#ifndef SIM_DRAW_H
#define SIM_DRAW_H

#include <stdint.h>

/** Chance that can be had again: the same seed draws the same numbers. */

/** A number from (seed, n): splitmix64's finisher over both. */
static inline uint64_t draw(uint64_t seed, uint64_t n)
{
    uint64_t x = seed + (n + 1) * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/** Evenly from [min, max]. */
static inline uint64_t draw_between(uint64_t seed, uint64_t n, uint64_t min,
                                    uint64_t max)
{
    return max <= min ? min : min + draw(seed, n) % (max - min + 1);
}

#endif
