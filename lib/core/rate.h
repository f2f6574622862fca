#ifndef CORE_RATE_H
#define CORE_RATE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * Whether bytes move at a least rate, looked at once a window. A peer that
 * sends a byte a second never stalls, and holds its place for ever. Times are
 * milliseconds of one clock that only goes forward.
 */
struct rate {
    int64_t window_ms;
    int64_t least_bytes; /* in one window */
    int64_t since_ms;    /* the window's begin */
    int64_t bytes;       /* since then */
    int64_t paused_ms;   /* when a pause of our own began; -1: none */
};

/** Starts the first window. */
void rate_begin(struct rate *rate, int64_t window_ms, int64_t least_per_second,
                int64_t now_ms);

void rate_add(struct rate *rate, int64_t bytes);

/** What we hold back counts against nobody: the window stands still. */
void rate_pause(struct rate *rate, int64_t now_ms);
void rate_resume(struct rate *rate, int64_t now_ms);

/** Whether a window is over in which too little came; it begins the next. */
bool rate_is_low(struct rate *rate, int64_t now_ms);

/** Until it is worth asking again; at least 1. */
int64_t rate_left_ms(const struct rate *rate, int64_t now_ms);

#endif
