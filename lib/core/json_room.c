#include "core/json_room.h"

#include "base/arena.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>

#define ROOM_BYTES 8192 /* of the usual message; kept for the next one */

static _Thread_local struct arena room;
static _Thread_local bool inside;

static void *take(size_t bytes)
{
    return inside ? arena_alloc(&room, bytes) : malloc(bytes);
}

static void give(void *bytes)
{
    if (!inside) {
        free(bytes);
    }
}

/** jansson takes them for the whole process, so before it has other threads.
 * What was made by malloc() goes by free(), whoever asked for it. */
__attribute__((constructor)) static void functions_set(void)
{
    json_set_alloc_funcs(take, give);
}

void json_room_begin(void)
{
    assert(!inside);
    if (!room.chunk_bytes) {
        arena_init(&room, ROOM_BYTES, 0);
    }
    inside = true;
}

bool json_room_end(void)
{
    assert(inside);
    const bool fine = !room.failed;
    inside = false;
    arena_reset(&room);
    return fine;
}
