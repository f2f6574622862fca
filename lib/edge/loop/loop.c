#include "edge/loop.h"

#include "base/list.h"
#include "base/must.h"
#include "edge/loop/uv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define RANDOM_BYTES 512 /* drawn at once: a call each would be seen */
#define RANDOM_PIECE 64  /* longer ones are drawn by themselves */
#define SIGNALS_MAX 8
/* deferred calls that defer again, before the loop waits */
#define DRAIN_ROUNDS 8
#define LONGEST_NS                                                             \
    UINT64_C(30000000000) /* how long a turn is remembered, at least */

struct call {
    loop_fn *fn;
    void *context;
};

struct defer {
    struct list link;
    struct call call;
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
    uv_check_t check;     /* behind the wait, and what it called */
    uv_idle_t idle;       /* keeps the loop from waiting while calls are left */
    uv_async_t async;     /* wakes it for posts */
    uv_mutex_t posts_lock;
    struct post *posts; /* oldest first */
    struct post **posts_last;
    struct list defers;  /* for the end of this turn */
    struct list running; /* those of them that are being called */
    struct watched_signal signals[SIGNALS_MAX];
    size_t signals_len;
    size_t timers;     /* alive: must be none at the end */
    size_t works;      /* under way: must be none at the end */
    int64_t boot_ms;   /* of this turn, once somebody has asked; 0: not yet */
    uint64_t began_ms; /* of this turn, by libuv's clock; 0: not yet noted */
    int64_t longest_us[2]; /* of this half minute, and the one before */
    int64_t half;          /* which one this is */
    unsigned char randoms[RANDOM_BYTES];
    size_t randoms_left;
    bool turning; /* within loop_run() */
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

/* ---- clocks ---- */

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

/* The turn begins inside libuv's wait, where the first descriptor's callback is
 * called: there is no place to read the clock for all, so the first who asks
 * reads it. */
int64_t loop_boot_ms(const struct loop *loop)
{
    if (!loop->turning) {
        return boot_us() / 1000;
    }
    if (!loop->boot_ms) {
        ((struct loop *)(uintptr_t)loop)->boot_ms = boot_us() / 1000;
    }
    return loop->boot_ms;
}

/** Who asks changes nothing, so that any number may ask. */
static void look_at_turn(struct loop *loop, int64_t half, int64_t turn_us)
{
    if (half != loop->half) {
        loop->longest_us[1] =
            half == loop->half + 1 ? loop->longest_us[0] : turn_us;
        loop->longest_us[0] = 0;
        loop->half = half;
    }
    if (turn_us > loop->longest_us[0]) {
        loop->longest_us[0] = turn_us;
    }
}

/**
 * libuv's clock stands at the end of its wait until somebody sets it anew: to
 * be called before. libuv would tell how long it waits to the nanosecond, and
 * asks the kernel twice for each wait then.
 */
static void note_began(struct loop *loop)
{
    if (loop->began_ms == 0) {
        loop->began_ms = uv_now(&loop->uv);
    }
}

static void on_check(uv_check_t *check)
{
    note_began(check->data);
}

/** Nobody knows when within its first millisecond the turn began: it is counted
 * from the end of that. */
static void end_turn(struct loop *loop)
{
    const uint64_t now_ns = uv_hrtime();
    const int64_t turn_us =
        (int64_t)(now_ns / 1000) - ((int64_t)loop->began_ms + 1) * 1000;
    look_at_turn(loop, (int64_t)(now_ns / LONGEST_NS),
                 loop->began_ms > 0 && turn_us > 0 ? turn_us : 0);
    loop->began_ms = 0;
    loop->boot_ms = 0;
}

int64_t loop_longest_turn_us(const struct loop *loop)
{
    return loop->longest_us[0] > loop->longest_us[1] ? loop->longest_us[0]
                                                     : loop->longest_us[1];
}

/* ---- deferred calls and posts ---- */

static bool run_defers_once(struct loop *loop)
{
    /* What is deferred from here on waits for the next time. */
    list_take_all(&loop->running, &loop->defers);
    const bool some = !list_is_empty(&loop->running);
    while (!list_is_empty(&loop->running)) {
        struct defer *defer =
            LIST_OWNER(list_pop(&loop->running), struct defer, link);
        const struct call call = defer->call;
        must_free(defer);
        call.fn(call.context);
    }
    return some;
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
    if (!list_is_empty(&loop->defers)) {
        uv_idle_start(&loop->idle, on_idle);
    } else {
        uv_idle_stop(&loop->idle);
    }
    end_turn(loop);
}

void loop_defer(struct loop *loop, loop_fn *fn, void *context)
{
    assert(fn);
    for (struct list *at = loop->defers.next; at != &loop->defers;
         at = at->next) {
        const struct defer *defer = LIST_OWNER(at, struct defer, link);
        if (defer->call.fn == fn && defer->call.context == context) {
            return;
        }
    }
    struct defer *defer = MUST_NEW(struct defer);
    defer->call = (struct call){fn, context};
    list_add_tail(&loop->defers, &defer->link);
}

static void undefer_from(struct list *defers, loop_fn *fn, const void *context)
{
    for (struct list *at = defers->next; at != defers;) {
        struct defer *defer = LIST_OWNER(at, struct defer, link);
        at = at->next;
        if (defer->call.fn == fn && defer->call.context == context) {
            list_remove(&defer->link);
            must_free(defer);
        }
    }
}

void loop_undefer(struct loop *loop, loop_fn *fn, void *context)
{
    assert(fn);
    undefer_from(&loop->defers, fn, context);
    undefer_from(&loop->running, fn, context);
}

static void run_posts(struct loop *loop)
{
    uv_mutex_lock(&loop->posts_lock);
    struct post *post = loop->posts;
    loop->posts = NULL;
    loop->posts_last = &loop->posts;
    uv_mutex_unlock(&loop->posts_lock);
    while (post) {
        struct post *next = post->next;
        post->call.fn(post->call.context);
        must_free(post);
        post = next;
    }
}

static void on_async(uv_async_t *async)
{
    run_posts(async->data);
}

void loop_post(struct loop *loop, loop_fn *fn, void *context)
{
    assert(fn);
    struct post *post = MUST_NEW(struct post);
    *post = (struct post){.call = {fn, context}};
    uv_mutex_lock(&loop->posts_lock);
    *loop->posts_last = post;
    loop->posts_last = &post->next;
    /* Under the lock: once it is free, the call may end the loop itself. */
    uv_async_send(&loop->async);
    uv_mutex_unlock(&loop->posts_lock);
}

/* ---- life ---- */

uv_loop_t *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

struct loop *loop_open(struct err *err)
{
    /* libuv's four threads are too few where each video waits for its disk
     * several times; read at the first work. */
    setenv("UV_THREADPOOL_SIZE", "16", 0);
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop || uv_mutex_init(&loop->posts_lock) != 0) {
        goto no_loop;
    }
    if (uv_loop_init(&loop->uv) != 0) {
        goto no_uv;
    }
    if (uv_async_init(&loop->uv, &loop->async, on_async) != 0) {
        uv_loop_close(&loop->uv);
        goto no_uv;
    }
    list_init(&loop->defers);
    list_init(&loop->running);
    loop->posts_last = &loop->posts;
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_idle_init(&loop->uv, &loop->idle);
    uv_check_init(&loop->uv, &loop->check);
    loop->prepare.data = loop;
    loop->check.data = loop;
    loop->async.data = loop;
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_unref((uv_handle_t *)&loop->prepare);
    uv_check_start(&loop->check, on_check);
    uv_unref((uv_handle_t *)&loop->check);
    return loop;
no_uv:
    uv_mutex_destroy(&loop->posts_lock);
no_loop:
    free(loop);
    err_set(err, ERR_FATAL, "can't make an event loop");
    return NULL;
}

void loop_run(struct loop *loop)
{
    assert(!loop->turning);
    loop->stopping = false;
    loop->turning = true;
    loop->boot_ms = 0;
    uv_update_time(&loop->uv);
    loop->began_ms = uv_now(&loop->uv);
    while (!loop->stopping) {
        uv_run(&loop->uv, UV_RUN_ONCE);
    }
    loop->turning = false;
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
    assert(!loop->turning);
    /* Let work that is under way come to its end. */
    while (loop->works > 0) {
        uv_run(&loop->uv, UV_RUN_ONCE);
    }
    run_posts(loop); /* who posted may wait for it, or have given it memory */
    assert(loop->timers == 0);
    uv_walk(&loop->uv, close_handle, NULL);
    while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0) {
    }
    int busy = uv_loop_close(&loop->uv);
    assert(busy == 0);
    (void)busy;
    uv_mutex_destroy(&loop->posts_lock);
    while (!list_is_empty(&loop->defers)) {
        must_free(LIST_OWNER(list_pop(&loop->defers), struct defer, link));
    }
    free(loop);
}

/* ---- randomness ---- */

static void draw(unsigned char *out, size_t len)
{
    while (len) {
        ssize_t n = getrandom(out, len, 0);
        if (n > 0) {
            out += n;
            len -= (size_t)n;
        }
    }
}

void loop_random_bytes(struct loop *loop, void *out, size_t len)
{
    assert(out && len > 0);
    if (len > RANDOM_PIECE) {
        draw(out, len);
        return;
    }
    if (loop->randoms_left < len) {
        draw(loop->randoms, sizeof loop->randoms);
        loop->randoms_left = sizeof loop->randoms;
    }
    loop->randoms_left -= len;
    memcpy(out, loop->randoms + loop->randoms_left, len);
    explicit_bzero(loop->randoms + loop->randoms_left, len); /* given once */
}

uint32_t loop_random(struct loop *loop)
{
    uint32_t value;
    loop_random_bytes(loop, &value, sizeof value);
    return value;
}

/* ---- timers ---- */

static void on_uv_timer(uv_timer_t *uv)
{
    struct loop_timer *timer = uv->data;
    timer->call.fn(timer->call.context);
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *on_time,
                                  void *context)
{
    assert(on_time);
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
    assert(!uv_is_closing((uv_handle_t *)&timer->uv));
    /* libuv counts from the start of the turn; a long turn must not make the
     * timer early. */
    note_began(timer->loop);
    uv_update_time(&timer->loop->uv);
    uv_timer_start(&timer->uv, on_uv_timer,
                   delay_ms > 0 ? (uint64_t)delay_ms : 0, 0);
}

void loop_timer_stop(struct loop_timer *timer)
{
    assert(!uv_is_closing((uv_handle_t *)&timer->uv));
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

/* ---- signals ---- */

static void on_uv_signal(uv_signal_t *uv, int number)
{
    struct watched_signal *watched = uv->data;
    (void)number;
    watched->call.fn(watched->call.context);
}

void loop_on_signal(struct loop *loop, int signal, loop_fn *fn, void *context)
{
    assert(signal > 0 && fn);
    assert(loop->signals_len < SIGNALS_MAX);
    struct watched_signal *watched = &loop->signals[loop->signals_len++];
    watched->call = (struct call){fn, context};
    uv_signal_init(&loop->uv, &watched->uv);
    watched->uv.data = watched;
    uv_signal_start(&watched->uv, on_uv_signal, signal);
    uv_unref((uv_handle_t *)&watched->uv);
}

/* ---- blocking work ---- */

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
    must_free(work);
    done(context);
}

void loop_threads(int64_t threads)
{
    assert(threads >= 1);
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)threads);
    setenv("UV_THREADPOOL_SIZE", text, 0); /* the only way that libuv has */
}

void loop_work(struct loop *loop, loop_fn *work, loop_fn *done, void *context)
{
    assert(work && done);
    struct work *item = MUST_NEW(struct work);
    *item = (struct work){
        .loop = loop, .work = work, .done = done, .context = context};
    item->uv.data = item;
    loop->works++;
    uv_queue_work(&loop->uv, &item->uv, do_work, work_done);
}
