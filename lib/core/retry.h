#ifndef CORE_RETRY_H
#define CORE_RETRY_H

#include "base/str.h"

#include <stdint.h>

/**
 * How long to wait before the n-th repetition.
 *
 * @param tries   Failures so far, from 1.
 * @param random  Random bits; half of the wait is jitter.
 * @return        Milliseconds in [half, whole] of min(cap, base * 2^(tries-1)).
 */
int64_t retry_wait_ms(int tries, int64_t base_ms, int64_t cap_ms,
                      uint32_t random);

/**
 * How a door begins again after its other side has closed it (a Kafka client
 * that failed for good, a lost connection): soon at first, then ever later. One
 * for all doors, so that none of them turns into a loop. Zeroed: all is well.
 */
struct backoff {
    int fails; /* since it last went well */
};

#define BACKOFF_FIRST_MS 200

/**
 * Count one more failure.
 *
 * @param cap_ms  The longest wait, at least 1; of the door, not of the try.
 * @param random  Random bits; half of the wait is jitter.
 * @return        Milliseconds until the next try: 1 to cap_ms.
 */
int64_t backoff_fail(struct backoff *backoff, int64_t cap_ms, uint32_t random);

/** It did what it is for: more than that it could be begun. */
void backoff_good(struct backoff *backoff);

/** interval +- a fifth, so that tasks that began together drift apart. */
int64_t retry_jitter_ms(int64_t interval_ms, uint32_t random);

/**
 * When something that recurs is due next, by its own phase: the time next to
 * `now_ms` + `interval_ms`, half an interval sooner or later at most, that
 * belongs to it. So what comes again and again comes exactly an interval after
 * its last time, however long that took, and many of them stay spread over it.
 *
 * @param interval_ms  At least 1; from 500 on times are whole ticks of 10 ms,
 *                     so that what is due together wakes the process once.
 * @param key          Tells one from another; keys in a row are spread, too.
 */
int64_t retry_phase_ms(int64_t now_ms, int64_t interval_ms, int64_t key);

/**
 * Retry-After in seconds or as an HTTP date (RFC 9110 10.2.3).
 *
 * @return  Milliseconds from now, at most 600,000; 0: absent or not readable.
 */
int64_t retry_after_ms(struct str header, int64_t now_ms);

#endif
