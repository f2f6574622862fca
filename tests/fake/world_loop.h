#ifndef FAKE_WORLD_LOOP_H
#define FAKE_WORLD_LOOP_H

#include "fake/world.h"

/** Between world.c, loop.c and what closes a door later. */

struct deferred {
    loop_fn *fn;
    void *context;
};

struct loop {
    struct world *world;
    struct list link;   /* in world->loops */
    struct list timers; /* all that were made and not freed with the loop */
    struct deferred *defers;
    size_t defers_len;
    size_t defers_size;
    struct deferred *running; /* those that are being called */
    size_t running_len;
    char name[24];
    int64_t frozen_until_ms;
    int64_t stalled_ms; /* its clock read afresh is so far ahead of its turn */
    int held; /* events that wait for the thaw: later ones queue behind */
    bool dead;
    bool stopped;
    bool closed;
};

/** fn(context) on that loop; drop(context) if the loop is gone by then. */
void world_on_loop(struct world *world, struct loop *loop, int64_t delay_ms,
                   loop_fn *fn, loop_fn *drop, void *context);

/** The end of a turn: what was deferred. */
void loop_end_turn(struct loop *loop);

#endif
