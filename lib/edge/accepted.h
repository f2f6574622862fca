#ifndef EDGE_ACCEPTED_H
#define EDGE_ACCEPTED_H

#include "edge/store.h"

/** The store: what is to be told of requests that were taken in. */

#define ACCEPTED_MAX 200 /* of one ask */

struct accepted_ask {
    int64_t owner;
    bool orphans; /* that of owners who are gone, too */
    /** The broker has these: owed no more, first of all. */
    const int64_t *told;
    size_t told_len;
};

struct accepted_result {
    struct err err; /* other than ERR_NONE: nothing below holds */
    /** The oldest, ACCEPTED_MAX at most; only id and facts hold. A tenant is
     * absent where its history is pruned. */
    const struct facts_row *rows;
    size_t len;
};

typedef void accepted_fn(void *context, const struct accepted_result *result);

/** What is owed, in a unit of its own. Everything in *ask is copied. */
void store_accepted(struct store *store, const struct accepted_ask *ask,
                    accepted_fn *on_result, void *context);

#endif
