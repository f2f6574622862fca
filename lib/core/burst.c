#include "core/burst.h"

#include <assert.h>

#define BURST_MIN 2000
#define LOOKS 3

bool burst_is_over(struct burst *burst, size_t moved)
{
    assert(burst);
    burst->peak = moved > burst->peak ? moved : burst->peak;
    if (burst->peak < BURST_MIN || moved > burst->peak / 4) {
        burst->looks -= burst->looks > 0;
        return burst->looks == 1;
    }
    burst->peak = 0;
    burst->looks = LOOKS + 1;
    return true;
}
