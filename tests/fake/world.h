#ifndef FAKE_WORLD_H
#define FAKE_WORLD_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/heap.h"
#include "base/list.h"
#include "edge/loop.h"

#include <stdbool.h>
#include <stdint.h>

/**
 * One world in virtual time: a clock, what will happen, and chance from a
 * seed. Everything outside the workers (provider, store, Kafka, storage) lives
 * in it, and each worker's loop takes its events from it, so that any number of
 * them run in one process, the same way each time.
 */

/** PostgreSQL's clock when the boot clock says 0. */
#define WORLD_EPOCH_MS INT64_C(1795327200000)

struct provider;
struct tables;
struct kafka;
struct storage;

struct world {
    int64_t now_ms; /* boot clock of every worker */
    uint64_t random;
    uint64_t events_made;
    struct heap events;
    struct list loops;
    struct provider *provider;
    struct tables *tables;
    struct kafka *kafka;
    struct storage *storage;
    struct buf transcript; /* what happened, a line each */
    char fault[300];       /* what never may happen and did; empty: nothing */
    int64_t clock_off_ms;  /* how far PostgreSQL's clock has jumped */
    loop_fn *on_turn;      /* null, or called after every event */
    void *turn_context;
    bool traced;       /* workers that start have a collector of traces */
    bool loud;         /* every log line to standard error, with times */
    const char *heard; /* lines with that are in the transcript; null: none */
};

/** The one in which loop_open() makes loops. */
struct world *world_open(uint64_t seed);
void world_close(struct world *world);
struct world *world_current(void);

uint32_t world_random(struct world *world);
/** From 0 to n - 1. */
int64_t world_pick(struct world *world, int64_t n);
/** True in so many of a thousand cases. */
bool world_chance(struct world *world, int per_mille);

int64_t world_clock_ms(const struct world *world);

/** One event; false: nothing will ever happen. */
bool world_turn(struct world *world);

/** Until done() says so; false: limit_ms of virtual time have passed. */
bool world_run_until(struct world *world, bool (*done)(void *context),
                     void *context, int64_t limit_ms);
void world_run_for(struct world *world, int64_t ms);

/** A line of the transcript, with the name of the worker whose turn it is. */
void world_tell(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** The first one stays. */
void world_fault(struct world *world, const char *what, const char *whose);

/**
 * Something that takes time: asked of an edge, done in the world, answered on
 * the loop. It is freed when it has ended and no event speaks of it any more.
 */
struct op {
    struct world *world;
    struct loop *loop;
    struct list link; /* in its edge, until it ends */
    struct arena arena;
    int events;
    bool ended;
};

typedef void op_fn(struct op *op);

/** @param bytes  Of the whole struct, which begins with the op; zeroed. */
void *op_new(struct loop *loop, struct list *edge, size_t bytes);

/** On the loop, unless the op has ended or the worker is gone by then. */
void op_on_loop(struct op *op, int64_t delay_ms, op_fn *fn);

/** In the world: what has left the worker happens whatever becomes of it. */
void op_in_world(struct op *op, int64_t delay_ms, op_fn *fn);

void op_end(struct op *op);

/** In the world, for itself. */
void world_at(struct world *world, int64_t delay_ms, loop_fn *fn,
              void *context);

/* ---- loops as the world sees them ---- */

void loop_name(struct loop *loop, const char *name);
struct world *loop_world(const struct loop *loop);

/** No event reaches it any more: the process is gone. */
void loop_kill(struct loop *loop);
bool loop_is_dead(const struct loop *loop);

/** Nothing of it runs until then; its clock goes on. */
void loop_freeze(struct loop *loop, int64_t ms);
bool loop_is_frozen(const struct loop *loop);

/** It stands still for so long within each turn, from now on. */
void loop_stall(struct loop *loop, int64_t ms);
bool loop_is_stopped(const struct loop *loop);

/** For the one edge that asks: whose turn it is; null: the world's. */
struct loop *world_turn_of(const struct world *world);

#endif
