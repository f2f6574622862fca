#include "fake/kafka.h"
#include "fake/world_loop.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* lib/edge/loop.h over virtual time. */

#define ROUNDS_MAX 8

struct loop_timer {
    struct list link;
    struct loop *loop;
    loop_fn *fn;
    void *context;
    int events;       /* that still name it */
    uint32_t setting; /* only an event of the last setting counts */
    bool set;
    bool freed;
};

struct loop *loop_open(struct err *err)
{
    (void)err;
    struct loop *loop = calloc(1, sizeof *loop);
    assert(loop);
    loop->world = world_current();
    list_init(&loop->timers);
    list_init(&loop->link);
    list_add_tail(&loop->world->loops, &loop->link);
    return loop;
}

void loop_run(struct loop *loop)
{
    while (!loop->stopped && world_turn(loop->world)) {
    }
}

/** Its process ends: nothing of it is done any more. */
void loop_stop(struct loop *loop)
{
    loop->stopped = true;
    loop->dead = true;
    world_at(loop->world, SESSION_MS, kafka_forget_stopped, loop);
}

static void free_timer(struct loop_timer *timer)
{
    list_remove(&timer->link);
    free(timer);
}

/** Events may still name it: its memory goes with the world. */
void loop_close(struct loop *loop)
{
    for (struct list *at = loop->timers.next; at != &loop->timers;
         at = at->next) {
        assert(LIST_OWNER(at, struct loop_timer, link)->freed);
    }
    loop->dead = true;
    loop->closed = true;
    free(loop->defers);
    loop->defers = NULL;
    loop->defers_len = 0;
}

int64_t loop_boot_ms(const struct loop *loop)
{
    return loop->world->now_ms;
}

int64_t loop_boot_us(const struct loop *loop)
{
    return (loop->world->now_ms + loop->stalled_ms) * 1000;
}

uint32_t loop_random(struct loop *loop)
{
    return world_random(loop->world);
}

void loop_random_bytes(struct loop *loop, void *out, size_t len)
{
    unsigned char *bytes = out;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (unsigned char)world_random(loop->world);
    }
}

/* ---- timers ---- */

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *on_time,
                                  void *context)
{
    struct loop_timer *timer = calloc(1, sizeof *timer);
    assert(timer);
    timer->loop = loop;
    timer->fn = on_time;
    timer->context = context;
    list_init(&timer->link);
    list_add_tail(&loop->timers, &timer->link);
    return timer;
}

struct ring {
    struct loop_timer *timer;
    uint32_t setting;
};

static void release(struct ring *ring)
{
    struct loop_timer *timer = ring->timer;
    timer->events--;
    if (timer->freed && timer->events == 0) {
        free_timer(timer);
    }
    free(ring);
}

static void on_ring(void *context)
{
    struct ring *ring = context;
    struct loop_timer *timer = ring->timer;
    if (!timer->freed && timer->set && timer->setting == ring->setting) {
        timer->set = false;
        timer->fn(timer->context);
    }
    release(ring);
}

static void drop_ring(void *context)
{
    release(context);
}

void loop_timer_set(struct loop_timer *timer, int64_t delay_ms)
{
    struct ring *ring = malloc(sizeof *ring);
    assert(ring && !timer->freed);
    timer->set = true;
    timer->setting++;
    timer->events++;
    *ring = (struct ring){timer, timer->setting};
    world_on_loop(timer->loop->world, timer->loop, delay_ms, on_ring, drop_ring,
                  ring);
}

void loop_timer_stop(struct loop_timer *timer)
{
    timer->set = false;
}

void loop_timer_free(struct loop_timer *timer)
{
    if (!timer) {
        return;
    }
    timer->freed = true;
    if (timer->events == 0) {
        free_timer(timer);
    }
}

/* ---- deferred and posted calls, work ---- */

static void nothing(void *context)
{
    (void)context;
}

void loop_defer(struct loop *loop, loop_fn *fn, void *context)
{
    for (size_t i = 0; i < loop->defers_len; i++) {
        if (loop->defers[i].fn == fn && loop->defers[i].context == context) {
            return;
        }
    }
    if (loop->defers_len == loop->defers_size) {
        loop->defers_size = loop->defers_size ? loop->defers_size * 2 : 16;
        loop->defers =
            realloc(loop->defers, loop->defers_size * sizeof *loop->defers);
        assert(loop->defers);
    }
    loop->defers[loop->defers_len++] = (struct deferred){fn, context};
    if (world_turn_of(loop->world) != loop && loop->defers_len == 1) {
        world_on_loop(loop->world, loop, 0, nothing, NULL, NULL);
    }
}

static void undefer_from(struct deferred *calls, size_t len, loop_fn *fn,
                         const void *context)
{
    for (size_t i = 0; i < len; i++) {
        if (calls[i].fn == fn && calls[i].context == context) {
            calls[i] = (struct deferred){nothing, NULL};
        }
    }
}

void loop_undefer(struct loop *loop, loop_fn *fn, void *context)
{
    undefer_from(loop->defers, loop->defers_len, fn, context);
    undefer_from(loop->running, loop->running_len, fn, context);
}

static bool run_defers_once(struct loop *loop)
{
    struct deferred *calls = loop->defers;
    size_t len = loop->defers_len;
    loop->defers = NULL;
    loop->defers_len = 0;
    loop->defers_size = 0;
    loop->running = calls;
    loop->running_len = len;
    for (size_t i = 0; i < len; i++) {
        calls[i].fn(calls[i].context);
    }
    loop->running = NULL;
    loop->running_len = 0;
    free(calls);
    return len > 0;
}

void loop_end_turn(struct loop *loop)
{
    for (int i = 0; i < ROUNDS_MAX && run_defers_once(loop); i++) {
    }
    if (loop->defers_len) {
        world_on_loop(loop->world, loop, 0, nothing, NULL, NULL);
    }
}

struct post {
    loop_fn *work;
    loop_fn *fn;
    void *context;
};

static void on_post(void *context)
{
    struct post *post = context;
    if (post->work) {
        post->work(post->context);
    }
    post->fn(post->context);
    free(post);
}

static void later(struct loop *loop, int64_t delay_ms, loop_fn *work,
                  loop_fn *fn, void *context)
{
    struct post *post = malloc(sizeof *post);
    assert(post);
    *post = (struct post){work, fn, context};
    world_on_loop(loop->world, loop, delay_ms, on_post, free, post);
}

void loop_post(struct loop *loop, loop_fn *fn, void *context)
{
    later(loop, 0, NULL, fn, context);
}

void loop_work(struct loop *loop, loop_fn *work, loop_fn *done, void *context)
{
    later(loop, 1 + world_pick(loop->world, 3), work, done, context);
}

void loop_on_signal(struct loop *loop, int signal, loop_fn *fn, void *context)
{
    (void)loop;
    (void)signal;
    (void)fn;
    (void)context;
}

int64_t loop_longest_turn_us(const struct loop *loop)
{
    (void)loop;
    return 0;
}

/* ---- as the world sees it ---- */

void loop_name(struct loop *loop, const char *name)
{
    snprintf(loop->name, sizeof loop->name, "%s", name);
}

struct world *loop_world(const struct loop *loop)
{
    return loop->world;
}

void loop_kill(struct loop *loop)
{
    loop->dead = true;
}

bool loop_is_dead(const struct loop *loop)
{
    return loop->dead;
}

void loop_freeze(struct loop *loop, int64_t ms)
{
    if (!loop_is_frozen(loop)) { /* else what it has missed would mix */
        loop->frozen_until_ms = loop->world->now_ms + ms;
    }
}

void loop_stall(struct loop *loop, int64_t ms)
{
    assert(ms >= 0);
    loop->stalled_ms = ms;
}

bool loop_is_frozen(const struct loop *loop)
{
    return loop->frozen_until_ms > loop->world->now_ms;
}

bool loop_is_stopped(const struct loop *loop)
{
    return loop->stopped;
}
