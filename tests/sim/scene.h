#ifndef SIM_SCENE_H
#define SIM_SCENE_H

#include "lib/check.h"
#include "fake/node.h"

#include <stdio.h>
#include <string.h>

/** What every scenario begins and ends with. */

/** What never may happen did not. */
static inline void close_world(struct world *world)
{
    assert_string_equal(world->fault, "");
    world_close(world);
}

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS INT64_C(3600000)

static inline void told(struct world *world, const char *expected)
{
    const char *got = world->transcript.bytes ? world->transcript.bytes : "";
    assert_string_equal(got, expected);
}

/** How often the transcript says so. */
static inline int times_told(const struct world *world, const char *words)
{
    int n = 0;
    for (const char *at = world->transcript.bytes;
         at && (at = strstr(at, words)); at++) {
        n++;
    }
    return n;
}

static inline void until_closed(struct world *world, int64_t limit_ms)
{
    assert_true(world_run_until(world, tables_all_closed, world, limit_ms));
}

static inline enum task_state state_of(struct world *world, const char *id)
{
    const struct record_of *record = tables_find(world->tables, id);
    return !record          ? TASK_STATES_LEN
           : record->closed ? CLOSED
                            : record->row.state;
}

/** The value of the last event of that request; "": none. */
static inline const char *event_of(struct world *world, const char *id)
{
    const char *value = "";
    for (size_t i = 0; i < world->kafka->records_len; i++) {
        const struct record *record = &world->kafka->records[i];
        if (strcmp(record->topic, "pixverse.events") == 0 &&
            strcmp(record->key, id) == 0) {
            value = record->value;
        }
    }
    return value;
}

static inline const struct sale *sale_named(struct world *world, const char *id)
{
    const struct sale *sale = NULL;
    for (size_t i = 0; i < world->provider->sales_len; i++) {
        const struct sale *one = world->provider->sales[i];
        sale = strcmp(one->prompt, id) == 0 ? one : sale;
    }
    return sale;
}

struct wanted {
    struct world *world;
    const char *id;
    enum task_state state;
};

static inline bool is_there(void *context)
{
    const struct wanted *wanted = context;
    return state_of(wanted->world, wanted->id) == wanted->state;
}

/** Until the stored row is in that state. */
static inline void until_state(struct world *world, const char *id,
                               enum task_state state, int64_t limit_ms)
{
    struct wanted wanted = {world, id, state};
    assert_true(world_run_until(world, is_there, &wanted, limit_ms));
}

/** A worker that stands, and "a", of which the provider makes that. */
static inline struct world *scene_of_one(uint64_t seed, struct plan plan,
                                         const char *more, struct node **w1)
{
    struct world *world = world_open(seed);
    *w1 = node_start(world, "w1", NULL);
    world_run_for(world, 1000);
    provider_plan(world, "a", plan);
    world_ask_with(world, "a", more);
    return world;
}

/** w2 may be null. */
static inline void end_scene(struct world *world, struct node *w1,
                             struct node *w2)
{
    node_free(w1);
    if (w2) {
        node_free(w2);
    }
    close_world(world);
}

#endif
