#include "core/history.h"

#include <assert.h>

int64_t history_known_from_ms(const struct history_days *days, int64_t now_ms)
{
    assert(days->ids >= 0 && now_ms >= 0);
    int64_t span_ms = days->ids * HISTORY_DAY_MS;
    return days->ids && span_ms < now_ms ? now_ms - span_ms : 0;
}
