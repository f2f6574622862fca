#ifndef EDGE_LOOP_H
#define EDGE_LOOP_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/**
 * The one thread on which the service turns: timers, deferred calls, calls
 * from other threads, signals, blocking work sent away. libuv is inside;
 * tests/fake has the same over virtual time.
 */
struct loop;
struct loop_timer;

typedef void loop_fn(void *context);

struct loop *loop_open(struct err *err);

/** Turns until loop_stop(). */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/**
 * Waits for work that is under way, calls what was posted and not called yet;
 * timers must be gone: asserts that they are.
 */
void loop_close(struct loop *loop);

/**
 * CLOCK_BOOTTIME in milliseconds, one value a turn: goes on while the machine
 * sleeps.
 */
int64_t loop_boot_ms(const struct loop *loop);

/** Microseconds of the same clock, read afresh: for measuring only. */
int64_t loop_boot_us(const struct loop *loop);

uint32_t loop_random(struct loop *loop);
void loop_random_bytes(struct loop *loop, void *out, size_t len);

/** A one-shot timer, not set yet. Null: no memory. */
struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *on_time,
                                  void *context);
/** Once, after delay_ms (0: in the next turn); replaces an earlier setting. */
void loop_timer_set(struct loop_timer *timer, int64_t delay_ms);
void loop_timer_stop(struct loop_timer *timer);
void loop_timer_free(struct loop_timer *timer); /* null is accepted */

/**
 * Call once, at the end of this turn, before the loop waits. Deferring the
 * same (fn, context) again before it ran does nothing.
 */
void loop_defer(struct loop *loop, loop_fn *fn, void *context);

/** Not any more, if it was deferred: before what `context` is goes away. */
void loop_undefer(struct loop *loop, loop_fn *fn, void *context);

/** From any thread: call on the loop thread, in order. Copies nothing. */
void loop_post(struct loop *loop, loop_fn *fn, void *context);

/** Until loop_close(): SIGTERM, SIGINT, SIGHUP. */
void loop_on_signal(struct loop *loop, int signal, loop_fn *fn, void *context);

/**
 * How many threads work at once, for all loops of the process: to be said
 * before the first work. An operator's UV_THREADPOOL_SIZE goes before it.
 */
void loop_threads(int64_t threads);

/** Run `work` on another thread, then `done` on the loop thread. */
void loop_work(struct loop *loop, loop_fn *work, loop_fn *done, void *context);

/** Longest turn of the last half minute to minute, in microseconds, but
 * to the millisecond: a blocking call shows. */
int64_t loop_longest_turn_us(const struct loop *loop);

#endif
