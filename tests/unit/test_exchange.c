#include "core/exchange.h"
#include "lib/check.h"

TEST_CASE(reply_end_name__each_end__has_its_own)
{
    static const char *const names[] = {
        [REPLY_WHOLE] = "whole",         [REPLY_UNRESOLVED] = "unresolved",
        [REPLY_UNREACHED] = "unreached", [REPLY_UNTRUSTED] = "untrusted",
        [REPLY_TIMED_OUT] = "timed_out", [REPLY_BROKEN] = "broken",
        [REPLY_TOO_LARGE] = "too_large", [REPLY_CANCELLED] = "cancelled",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_string_equal(reply_end_name((enum reply_end)i), names[i]);
    }
}

TESTS_RUN(NULL, NULL)
