#include "edge/loop.h"

#include "base/list.h"
#include "edge/loop_uv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define SIGNALS_MAX 8
#define DEFERS_FIRST 64
#define DRAIN_ROUNDS 8 /* deferred calls that defer again, before the loop waits */

struct call {
    loop_fn *fn;
    void *context;
};

struct post {
    struct post *next;
    struct call call;
};

struct watched_signal {
    uv_signal_t uv;
    struct call call;
};

struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare; /* runs what was deferred, right before the wait */
    uv_check_t check;     /* right after the wait: the turn begins */
    uv_idle_t idle;       /* keeps the loop from waiting while calls are left */
    uv_async_t async;     /* wakes it for posts */
    uv_mutex_t posts_lock;
    struct post *posts;   /* oldest first */
    struct post **posts_last;
    struct call *defers;
    size_t defers_len;
    size_t defers_size;
    struct watched_signal signals[SIGNALS_MAX];
    size_t signals_len;
    size_t timers; /* alive: must be none at the end */
    size_t works;  /* under way: must be none at the end */
    int64_t boot_ms;
    int64_t turn_began_us;
    int64_t longest_us;
    bool stopping;
};

struct loop_timer {
    uv_timer_t uv;
    struct loop *loop;
    struct call call;
};

struct work {
    uv_work_t uv;
    struct loop *loop;
    loop_fn *work;
    loop_fn *done;
    void *context;
};

/* ---- clocks ---------------------------------------------------------------- */

static int64_t boot_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t loop_boot_us(const struct loop *loop)
{
    (void)loop;
    return boot_us();
}

int64_t loop_boot_ms(const struct loop *loop)
{
    return loop->boot_ms;
}

int64_t loop_longest_turn_us(struct loop *loop)
{
    int64_t longest_us = loop->longest_us;
    loop->longest_us = 0;
    return longest_us;
}

/* ---- deferred calls and posts --------------------------------------------------- */

static bool run_defers_once(struct loop *loop)
{
    size_t len = loop->defers_len;
    struct call *calls = loop->defers;
    if (!len) {
        return false;
    }
    /* What is deferred from here on goes into a fresh array. */
    size_t size = loop->defers_size;
    loop->defers = calloc(size, sizeof *loop->defers);
    assert(loop->defers);
    loop->defers_len = 0;
    for (size_t i = 0; i < len; i++) {
        calls[i].fn(calls[i].context);
    }
    free(calls);
    return true;
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle;
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct loop *loop = prepare->data;
    for (int i = 0; i < DRAIN_ROUNDS && run_defers_once(loop); i++) {
    }
    if (loop->defers_len) {
        uv_idle_start(&loop->idle, on_idle);
    } else {
        uv_idle_stop(&loop->idle);
    }
    int64_t turn_us = boot_us() - loop->turn_began_us;
    if (turn_us > loop->longest_us) {
        loop->longest_us = turn_us;
    }
}

static void on_check(uv_check_t *check)
{
    struct loop *loop = check->data;
    loop->turn_began_us = boot_us();
    loop->boot_ms = loop->turn_began_us / 1000;
}

void loop_defer(struct loop *loop, loop_fn *fn, void *context)
{
    for (size_t i = 0; i < loop->defers_len; i++) {
        if (loop->defers[i].fn == fn && loop->defers[i].context == context) {
            return;
        }
    }
    if (loop->defers_len == loop->defers_size) {
        size_t size = loop->defers_size * 2;
        struct call *calls = realloc(loop->defers, size * sizeof *calls);
        assert(calls); /* a lost deferred call would be a lost wake-up */
        loop->defers = calls;
        loop->defers_size = size;
    }
    loop->defers[loop->defers_len++] = (struct call){fn, context};
}

static void on_async(uv_async_t *async)
{
    struct loop *loop = async->data;
    uv_mutex_lock(&loop->posts_lock);
    struct post *post = loop->posts;
    loop->posts = NULL;
    loop->posts_last = &loop->posts;
    uv_mutex_unlock(&loop->posts_lock);
    while (post) {
        struct post *next = post->next;
        post->call.fn(post->call.context);
        free(post);
        post = next;
    }
}

void loop_post(struct loop *loop, loop_fn *fn, void *context)
{
    struct post *post = malloc(sizeof *post);
    assert(post);
    *post = (struct post){.call = {fn, context}};
    uv_mutex_lock(&loop->posts_lock);
    *loop->posts_last = post;
    loop->posts_last = &post->next;
    uv_mutex_unlock(&loop->posts_lock);
    uv_async_send(&loop->async);
}

/* ---- life ------------------------------------------------------------------------- */

uv_loop_t *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

struct loop *loop_open(struct err *err)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (loop) {
        loop->defers = calloc(DEFERS_FIRST, sizeof *loop->defers);
    }
    if (!loop || !loop->defers || uv_loop_init(&loop->uv) != 0) {
        if (loop) {
            free(loop->defers);
        }
        free(loop);
        err_set(err, ERR_FATAL, "can't make an event loop");
        return NULL;
    }
    loop->defers_size = DEFERS_FIRST;
    loop->posts_last = &loop->posts;
    uv_mutex_init(&loop->posts_lock);
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_check_init(&loop->uv, &loop->check);
    uv_idle_init(&loop->uv, &loop->idle);
    uv_async_init(&loop->uv, &loop->async, on_async);
    loop->prepare.data = loop;
    loop->check.data = loop;
    loop->async.data = loop;
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_check_start(&loop->check, on_check);
    uv_unref((uv_handle_t *)&loop->prepare);
    uv_unref((uv_handle_t *)&loop->check);
    loop->turn_began_us = boot_us();
    loop->boot_ms = loop->turn_began_us / 1000;
    return loop;
}

void loop_run(struct loop *loop)
{
    loop->stopping = false;
    loop->turn_began_us = boot_us();
    loop->boot_ms = loop->turn_began_us / 1000;
    uv_update_time(&loop->uv);
    while (!loop->stopping) {
        uv_run(&loop->uv, UV_RUN_ONCE);
    }
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
    uv_stop(&loop->uv);
    uv_async_send(&loop->async);
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

void loop_close(struct loop *loop)
{
    /* Let work that is under way come to its end. */
    while (loop->works > 0) {
        uv_run(&loop->uv, UV_RUN_ONCE);
    }
    assert(loop->timers == 0);
    uv_walk(&loop->uv, close_handle, NULL);
    while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0) {
    }
    int busy = uv_loop_close(&loop->uv);
    assert(busy == 0);
    (void)busy;
    uv_mutex_destroy(&loop->posts_lock);
    while (loop->posts) {
        struct post *next = loop->posts->next;
        free(loop->posts);
        loop->posts = next;
    }
    free(loop->defers);
    free(loop);
}

/* ---- randomness ------------------------------------------------------------------- */

void loop_random_bytes(struct loop *loop, void *out, size_t len)
{
    (void)loop;
    unsigned char *at = out;
    while (len) {
        ssize_t n = getrandom(at, len, 0);
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
}

uint32_t loop_random(struct loop *loop)
{
    uint32_t value;
    loop_random_bytes(loop, &value, sizeof value);
    return value;
}

/* ---- timers ------------------------------------------------------------------------ */

static void on_uv_timer(uv_timer_t *uv)
{
    struct loop_timer *timer = uv->data;
    timer->call.fn(timer->call.context);
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *on_time,
                                  void *context)
{
    struct loop_timer *timer = calloc(1, sizeof *timer);
    if (timer) {
        timer->loop = loop;
        timer->call = (struct call){on_time, context};
        uv_timer_init(&loop->uv, &timer->uv);
        timer->uv.data = timer;
        loop->timers++;
    }
    return timer;
}

void loop_timer_set(struct loop_timer *timer, int64_t delay_ms)
{
    /* libuv counts from the start of the turn; a long turn must not make the
     * timer early. */
    uv_update_time(&timer->loop->uv);
    uv_timer_start(&timer->uv, on_uv_timer,
                   delay_ms > 0 ? (uint64_t)delay_ms : 0, 0);
}

void loop_timer_stop(struct loop_timer *timer)
{
    uv_timer_stop(&timer->uv);
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void loop_timer_free(struct loop_timer *timer)
{
    if (timer) {
        timer->loop->timers--;
        uv_close((uv_handle_t *)&timer->uv, on_timer_closed);
    }
}

/* ---- signals ------------------------------------------------------------------------- */

static void on_uv_signal(uv_signal_t *uv, int number)
{
    struct watched_signal *watched = uv->data;
    (void)number;
    watched->call.fn(watched->call.context);
}

void loop_on_signal(struct loop *loop, int signal, loop_fn *fn, void *context)
{
    assert(loop->signals_len < SIGNALS_MAX);
    struct watched_signal *watched = &loop->signals[loop->signals_len++];
    watched->call = (struct call){fn, context};
    uv_signal_init(&loop->uv, &watched->uv);
    watched->uv.data = watched;
    uv_signal_start(&watched->uv, on_uv_signal, signal);
    uv_unref((uv_handle_t *)&watched->uv);
}

/* ---- blocking work ---------------------------------------------------------------------- */

static void do_work(uv_work_t *uv)
{
    struct work *work = uv->data;
    work->work(work->context);
}

static void work_done(uv_work_t *uv, int status)
{
    struct work *work = uv->data;
    (void)status;
    work->loop->works--;
    loop_fn *done = work->done;
    void *context = work->context;
    free(work);
    done(context);
}

void loop_work(struct loop *loop, loop_fn *work, loop_fn *done, void *context)
{
    struct work *item = malloc(sizeof *item);
    assert(item);
    *item = (struct work){
        .loop = loop, .work = work, .done = done, .context = context};
    item->uv.data = item;
    loop->works++;
    uv_queue_work(&loop->uv, &item->uv, do_work, work_done);
}
