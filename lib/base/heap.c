#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

#define CHILDREN 4

void heap_init(struct heap *heap)
{
    *heap = (struct heap){0};
}

void heap_done(struct heap *heap)
{
    for (size_t i = 0; i < heap->len; i++) {
        heap->nodes[i].entry->place = 0;
    }
    free(heap->nodes);
    *heap = (struct heap){0};
}

bool heap_reserve(struct heap *heap, size_t entries)
{
    assert(heap->len <= heap->size);
    if (entries <= heap->size) {
        return true;
    }
    if (entries > SIZE_MAX / sizeof *heap->nodes) {
        return false;
    }
    struct heap_node *grown =
        realloc(heap->nodes, entries * sizeof *heap->nodes);
    if (!grown) {
        return false;
    }
    heap->nodes = grown;
    heap->size = entries;
    return true;
}

static void set(struct heap *heap, size_t at, struct heap_node node)
{
    assert(at < heap->size);
    heap->nodes[at] = node;
    node.entry->place = at + 1;
}

static void rise(struct heap *heap, size_t at, struct heap_node node)
{
    assert(at < heap->len);
    while (at > 0) {
        const size_t parent = (at - 1) / CHILDREN;
        if (heap->nodes[parent].due_ms <= node.due_ms) {
            break;
        }
        set(heap, at, heap->nodes[parent]);
        at = parent;
    }
    set(heap, at, node);
}

/** The earliest of its children; itself: it has none. */
static size_t first_child(const struct heap *heap, size_t at)
{
    const size_t from = CHILDREN * at + 1;
    const size_t to = from + CHILDREN < heap->len ? from + CHILDREN : heap->len;
    size_t first = from < heap->len ? from : at;
    for (size_t i = from + 1; i < to; i++) {
        first = heap->nodes[i].due_ms < heap->nodes[first].due_ms ? i : first;
    }
    return first;
}

static void sink(struct heap *heap, size_t at, struct heap_node node)
{
    assert(at < heap->len);
    for (size_t child; (child = first_child(heap, at)) != at; at = child) {
        if (node.due_ms <= heap->nodes[child].due_ms) {
            break;
        }
        set(heap, at, heap->nodes[child]);
    }
    set(heap, at, node);
}

/** From the place `at`, which is nobody's, whichever way it has to go. */
static void settle(struct heap *heap, size_t at, struct heap_node node)
{
    const size_t parent = (at - 1) / CHILDREN;
    if (at > 0 && node.due_ms < heap->nodes[parent].due_ms) {
        rise(heap, at, node);
    } else {
        sink(heap, at, node);
    }
}

void heap_put(struct heap *heap, struct heap_entry *entry, int64_t due_ms)
{
    assert(entry->place == 0 || (entry->place <= heap->len &&
                                 heap->nodes[entry->place - 1].entry == entry));
    entry->due_ms = due_ms;
    if (entry->place == 0) {
        assert(heap->len < heap->size);
        entry->place = ++heap->len;
    }
    settle(heap, entry->place - 1, (struct heap_node){due_ms, entry});
}

void heap_remove(struct heap *heap, struct heap_entry *entry)
{
    if (entry->place == 0) {
        return;
    }
    const size_t at = entry->place - 1;
    assert(at < heap->len && heap->nodes[at].entry == entry);
    entry->place = 0;
    const struct heap_node last = heap->nodes[--heap->len];
    if (last.entry != entry) {
        settle(heap, at, last);
    }
}

struct heap_entry *heap_first(const struct heap *heap)
{
    assert(!heap->len || heap->nodes[0].entry->place == 1);
    return heap->len ? heap->nodes[0].entry : NULL;
}
