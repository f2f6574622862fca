#include "flow/clock.h"

#include <assert.h>

void clock_init(struct clock *clock, struct loop *loop)
{
    assert(clock && loop);
    *clock = (struct clock){.loop = loop};
}

void clock_told(struct clock *clock, int64_t now_ms)
{
    assert(clock->loop);
    /* Half of the round trip is within a few milliseconds: good enough for
     * times that people read and deadlines in seconds. */
    clock->offset_ms = now_ms - loop_boot_ms(clock->loop);
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
