#ifndef FAKE_NODE_H
#define FAKE_NODE_H

#include "edge/consumer.h"
#include "fake/bucket.h"
#include "fake/kafka.h"
#include "fake/provider.h"
#include "fake/store.h"
#include "fake/world.h"
#include "flow/worker.h"

/** One worker in the world: the real one, over the fakes. */
struct node {
    char name[24];
    struct world *world;
    struct loop *loop;
    struct stage_edges edges;
    struct worker worker;
    bool killed;
};

/** The settings' defaults, at a pace that suits a screen. */
struct stage_options node_options(void);

/** Their accounts become those of that APIMART_ACCOUNTS. */
void node_accounts(struct stage_options *options, const char *json);

/** @param options  Null: node_options(). */
struct node *node_start(struct world *world, const char *name,
                        const struct stage_options *options);

/** kill -9: what has left it happens, nothing else does. */
void node_kill(struct node *node);
void node_freeze(struct node *node, int64_t ms);

/** SIGTERM. */
void node_drain(struct node *node);
bool node_is_drained(void *node);

/** Alive or not: all its memory goes, and nothing of it is done any more. */
void node_free(struct node *node);

/** A request on the topic whose prompt is its id. */
void world_ask(struct world *world, const char *request_id);
/** The same with more fields of the envelope, such as ,"priority":9 */
void world_ask_with(struct world *world, const char *request_id,
                    const char *more);
/** The same, going on from the video of another of ours. */
void world_extend(struct world *world, const char *request_id,
                  const char *source, const char *more);

/** A message that cancels it. */
void world_cancel(struct world *world, const char *request_id,
                  const char *tenant);

#endif
