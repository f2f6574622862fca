#include "core/exchange.h"

#include <assert.h>

const char *reply_end_name(enum reply_end end)
{
    assert(end >= 0 && end <= REPLY_CANCELLED);
    static const char *const names[] = {
        [REPLY_WHOLE] = "whole",         [REPLY_UNRESOLVED] = "unresolved",
        [REPLY_UNREACHED] = "unreached", [REPLY_UNTRUSTED] = "untrusted",
        [REPLY_TIMED_OUT] = "timed_out", [REPLY_BROKEN] = "broken",
        [REPLY_TOO_LARGE] = "too_large", [REPLY_CANCELLED] = "cancelled",
    };
    return names[end];
}
