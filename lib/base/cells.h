#ifndef BASE_CELLS_H
#define BASE_CELLS_H

#include "base/pool.h"

#include <stddef.h>

/**
 * What a library takes through functions of ours, in place of malloc()'s: many
 * small pieces at once, which all come back soon after. libc keeps few of a
 * size at hand, and looks for room and joins it again for each of the others.
 * What is large goes to malloc() all the same.
 */
#define CELLS_STEP 64
#define CELLS_KINDS 12

struct cells {
    struct pool kinds[CELLS_KINDS]; /* of 64, 128, … bytes */
};

void cells_init(struct cells *cells);
/** No piece is in use any more. */
void cells_done(struct cells *cells);

/** As malloc(), calloc(), realloc() and free(), for what holds pointers and 64
 * bits at most; `cells` is a struct cells. */
void *cells_take(size_t bytes, void *cells);
void *cells_take_zeros(size_t count, size_t bytes, void *cells);
void *cells_resize(void *at, size_t bytes, void *cells);
void cells_give(void *at, void *cells);

#endif
