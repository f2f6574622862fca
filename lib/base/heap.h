#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** An entry inside its owner: due at a time, known to at most one heap. */
struct heap_entry {
    int64_t due_ms;
    size_t place; /* 1 + index in the heap; 0: in none */
};

/** With its time beside it: who compares many looks into no owner. */
struct heap_node {
    int64_t due_ms;
    struct heap_entry *entry;
};

/** The earliest first; add, move and remove in O(log n). */
struct heap {
    struct heap_node *nodes; /* the parent of four, which lie in a row */
    size_t len;
    size_t size;
};

void heap_init(struct heap *heap);
void heap_done(struct heap *heap);

/** Room for this many entries, so that heap_put() can't fail up to it. */
bool heap_reserve(struct heap *heap, size_t entries);

/** Adds, or moves if it is there. Asserts that room was reserved. */
void heap_put(struct heap *heap, struct heap_entry *entry, int64_t due_ms);
void heap_remove(struct heap *heap, struct heap_entry *entry);

/** The earliest, or null. */
struct heap_entry *heap_first(const struct heap *heap);

#endif
