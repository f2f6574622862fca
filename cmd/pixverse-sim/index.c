#include "index.h"

#include "draw.h"

#include <stdlib.h>

static uint64_t hash_of(struct str key)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; i < key.len; i++) {
        hash = (hash ^ (unsigned char)key.at[i]) * 0x100000001b3u;
    }
    hash = draw(hash, key.len);
    return hash ? hash : 1;
}

static struct index_entry *slot(const struct index *index, uint64_t hash)
{
    size_t at = (size_t)hash & (index->size - 1);
    while (index->entries[at].hash != 0 && index->entries[at].hash != hash) {
        at = (at + 1) & (index->size - 1);
    }
    return &index->entries[at];
}

void index_done(struct index *index)
{
    free(index->entries);
    *index = (struct index){0};
}

uint32_t index_find(const struct index *index, struct str key)
{
    if (index->size == 0) {
        return INDEX_NONE;
    }
    const struct index_entry *entry = slot(index, hash_of(key));
    return entry->hash ? entry->value : INDEX_NONE;
}

static void grow(struct index *index)
{
    struct index old = *index;
    index->size = old.size ? old.size * 2 : 1024;
    index->entries = calloc(index->size, sizeof(*index->entries));
    if (!index->entries) {
        abort();
    }
    for (size_t i = 0; i < old.size; i++) {
        if (old.entries[i].hash) {
            *slot(index, old.entries[i].hash) = old.entries[i];
        }
    }
    free(old.entries);
}

void index_put(struct index *index, struct str key, uint32_t value)
{
    if ((index->used + 1) * 2 > index->size) {
        grow(index);
    }
    const uint64_t hash = hash_of(key);
    struct index_entry *entry = slot(index, hash);
    index->used += entry->hash == 0;
    *entry = (struct index_entry){hash, value};
}
