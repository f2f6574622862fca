#ifndef SIM_SEEDS_H
#define SIM_SEEDS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * SEEDS=n: how many worlds (300), of which the build with sanitizers takes the
 * first 300, or a tenth, and the one without all others; FIRST=n: from this one
 * on, all of them here; SEED=n: this one only; LOUD=1: all of it.
 */

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED true
#else
#define SANITIZED false
#endif

static inline uint64_t seeds_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

/** What is to be tried here; returns the last, below the first if there is
 * none. */
static inline uint64_t seeds_choose(uint64_t *first)
{
    const uint64_t one = seeds_number("SEED", 0);
    const uint64_t seeds = seeds_number("SEEDS", 300);
    const uint64_t slowly = seeds / 10 > 300 ? seeds / 10 : 300;
    if (one || getenv("FIRST")) {
        *first = one ? one : seeds_number("FIRST", 1);
        return one ? one : *first - 1 + seeds;
    }
    *first = SANITIZED ? 1 : slowly + 1;
    return SANITIZED && seeds > slowly ? slowly : seeds;
}

static uint64_t seeds_now;

/** Which one it was. */
static inline void seeds_on_abort(int number)
{
    char text[80];
    int len = snprintf(text, sizeof text, "\nreplay with SEED=%llu\n",
                       (unsigned long long)seeds_now);
    if (write(2, text, (size_t)len) < 0) {
        len = 0;
    }
    signal(number, SIG_DFL);
    raise(number);
}

#endif
