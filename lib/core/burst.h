#ifndef CORE_BURST_H
#define CORE_BURST_H

#include <stdbool.h>
#include <stddef.h>

/** Whether much came and has passed: looked at every few seconds. Begins
 * zeroed. */
struct burst {
    size_t peak; /* the most that moved between two looks, since the last one */
};

/**
 * @param moved  Since the last look.
 * @return       true once after a burst: something worth the name, and now less
 *               than a quarter of it.
 */
bool burst_is_over(struct burst *burst, size_t moved);

#endif
