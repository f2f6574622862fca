#ifndef FLOW_BATCH_H
#define FLOW_BATCH_H

#include "base/metric.h"
#include "core/accounts.h"
#include "edge/store.h"
#include "flow/aside.h"
#include "flow/clock.h"
#include "flow/item.h"
#include "flow/prices.h"

#define BATCH_MAX 500

enum batch_stage {
    BATCH_FILLS, /* or has nothing in it */
    BATCH_WAITS, /* for its turn; takes more until then, if it's the one */
    BATCH_ASKED, /* the store has it: its answer is to come */
    BATCH_LATER, /* not stored: again when its timer says so */
};

/**
 * Requests on their way into the store, in one commit: what they want to extend
 * is looked up first, then they become rows. Orders to cancel go with them.
 */
struct batch {
    void *owner; /* whoever has it */
    const struct clock *clock;
    const struct price_book *book;
    enum batch_stage stage;
    bool judged; /* what it extends is known */
    struct loop_timer *retry;
    int retries;
    struct list items;
    size_t len;
    size_t bytes;
    uint64_t ids[2 * BATCH_MAX]; /* hashes of its request ids; 0: free */
    struct arena arena;          /* of what goes to the store */
    const struct accounts *accounts;
    struct metric *invalid;
};

/** Clock and accounts outlive it. */
void batch_init(struct batch *batch, const struct clock *clock,
                const struct accounts *accounts, const struct price_book *book,
                struct metrics *metrics);
void batch_done(struct batch *batch);

bool batch_is_full(const struct batch *batch);
void batch_add(struct batch *batch, struct item *item);
/** The first, the caller's from now on; null: none is left. */
struct item *batch_pop(struct batch *batch);

/** Whether it has a request of that id; perhaps not, though it says so. */
bool batch_has(const struct batch *batch, struct str request_id);

/** What was made for the store before is gone. */
void batch_begin(struct batch *batch);

/** The provider's tasks that requests want to extend. false: no memory. */
MUST_CHECK bool batch_sources(struct batch *batch, const struct str **ids,
                              size_t *len);
/**
 * The answer: which of them can't be, and to whom the others go: to the account
 * that has the task. Of one that isn't ours the request says which, or it is
 * `default`, or the only one.
 *
 * @param aside  Gets those that are to be asked for again soon, the caller's
 *               from now on: what they extend is not finished as far as its row
 *               tells, which it may have been for a while (core/task.h). And
 *               whatever of their ids came after them.
 */
void batch_judge(struct batch *batch, const struct source *sources, size_t len,
                 struct aside *aside);

/** Which verdicts send a message to the rejected topic; REQUEST_NAMED: this one
 * does not. *why: in words, where its name does not say it. */
enum request_reject batch_refusal(enum intake_verdict verdict, struct str *why);

/** One row a request or order. null: no memory; a faulty request without its
 * event would be bought. */
const struct intake_row *batch_rows(struct batch *batch);

#endif
