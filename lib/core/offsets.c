#include "core/offsets.h"

#include <assert.h>
#include <stdlib.h>

#define RING_MIN 64

struct offsets_entry {
    int64_t offset;
    uint32_t epoch;
    bool finished;
};

void offsets_init(struct offsets *offsets)
{
    *offsets = (struct offsets){.last = -1, .prefix = -1};
}

/** The entry at position i, counted from the oldest. */
static struct offsets_entry *entry_at(const struct offsets *offsets, size_t i)
{
    assert(i < offsets->len);
    assert((offsets->size & (offsets->size - 1)) == 0);
    return &offsets->ring[(offsets->head + i) & (offsets->size - 1)];
}

static bool grow(struct offsets *offsets)
{
    assert(offsets->len == offsets->size);
    size_t size = offsets->size ? offsets->size * 2 : RING_MIN;
    struct offsets_entry *ring = calloc(size, sizeof *ring);
    if (!ring) {
        return false;
    }
    for (size_t i = 0; i < offsets->len; i++) {
        ring[i] = *entry_at(offsets, i);
    }
    free(offsets->ring);
    offsets->ring = ring;
    offsets->size = size;
    offsets->head = 0;
    return true;
}

bool offsets_add(struct offsets *offsets, int64_t offset, uint32_t epoch)
{
    assert(offset >= 0);
    if (offset <= offsets->last) {
        return false;
    }
    offsets->last = offset;
    if (offsets->failed) {
        return true;
    }
    if (offsets->len == offsets->size && !grow(offsets)) {
        offsets->failed = true;
        return true;
    }
    offsets->len++;
    *entry_at(offsets, offsets->len - 1) =
        (struct offsets_entry){.offset = offset, .epoch = epoch};
    return true;
}

void offsets_rewind(struct offsets *offsets, int64_t offset)
{
    assert(offset >= 0 && offset <= offsets->last);
    while (offsets->len > 0 &&
           entry_at(offsets, offsets->len - 1)->offset >= offset) {
        offsets->len--;
    }
    offsets->last = offset - 1;
}

/** By halving: the ring is in growing order. */
static struct offsets_entry *find(const struct offsets *offsets, int64_t offset,
                                  uint32_t epoch)
{
    assert(offsets->len <= offsets->size);
    size_t low = 0;
    size_t high = offsets->len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct offsets_entry *entry = entry_at(offsets, middle);
        if (entry->offset == offset) {
            return entry->epoch == epoch ? entry : NULL;
        }
        if (entry->offset < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

bool offsets_waits_for(const struct offsets *offsets, int64_t offset,
                       uint32_t epoch)
{
    const struct offsets_entry *entry = find(offsets, offset, epoch);
    return entry && !entry->finished;
}

bool offsets_finish(struct offsets *offsets, int64_t offset, uint32_t epoch)
{
    assert(offset >= 0);
    struct offsets_entry *entry = find(offsets, offset, epoch);
    if (!entry) {
        return false;
    }
    entry->finished = true;
    int64_t before = offsets->prefix;
    while (offsets->len > 0 && entry_at(offsets, 0)->finished) {
        offsets->prefix = entry_at(offsets, 0)->offset + 1;
        offsets->head = (offsets->head + 1) & (offsets->size - 1);
        offsets->len--;
    }
    return offsets->prefix != before;
}

void offsets_done(struct offsets *offsets)
{
    free(offsets->ring);
    *offsets = (struct offsets){.last = -1, .prefix = -1};
}

int64_t offsets_back_to(int64_t committed, int64_t by_time)
{
    return committed >= 0 && by_time >= 0 && by_time < committed ? by_time : -1;
}
