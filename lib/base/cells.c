#include "base/cells.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/** Stands before each piece, which is aligned as pointers are. */
struct cell {
    size_t bytes; /* that fit */
};

static size_t kind_of(size_t bytes)
{
    return bytes ? (bytes - 1) / CELLS_STEP : 0;
}

void cells_init(struct cells *cells)
{
    for (size_t kind = 0; kind < CELLS_KINDS; kind++) {
        pool_init(&cells->kinds[kind],
                  sizeof(struct cell) + (kind + 1) * CELLS_STEP);
    }
}

void cells_done(struct cells *cells)
{
    for (size_t kind = 0; kind < CELLS_KINDS; kind++) {
        pool_done(&cells->kinds[kind]);
    }
}

static void *begin(struct cell *cell, size_t bytes)
{
    if (!cell) {
        return NULL;
    }
    cell->bytes = bytes;
    return cell + 1;
}

void *cells_take(size_t bytes, void *cells)
{
    struct cells *all = cells;
    const size_t kind = kind_of(bytes);
    if (kind < CELLS_KINDS) {
        return begin(pool_get(&all->kinds[kind]), (kind + 1) * CELLS_STEP);
    }
    return bytes <= SIZE_MAX / 2
               ? begin(malloc(sizeof(struct cell) + bytes), bytes)
               : NULL;
}

void *cells_take_zeros(size_t count, size_t bytes, void *cells)
{
    if (bytes && count > SIZE_MAX / bytes) {
        return NULL;
    }
    void *at = cells_take(count * bytes, cells);
    return at ? memset(at, 0, count * bytes) : NULL;
}

void *cells_resize(void *at, size_t bytes, void *cells)
{
    if (!at) {
        return cells_take(bytes, cells);
    }
    const size_t had = ((struct cell *)at - 1)->bytes;
    if (bytes <= had) {
        return at;
    }
    void *grown = cells_take(bytes, cells);
    if (grown) {
        memcpy(grown, at, had);
        cells_give(at, cells);
    }
    return grown;
}

void cells_give(void *at, void *cells)
{
    struct cells *all = cells;
    if (!at) {
        return;
    }
    struct cell *cell = (struct cell *)at - 1;
    const size_t kind = kind_of(cell->bytes);
    if (kind < CELLS_KINDS) {
        pool_put(&all->kinds[kind], cell);
    } else {
        free(cell);
    }
}
