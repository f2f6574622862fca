#include "core/rate.h"

#include <assert.h>

void rate_begin(struct rate *rate, int64_t window_ms, int64_t least_per_second,
                int64_t now_ms)
{
    assert(window_ms >= 1 && least_per_second >= 0);
    *rate = (struct rate){
        .window_ms = window_ms,
        .least_bytes = least_per_second * window_ms / 1000,
        .since_ms = now_ms,
        .paused_ms = -1,
    };
}

void rate_add(struct rate *rate, int64_t bytes)
{
    assert(rate->window_ms >= 1);
    assert(bytes >= 0);
    rate->bytes += bytes;
}

void rate_pause(struct rate *rate, int64_t now_ms)
{
    assert(rate->window_ms >= 1);
    if (rate->paused_ms < 0) {
        rate->paused_ms = now_ms;
    }
}

void rate_resume(struct rate *rate, int64_t now_ms)
{
    assert(rate->paused_ms < 0 || now_ms >= rate->paused_ms);
    if (rate->paused_ms >= 0) {
        rate->since_ms += now_ms - rate->paused_ms;
        rate->paused_ms = -1;
    }
}

bool rate_is_low(struct rate *rate, int64_t now_ms)
{
    assert(rate->window_ms >= 1 && rate->bytes >= 0);
    if (rate->paused_ms >= 0 || now_ms - rate->since_ms < rate->window_ms) {
        return false;
    }
    const bool low = rate->bytes < rate->least_bytes;
    rate->since_ms = now_ms;
    rate->bytes = 0;
    return low;
}

int64_t rate_left_ms(const struct rate *rate, int64_t now_ms)
{
    assert(rate->window_ms >= 1);
    const int64_t spent_ms =
        (rate->paused_ms >= 0 ? rate->paused_ms : now_ms) - rate->since_ms;
    const int64_t left_ms = rate->window_ms - spent_ms;
    return left_ms > 1 ? left_ms : 1;
}
