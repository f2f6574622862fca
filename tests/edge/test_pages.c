#include "edge/pages.h"

#include "lib/check.h"

TEST_CASE(page_range__what_a_player_asks__is_what_it_gets)
{
    static const struct {
        const char *header;
        uint64_t bytes;
        int status;
        uint64_t first;
        uint64_t len;
    } rows[] = {
        {NULL, 100, 200, 0, 100},
        {"bytes=0-", 100, 206, 0, 100},
        {"bytes=0-0", 100, 206, 0, 1},
        {"bytes=10-19", 100, 206, 10, 10},
        {"bytes=99-", 100, 206, 99, 1},
        {"bytes=90-1000", 100, 206, 90, 10},
        {"bytes=-1", 100, 206, 99, 1},
        {"bytes=-1000", 100, 206, 0, 100},
        {"bytes=100-", 100, 416, 0, 100},
        {"bytes=-0", 100, 416, 0, 100},
        {"bytes=0-", 0, 416, 0, 0},
        /* Not understood: all of it. */
        {"bytes=", 100, 200, 0, 100},
        {"bytes=-", 100, 200, 0, 100},
        {"bytes=5-4", 100, 200, 0, 100},
        {"bytes=0-1,5-6", 100, 200, 0, 100},
        {"bytes=1-2x", 100, 200, 0, 100},
        {"bytes=99999999999999999999-", 100, 200, 0, 100},
        {"items=0-1", 100, 200, 0, 100},
        {"", 100, 200, 0, 100},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t first = 7;
        uint64_t len = 7;
        int status = page_range(rows[i].header, rows[i].bytes, &first, &len);
        if (status != rows[i].status ||
            (status != 416 && (first != rows[i].first || len != rows[i].len))) {
            fail_msg("%s: %d, %llu from %llu",
                     rows[i].header ? rows[i].header : "nothing", status,
                     (unsigned long long)len, (unsigned long long)first);
        }
    }
}

TESTS_RUN(NULL, NULL)
