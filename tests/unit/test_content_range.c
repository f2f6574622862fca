#include "core/content_range.h"
#include "lib/check.h"

TEST_CASE(content_range_is_whole__rows__each_its_verdict)
{
    static const struct {
        const char *value;
        int64_t bytes; /* 0: a part, or nothing that can be read */
    } rows[] = {
        {"bytes 0-99/100", 100},
        {"Bytes  0 - 99 / 100 ", 100},
        {"bytes 0-0/1", 1},
        {"bytes 0-4294967295/4294967296", 4294967296},
        {"bytes 0-98/100", 0},
        {"bytes 1-99/100", 0},
        {"bytes 0-99/*", 0},
        {"bytes */100", 0},
        {"bytes 0-100/100", 0},
        {"bytes 0-99/99", 0},
        {"items 0-99/100", 0},
        {"bytes=0-99/100", 0},
        {"bytes 0-9223372036854775807/9223372036854775808", 0},
        {"bytes -1-99/100", 0},
        {"bytes 0-/1", 0},
        {"0-99/100", 0},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t bytes = 0;
        const bool whole =
            content_range_is_whole(str_of(rows[i].value), &bytes);
        if (whole != (rows[i].bytes > 0) || bytes != rows[i].bytes) {
            fail_msg("%s: %d, %lld bytes", rows[i].value, whole,
                     (long long)bytes);
        }
    }
    int64_t bytes = 0;
    assert_false(content_range_is_whole((struct str){0}, &bytes));
}

TESTS_RUN(NULL, NULL)
