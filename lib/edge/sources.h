#ifndef EDGE_SOURCES_H
#define EDGE_SOURCES_H

#include "base/err.h"
#include "base/str.h"

#include <stddef.h>

/** What the store (store.h) knows of what requests want to extend. */

struct store;

enum source_state {
    SOURCE_FOREIGN,
    SOURCE_FINISHED,
    SOURCE_UNFINISHED,
    SOURCE_FAILED
};

struct source {
    enum source_state state;
    struct str account; /* which has it, by its name; absent: nobody knows */
};

typedef void sources_fn(void *context, const struct source *sources, size_t len,
                        const struct err *err);

/** What we know of provider ids that requests want to extend. */
void store_sources(struct store *store, const struct str *provider_task_ids,
                   size_t len, sources_fn *on_result, void *context);

#endif
