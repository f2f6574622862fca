#include "base/must.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static alignas(max_align_t) unsigned char reserve[MUST_SLOTS][MUST_BYTES_MAX];
static atomic_bool taken[MUST_SLOTS];

static void *from_reserve(size_t bytes)
{
    for (size_t i = 0; bytes <= MUST_BYTES_MAX && i < MUST_SLOTS; i++) {
        if (!atomic_exchange(&taken[i], true)) {
            return memset(reserve[i], 0, bytes);
        }
    }
    return NULL;
}

void *must_calloc(size_t bytes)
{
    void *at = calloc(1, bytes);
    if (!at) {
        at = from_reserve(bytes);
    }
    if (!at) {
        fputs("no memory, and the reserve is used up\n", stderr);
        abort();
    }
    return at;
}

void must_free(void *at)
{
    const uintptr_t from = (uintptr_t)reserve;
    const uintptr_t place = (uintptr_t)at - from;
    if ((uintptr_t)at >= from && place < sizeof reserve) {
        atomic_store(&taken[place / MUST_BYTES_MAX], false);
    } else {
        free(at);
    }
}
