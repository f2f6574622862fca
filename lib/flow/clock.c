#include "flow/clock.h"

#include <assert.h>

void clock_init(struct clock *clock, struct loop *loop)
{
    assert(clock && loop);
    *clock = (struct clock){.loop = loop};
}

void clock_told(struct clock *clock, int64_t asked_ms, int64_t now_ms)
{
    assert(clock->loop && asked_ms <= loop_boot_ms(clock->loop));
    /* Its clock stood there some time between the question and now, which is
     * later than the turn's time. What fits to that stays: else a slow answer
     * would set the clock back, and what is told of a task were out of order.
     */
    const int64_t least_ms = now_ms - loop_boot_us(clock->loop) / 1000;
    const int64_t most_ms = now_ms - asked_ms;
    if (!clock->known || clock->offset_ms < least_ms) {
        clock->offset_ms = least_ms;
    } else if (clock->offset_ms > most_ms) {
        clock->offset_ms = most_ms;
    }
    clock->known = true;
}

int64_t clock_now_ms(const struct clock *clock)
{
    assert(clock->loop);
    return loop_boot_ms(clock->loop) + clock->offset_ms;
}

int64_t clock_boot_ms(const struct clock *clock)
{
    assert(clock->loop);
    return loop_boot_ms(clock->loop);
}

int64_t clock_to_boot_ms(const struct clock *clock, int64_t at_ms)
{
    assert(clock->known || clock->offset_ms == 0);
    return at_ms - clock->offset_ms;
}

int64_t clock_of_boot_ms(const struct clock *clock, int64_t boot_ms)
{
    assert(clock->known || clock->offset_ms == 0);
    return boot_ms + clock->offset_ms;
}
