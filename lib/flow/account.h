#ifndef FLOW_ACCOUNT_H
#define FLOW_ACCOUNT_H

#include "flow/stage.h"

/**
 * What is one's own with every account at the provider: whether an effect may
 * begin, whether its keys are honoured, its ids that wait to be written. A
 * worker has one.
 */
struct account {
    struct gate gate;
    struct keys keys;
    struct learn learn;
};

struct account_ties {
    const struct clock *clock;
    loop_fn *on_room;    /* an effect may begin that could not */
    loop_fn *on_written; /* an id was written that somebody had learnt */
    void *context;
};

/** options and edges outlive it. false: no memory; account_done() is still
 * allowed. */
MUST_CHECK bool account_init(struct account *account,
                             const struct stage_options *options,
                             const struct stage_edges *edges,
                             const struct account_ties *ties);
void account_done(struct account *account);

#endif
