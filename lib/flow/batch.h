#ifndef FLOW_BATCH_H
#define FLOW_BATCH_H

#include "base/metric.h"
#include "edge/store.h"
#include "flow/clock.h"
#include "flow/item.h"

/**
 * Requests on their way into the store, in one commit: what they want to extend
 * is looked up first, then they become rows.
 */
struct batch {
    const struct clock *clock;
    struct list items;
    size_t len;
    size_t bytes;
    struct arena arena; /* of what goes to the store */
    struct metric *invalid;
};

void batch_init(struct batch *batch, const struct clock *clock,
                struct metrics *metrics);
void batch_done(struct batch *batch);

bool batch_is_full(const struct batch *batch);
void batch_add(struct batch *batch, struct item *item);
/** The first, the caller's from now on; null: none is left. */
struct item *batch_pop(struct batch *batch);

/** What was made for the store before is gone. */
void batch_begin(struct batch *batch);

/** The provider's tasks that requests want to extend. false: no memory. */
MUST_CHECK bool batch_sources(struct batch *batch, const struct str **ids,
                              size_t *len);
/**
 * The answer: which of them can't be.
 *
 * @param aside  Gets those that are to be asked for again soon, the caller's
 *               from now on: what they extend is not finished as far as its row
 *               tells, which it may have been for a while (core/task.h).
 */
void batch_judge(struct batch *batch, const enum source_state *states,
                 size_t len, struct list *aside);

/** One row a request. null: no memory; a faulty request without its event would
 * be bought. */
const struct intake_row *batch_rows(struct batch *batch);

#endif
