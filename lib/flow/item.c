#include "flow/item.h"

#include <assert.h>
#include <stdlib.h>

#define OVERHEAD_BYTES 512 /* allocators', and a rejection's timer */

static size_t message_bytes(const struct message *message)
{
    size_t bytes = sizeof *message + message->key.len + message->value.len;
    for (size_t i = 0; i < message->headers_len; i++) {
        const struct message_header *header = &message->headers[i];
        bytes += sizeof *header + header->name.len + header->value.len;
    }
    return bytes;
}

void item_weigh(struct item *item)
{
    assert(*item->waiting_bytes >= (int64_t)item->bytes);
    *item->waiting_bytes -= (int64_t)item->bytes;
    item->bytes = sizeof *item + OVERHEAD_BYTES + message_bytes(item->message) +
                  item->arena.used_bytes;
    *item->waiting_bytes += (int64_t)item->bytes;
}

uint64_t item_id_hash(struct str request_id)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < request_id.len; i++) {
        hash =
            (hash ^ (unsigned char)request_id.at[i]) * UINT64_C(1099511628211);
    }
    return hash ? hash : 1;
}

struct item *item_new(int64_t *waiting_bytes, struct message *message)
{
    assert(*waiting_bytes >= 0 && message);
    struct item *item = calloc(1, sizeof *item);
    if (!item) {
        return NULL;
    }
    item->waiting_bytes = waiting_bytes;
    item->message = message;
    list_init(&item->link);
    arena_init(&item->arena, 2048, 0);
    item_weigh(item);
    return item;
}

void item_free(struct item *item)
{
    assert(*item->waiting_bytes >= (int64_t)item->bytes);
    *item->waiting_bytes -= (int64_t)item->bytes;
    list_remove(&item->link);
    loop_timer_free(item->retry);
    arena_done(&item->arena);
    free(item);
}
