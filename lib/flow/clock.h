#ifndef FLOW_CLOCK_H
#define FLOW_CLOCK_H

#include "edge/loop.h"

/**
 * PostgreSQL's clock: what it said, and CLOCK_BOOTTIME since. Every stored
 * time, deadline and expiry is of it; no wall clock of this machine takes part.
 */
struct clock {
    struct loop *loop;
    int64_t offset_ms; /* PostgreSQL's now - boot clock */
    bool known;        /* PostgreSQL has told it once */
};

void clock_init(struct clock *clock, struct loop *loop);

/** PostgreSQL said now_ms, when it was asked at asked_ms (boot clock). It goes
 * back only where PostgreSQL's clock is surely behind. */
void clock_told(struct clock *clock, int64_t asked_ms, int64_t now_ms);

/** Milliseconds of Unix time; before clock_told(), of the boot clock. */
int64_t clock_now_ms(const struct clock *clock);

/** The boot clock itself: for what only this machine measures. */
int64_t clock_boot_ms(const struct clock *clock);

/** A time of PostgreSQL's as one of the boot clock, and back. */
int64_t clock_to_boot_ms(const struct clock *clock, int64_t at_ms);
int64_t clock_of_boot_ms(const struct clock *clock, int64_t boot_ms);

#endif
