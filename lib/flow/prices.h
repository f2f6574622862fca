#ifndef FLOW_PRICES_H
#define FLOW_PRICES_H

#include "core/price.h"
#include "edge/loop.h"
#include "edge/store.h"

/**
 * What requests are estimated by: the operator's table, or what the like cost
 * of late, which is asked for when the store is there and every ten minutes
 * from then on.
 */
struct price_book {
    struct store *store;
    struct loop_timer *timer; /* null: there is a table */
    struct prices prices;     /* none: nothing is estimated */
    struct arena arenas[2];   /* of what was learnt, in turn */
    int arena;                /* which holds the prices */
    bool asked;               /* an answer is to come */
};

/** given: copied, its rules are the caller's; none: it learns. false: no
 * memory. */
MUST_CHECK bool price_book_init(struct price_book *book, struct loop *loop,
                                struct store *store,
                                const struct prices *given);
void price_book_done(struct price_book *book);

/** The store is there. */
void price_book_look(struct price_book *book);

#endif
