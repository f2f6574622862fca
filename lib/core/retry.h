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

/** interval +- a fifth, so that tasks that began together drift apart. */
int64_t retry_jitter_ms(int64_t interval_ms, uint32_t random);

/**
 * Retry-After in seconds or as an HTTP date (RFC 9110 10.2.3).
 *
 * @return  Milliseconds from now, at most 600,000; 0: absent or not readable.
 */
int64_t retry_after_ms(struct str header, int64_t now_ms);

#endif
