#include "core/burst.h"

#include <assert.h>

#define BURST_MIN 2000

bool burst_is_over(struct burst *burst, size_t moved)
{
    assert(burst);
    burst->peak = moved > burst->peak ? moved : burst->peak;
    if (burst->peak < BURST_MIN || moved > burst->peak / 4) {
        return false;
    }
    burst->peak = 0;
    return true;
}
