#ifndef SIM_INDEX_H
#define SIM_INDEX_H

#include "base/str.h"

#include <stdint.h>

/**
 * From text to a number, by open addressing over 64-bit hashes. Entries are
 * told apart by their hash alone: with a million entries two of them collide
 * with a chance of 3 in 10^8, which a simulator may live with.
 */
struct index {
    struct index_entry {
        uint64_t hash; /* 0: empty */
        uint32_t value;
    } * entries;
    size_t size; /* a power of two, or 0 */
    size_t used;
};

#define INDEX_NONE UINT32_MAX

void index_done(struct index *index);
/** The value under `key`, or INDEX_NONE. */
uint32_t index_find(const struct index *index, struct str key);
/** Sets or replaces. */
void index_put(struct index *index, struct str key, uint32_t value);

#endif
