#ifndef CORE_COMMITS_H
#define CORE_COMMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * When one worker commits. A commit costs as much as many rows in it, so that
 * what nothing waits for rides along with what something waits for. A bucket of
 * tokens: a quiet worker commits at once, a busy one some 45 times a second.
 * Pure state: the clock is passed in. Begins zeroed: it is full.
 */
struct commits {
    int64_t spent;    /* thousandths of tokens that are not there */
    int64_t asked_ms; /* boot clock: when that was */
};

/** What waits for a commit. */
struct commits_wanted {
    size_t urgent;    /* rows that something waits for */
    size_t riding;    /* rows that nothing waits for */
    size_t slots;     /* of these, rows that hold slots which others wait for */
    size_t slots_max; /* how many slots there are */
    int64_t since_ms; /* boot clock: since when the oldest of all waits */
    bool hurry;       /* a drain: nothing waits for anything */
};

/**
 * Whether it may be now, and then it is: a token is spent.
 *
 * @return  0: now; else ask again after so many ms, or when more waits.
 */
int64_t commits_wait_ms(struct commits *commits,
                        const struct commits_wanted *wanted, int64_t now_ms);

#endif
