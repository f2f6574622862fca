#ifndef CORE_PACE_H
#define CORE_PACE_H

#include "core/outcome.h"

#include <stdbool.h>
#include <stdint.h>

/**
 * How fast one worker submits: additive increase, multiplicative decrease of
 * the number at once, and a gate that a throttle or an unreachable provider
 * shuts for a while. Pure state: the clock is passed in.
 */
struct pace {
    int at_once_max;       /* from settings */
    double at_once;        /* allowed now, 1..max */
    int64_t shut_until_ms; /* no submission before; 0: open */
    int failures;          /* in a row: lengthens the next shutting */
};

/** What an outcome says of all submissions, not only of its own. */
enum pace_news {
    PACE_NO_NEWS,
    PACE_ACCEPTED,  /* the way is free: pace_accepted() */
    PACE_UNREACHED, /* nothing of ours arrives there: pace_pushed_back() */
    PACE_THROTTLED, /* it wants fewer: pace_pushed_back() */
};

enum pace_news pace_news_of(const struct outcome *outcome);

void pace_init(struct pace *pace, int at_once_max);

/** How many more may begin now. */
int pace_room(const struct pace *pace, int under_way, int64_t now_ms);

void pace_accepted(struct pace *pace);

/** 429, or the provider could not be reached. retry_after_ms 0: not named. */
void pace_pushed_back(struct pace *pace, int64_t retry_after_ms, int64_t now_ms,
                      uint32_t random);

/** A hold was lifted: begin again with one at a time. */
void pace_restart(struct pace *pace);

#endif
