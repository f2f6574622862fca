#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

void heap_init(struct heap *heap)
{
    *heap = (struct heap){0};
}

void heap_done(struct heap *heap)
{
    for (size_t i = 0; i < heap->len; i++) {
        heap->entries[i]->place = 0;
    }
    free(heap->entries);
    *heap = (struct heap){0};
}

bool heap_reserve(struct heap *heap, size_t entries)
{
    assert(heap->len <= heap->size);
    if (entries <= heap->size) {
        return true;
    }
    if (entries > SIZE_MAX / sizeof(void *)) {
        return false;
    }
    struct heap_entry **grown =
        realloc(heap->entries, entries * sizeof *heap->entries);
    if (!grown) {
        return false;
    }
    heap->entries = grown;
    heap->size = entries;
    return true;
}

static void set(struct heap *heap, size_t at, struct heap_entry *entry)
{
    assert(at < heap->size);
    heap->entries[at] = entry;
    entry->place = at + 1;
}

static void rise(struct heap *heap, size_t at)
{
    assert(at < heap->len);
    struct heap_entry *entry = heap->entries[at];
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (heap->entries[parent]->due_ms <= entry->due_ms) {
            break;
        }
        set(heap, at, heap->entries[parent]);
        at = parent;
    }
    set(heap, at, entry);
}

static void sink(struct heap *heap, size_t at)
{
    assert(at < heap->len);
    struct heap_entry *entry = heap->entries[at];
    for (size_t child; (child = 2 * at + 1) < heap->len; at = child) {
        if (child + 1 < heap->len &&
            heap->entries[child + 1]->due_ms < heap->entries[child]->due_ms) {
            child++;
        }
        if (entry->due_ms <= heap->entries[child]->due_ms) {
            break;
        }
        set(heap, at, heap->entries[child]);
    }
    set(heap, at, entry);
}

void heap_put(struct heap *heap, struct heap_entry *entry, int64_t due_ms)
{
    assert(entry->place == 0 || (entry->place <= heap->len &&
                                 heap->entries[entry->place - 1] == entry));
    entry->due_ms = due_ms;
    if (entry->place == 0) {
        assert(heap->len < heap->size);
        set(heap, heap->len++, entry);
    }
    rise(heap, entry->place - 1);
    sink(heap, entry->place - 1);
}

void heap_remove(struct heap *heap, struct heap_entry *entry)
{
    if (entry->place == 0) {
        return;
    }
    size_t at = entry->place - 1;
    assert(at < heap->len && heap->entries[at] == entry);
    entry->place = 0;
    struct heap_entry *last = heap->entries[--heap->len];
    if (last == entry) {
        return;
    }
    set(heap, at, last);
    rise(heap, at);
    sink(heap, last->place - 1);
}

struct heap_entry *heap_first(const struct heap *heap)
{
    assert(!heap->len || heap->entries[0]->place == 1);
    return heap->len ? heap->entries[0] : NULL;
}
