#ifndef CORE_BURST_H
#define CORE_BURST_H

#include <stdbool.h>
#include <stddef.h>

/** Whether much came and has passed: looked at every few seconds. Begins
 * zeroed. */
struct burst {
    size_t peak; /* the most that moved between two looks, since the last one */
    int looks;   /* until it is said once more; 0: it was */
};

/**
 * @param moved  Since the last look.
 * @return       true after a burst: something worth the name, and now less than
 *               a quarter of it. And once more a few looks later: what came is
 *               put in order by then, which leaves room of its own.
 */
bool burst_is_over(struct burst *burst, size_t moved);

#endif
