#ifndef SIM_ACCOUNTS_H
#define SIM_ACCOUNTS_H

#include "sim/scene.h"

/* A world of one worker that buys by several accounts, a ledger for each. */

#define THREE                                                                  \
    "[{\"name\":\"a\",\"key\":\"a\"},{\"name\":\"b\",\"key\":\"b\"},"          \
    "{\"name\":\"c\",\"key\":\"c\",\"weight\":2}]"

static inline struct stage_options with(const char *accounts)
{
    struct stage_options options = node_options();
    node_accounts(&options, accounts);
    return options;
}

static inline struct world *begin(struct node **w1, const char *accounts)
{
    struct world *world = world_open(7);
    const struct stage_options options = with(accounts);
    world->provider->apart = true;
    *w1 = node_start(world, "w1", &options);
    return world;
}

static inline void ask_many(struct world *world, int from, int to)
{
    for (int i = from; i < to; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%d", i);
        world_ask(world, id);
    }
}

static inline void end(struct world *world, struct node *node)
{
    node_free(node);
    close_world(world);
}

#endif
