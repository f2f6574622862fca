#include <string.h>

#include "lib/check.h"
#include "base/heap.h"

#define ENTRIES 300

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

TEST_CASE(heap_put__random_changes__the_first_is_always_the_earliest)
{
    struct heap heap;
    struct heap_entry entries[ENTRIES] = {0};
    uint32_t seed = 42;
    heap_init(&heap);
    assert_null(heap_first(&heap));
    assert_true(heap_reserve(&heap, ENTRIES));
    for (int turn = 0; turn < 20000; turn++) {
        struct heap_entry *entry = &entries[next(&seed) % ENTRIES];
        if (next(&seed) % 3) {
            heap_put(&heap, entry, next(&seed) % 1000);
        } else {
            heap_remove(&heap, entry);
            assert_int_equal(entry->place, 0);
        }
        size_t count = 0;
        int64_t least = INT64_MAX;
        for (size_t i = 0; i < ENTRIES; i++) {
            if (entries[i].place) {
                const struct heap_node *node =
                    &heap.nodes[entries[i].place - 1];
                assert_ptr_equal(node->entry, &entries[i]);
                assert_int_equal(node->due_ms, entries[i].due_ms);
                count++;
                least = entries[i].due_ms < least ? entries[i].due_ms : least;
            }
        }
        assert_int_equal(count, heap.len);
        if (count) {
            assert_int_equal(heap_first(&heap)->due_ms, least);
        }
    }
    heap_done(&heap);
    assert_int_equal(entries[0].place, 0);
}

TEST_CASE(heap_remove__one_by_one__comes_out_in_order)
{
    struct heap heap;
    struct heap_entry entries[ENTRIES] = {0};
    uint32_t seed = 7;
    heap_init(&heap);
    heap_reserve(&heap, ENTRIES);
    for (size_t i = 0; i < ENTRIES; i++) {
        heap_put(&heap, &entries[i], (int64_t)(next(&seed) % 50) - 25);
    }
    int64_t last = INT64_MIN;
    for (size_t i = 0; i < ENTRIES; i++) {
        struct heap_entry *first = heap_first(&heap);
        assert_true(first->due_ms >= last);
        last = first->due_ms;
        heap_remove(&heap, first);
        heap_remove(&heap, first);
    }
    assert_null(heap_first(&heap));
    heap_done(&heap);
}

TESTS_RUN(NULL, NULL)
