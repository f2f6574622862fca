#include "fake/world_loop.h"

#include "base/log.h"
#include "fake/bucket.h"
#include "fake/kafka.h"
#include "fake/provider.h"
#include "fake/store.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct happening {
    struct heap_entry due;
    int64_t at_ms;
    struct loop *loop; /* null: the world's own */
    loop_fn *fn;
    loop_fn *drop;
    void *context;
    bool held;
};

static struct world *current;
static struct loop *turn_of;

struct world *world_current(void)
{
    return current;
}

struct loop *world_turn_of(const struct world *world)
{
    (void)world;
    return turn_of;
}

/* ---- chance ---- */

uint32_t world_random(struct world *world)
{
    /* splitmix64 */
    uint64_t z = world->random += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return (uint32_t)((z ^ (z >> 31)) >> 16);
}

int64_t world_pick(struct world *world, int64_t n)
{
    return n > 0 ? (int64_t)(world_random(world) % (uint64_t)n) : 0;
}

bool world_chance(struct world *world, int per_mille)
{
    return per_mille > 0 && world_pick(world, 1000) < per_mille;
}

/* ---- what was said ---- */

static void copy_field(const char *line, const char *name, char *out,
                       size_t size)
{
    const char *at = strstr(line, name);
    size_t len = 0;
    if (at) {
        at += strlen(name);
        len = strcspn(at, " \n");
    }
    snprintf(out, size, "%.*s", (int)len, at ? at : "");
}

/** A change of state becomes a line of the transcript, and what is asked for.
 */
static void hear(const char *line, size_t len, void *context)
{
    struct world *world = context;
    if (world->loud) {
        fprintf(stderr, "%10.3f %-4s %.*s", (double)world->now_ms / 1e3,
                turn_of ? turn_of->name : "", (int)len, line);
    }
    char text[512];
    char id[140];
    char from[24];
    char to[24];
    char outcome[40];
    snprintf(text, sizeof text, "%.*s", (int)len, line);
    if (world->heard && strstr(text, world->heard)) {
        world_tell(world, "%s", text);
    }
    if (!strstr(text, " task ") || !strstr(text, " outcome=")) {
        return;
    }
    copy_field(text, "request_id=", id, sizeof id);
    copy_field(text, "from=", from, sizeof from);
    copy_field(text, "to=", to, sizeof to);
    copy_field(text, "outcome=", outcome, sizeof outcome);
    if (strcmp(outcome, "RECEIVED") == 0) {
        world_tell(world, "%s > %s", id, to);
        return;
    }
    world_tell(world, "%s %s > %s (%s)", id, from, to, outcome);
}

void world_tell(struct world *world, const char *format, ...)
{
    char text[600];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (world->loud) {
        fprintf(stderr, "%10.3f %-4s -- %s\n", (double)world->now_ms / 1e3,
                turn_of ? turn_of->name : "", text);
    }
    buf_printf(&world->transcript, "%s%s%s\n", turn_of ? turn_of->name : "",
               turn_of ? ": " : "", text);
}

void world_fault(struct world *world, const char *what, const char *whose)
{
    if (!world->fault[0]) {
        snprintf(world->fault, sizeof world->fault, "%s: %s", whose, what);
        world_tell(world, "FAULT %s", world->fault);
    }
}

/* ---- life ---- */

struct world *world_open(uint64_t seed)
{
    struct world *world = calloc(1, sizeof *world);
    assert(world); /* a failed test may have left one behind */
    current = world;
    world->random = seed * 0x2545f4914f6cdd1dU + 1;
    world->now_ms = 1000;
    world->loud = getenv("LOUD") != NULL;
    heap_init(&world->events);
    list_init(&world->loops);
    buf_init(&world->transcript, 0);
    world->provider = provider_open(world);
    world->tables = tables_open(world);
    world->kafka = kafka_open(world);
    world->storage = storage_open(world);
    log_open(world->loud ? LOG_DEBUG : LOG_INFO, false);
    log_redirect(hear, world);
    return world;
}

static void drop(struct happening *event)
{
    if (event->drop) {
        event->drop(event->context);
    }
    free(event);
}

void world_close(struct world *world)
{
    struct heap_entry *first;
    while ((first = heap_first(&world->events))) {
        heap_remove(&world->events, first);
        drop(LIST_OWNER(first, struct happening, due));
    }
    while (!list_is_empty(&world->loops)) {
        struct loop *loop =
            LIST_OWNER(list_pop(&world->loops), struct loop, link);
        assert(loop->closed && list_is_empty(&loop->timers));
        free(loop);
    }
    heap_done(&world->events);
    provider_close(world->provider);
    tables_close(world->tables);
    kafka_close(world->kafka);
    storage_close(world->storage);
    buf_done(&world->transcript);
    log_redirect(NULL, NULL);
    free(world);
    current = NULL;
}

int64_t world_clock_ms(const struct world *world)
{
    return WORLD_EPOCH_MS + world->now_ms + world->clock_off_ms;
}

/* ---- events ---- */

/* events of one millisecond keep their order */
#define ORDERS INT64_C(0x1000000)

static void put(struct world *world, struct happening *event)
{
    bool room = heap_reserve(&world->events, world->events.len + 1);
    assert(room);
    (void)room;
    int64_t order = (int64_t)(world->events_made++ % (uint64_t)ORDERS);
    heap_put(&world->events, &event->due, event->at_ms * ORDERS + order);
}

void world_on_loop(struct world *world, struct loop *loop, int64_t delay_ms,
                   loop_fn *fn, loop_fn *drop_fn, void *context)
{
    struct happening *event = calloc(1, sizeof *event);
    assert(event);
    event->at_ms = world->now_ms + (delay_ms > 0 ? delay_ms : 0);
    event->loop = loop;
    event->fn = fn;
    event->drop = drop_fn;
    event->context = context;
    put(world, event);
}

void world_at(struct world *world, int64_t delay_ms, loop_fn *fn, void *context)
{
    world_on_loop(world, NULL, delay_ms, fn, NULL, context);
}

/** Until its loop thaws, in order. */
static void hold(struct world *world, struct happening *event)
{
    int64_t at_ms = event->loop->frozen_until_ms;
    event->at_ms = at_ms > world->now_ms ? at_ms : world->now_ms;
    event->held = true;
    event->loop->held++;
    put(world, event);
}

static void run(struct world *world, struct happening *event)
{
    struct loop *loop = event->loop;
    if (loop && loop->dead) {
        drop(event);
        return;
    }
    if (loop && event->held) {
        loop->held--;
    }
    if (loop && (loop->frozen_until_ms > world->now_ms ||
                 (loop->held > 0 && !event->held))) {
        hold(world, event);
        return;
    }
    turn_of = loop;
    event->fn(event->context);
    free(event);
    if (loop && !loop->dead) {
        loop_end_turn(loop);
    }
    turn_of = NULL;
}

bool world_turn(struct world *world)
{
    struct heap_entry *first = heap_first(&world->events);
    if (!first) {
        return false;
    }
    struct happening *event = LIST_OWNER(first, struct happening, due);
    heap_remove(&world->events, first);
    assert(event->at_ms >= world->now_ms);
    world->now_ms = event->at_ms;
    run(world, event);
    if (world->on_turn) {
        world->on_turn(world->turn_context);
    }
    return true;
}

bool world_run_until(struct world *world, bool (*done)(void *context),
                     void *context, int64_t limit_ms)
{
    const int64_t until_ms = world->now_ms + limit_ms;
    while (!done(context)) {
        const struct heap_entry *first = heap_first(&world->events);
        if (!first || first->due_ms / ORDERS > until_ms) {
            world->now_ms = until_ms;
            return false;
        }
        world_turn(world);
    }
    return true;
}

static bool never(void *context)
{
    (void)context;
    return false;
}

void world_run_for(struct world *world, int64_t ms)
{
    (void)world_run_until(world, never, NULL, ms);
}

/* ---- ops ---- */

struct step_of_op {
    struct op *op;
    op_fn *fn;
    bool always;
};

static void op_release(struct op *op)
{
    op->events--;
    if (op->ended && op->events == 0) {
        arena_done(&op->arena);
        free(op);
    }
}

static void op_run(void *context)
{
    struct step_of_op *step = context;
    if (!step->op->ended || step->always) {
        step->fn(step->op);
    }
    op_release(step->op);
    free(step);
}

static void op_drop(void *context)
{
    struct step_of_op *step = context;
    if (list_is_empty(&step->op->link)) {
        step->op->ended = true; /* of no edge: nobody else would end it */
    }
    op_release(step->op);
    free(step);
}

void *op_new(struct loop *loop, struct list *edge, size_t bytes)
{
    struct op *op = calloc(1, bytes);
    assert(op);
    op->world = loop_world(loop);
    op->loop = loop;
    list_init(&op->link);
    list_add_tail(edge, &op->link);
    arena_init(&op->arena, 1024, 0);
    return op;
}

static void op_later(struct op *op, struct loop *loop, int64_t delay_ms,
                     op_fn *fn)
{
    struct step_of_op *step = malloc(sizeof *step);
    assert(step);
    *step = (struct step_of_op){op, fn, !loop};
    op->events++;
    world_on_loop(op->world, loop, delay_ms, op_run, op_drop, step);
}

void op_on_loop(struct op *op, int64_t delay_ms, op_fn *fn)
{
    op_later(op, op->loop, delay_ms, fn);
}

void op_in_world(struct op *op, int64_t delay_ms, op_fn *fn)
{
    op_later(op, NULL, delay_ms, fn);
}

/** May be called from within one of its own steps. */
void op_end(struct op *op)
{
    assert(!op->ended);
    op->ended = true;
    list_remove(&op->link);
    if (op->events == 0) {
        arena_done(&op->arena);
        free(op);
    }
}
