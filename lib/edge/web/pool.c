#include "edge/web/pool.h"

#include "base/list.h"
#include "edge/web/multi.h"

#include <assert.h>
#include <stdlib.h>

#define LEFT_MAX 8 /* so many that are left and not yet empty */

struct web_pool {
    struct list link; /* in pools.left, unless it is the current one */
    struct web_pools *pools;
    struct web_multi *curl;
    int64_t born_ms;
    int64_t used_ms; /* when the last exchange left it empty; 0: never yet */
    int active;      /* easy handles in it */
};

struct web_pools {
    struct loop *loop;
    int connections_max;
    struct web_pool_times times;
    web_pool_fn *on_done;
    void *context;
    struct web_pool *current;
    struct list left;
    int left_len;
    struct loop_timer *soon; /* frees what is left and empty, outside libcurl */
    struct loop_timer *idle; /* leaves what is not used any more */
};

/** One exchange less is in it. */
static void count_out(struct web_pool *pool)
{
    struct web_pools *pools = pool->pools;
    assert(pool->active > 0);
    if (--pool->active > 0) {
        return;
    }
    if (pool != pools->current) {
        loop_timer_set(pools->soon, 0);
    } else if (pools->times.unused_ms) {
        pool->used_ms = loop_boot_ms(pools->loop);
        loop_timer_set(pools->idle, pools->times.unused_ms);
    }
}

static void on_done(void *context, void *easy, int code)
{
    struct web_pool *pool = context;
    struct web_pools *pools = pool->pools;
    count_out(pool);
    pools->on_done(pools->context, easy, code);
}

static struct web_pool *pool_open(struct web_pools *pools, struct err *err)
{
    struct web_pool *pool = calloc(1, sizeof *pool);
    if (!pool) {
        err_set(err, ERR_FATAL, "no memory for HTTP");
        return NULL;
    }
    pool->pools = pools;
    pool->born_ms = loop_boot_ms(pools->loop);
    list_init(&pool->link);
    pool->curl =
        web_multi_open(pools->loop, pools->connections_max, on_done, pool, err);
    if (!pool->curl) {
        free(pool);
        return NULL;
    }
    return pool;
}

static void pool_close(struct web_pool *pool)
{
    assert(pool->active == 0);
    list_remove(&pool->link);
    web_multi_close(pool->curl);
    free(pool);
}

static void on_soon(void *context)
{
    struct web_pools *pools = context;
    for (struct list *at = pools->left.next; at != &pools->left;) {
        struct web_pool *pool = LIST_OWNER(at, struct web_pool, link);
        at = at->next;
        if (pool->active == 0) {
            pools->left_len--;
            pool_close(pool);
        }
    }
}

/** The next exchange has another pool; without memory this one stays. */
static void leave(struct web_pools *pools)
{
    struct err err;
    struct web_pool *next =
        pools->left_len < LEFT_MAX ? pool_open(pools, &err) : NULL;
    if (!next) {
        return;
    }
    list_add_tail(&pools->left, &pools->current->link);
    pools->left_len++;
    pools->current = next;
    loop_timer_set(pools->soon, 0);
}

static bool is_over(const struct web_pools *pools)
{
    const struct web_pool *pool = pools->current;
    const struct web_pool_times *times = &pools->times;
    const int64_t now_ms = loop_boot_ms(pools->loop);
    const bool old = times->life_ms && now_ms - pool->born_ms >= times->life_ms;
    const bool unused = times->unused_ms && pool->active == 0 &&
                        pool->used_ms &&
                        now_ms - pool->used_ms >= times->unused_ms;
    return old || unused;
}

static void on_idle(void *context)
{
    struct web_pools *pools = context;
    if (is_over(pools)) {
        leave(pools);
    }
}

struct web_pools *web_pools_open(struct loop *loop, int connections_max,
                                 const struct web_pool_times *times,
                                 web_pool_fn *done, void *context,
                                 struct err *err)
{
    assert(connections_max >= 1 && done);
    assert(times->life_ms >= 0 && times->unused_ms >= 0);
    struct web_pools *pools = calloc(1, sizeof *pools);
    if (!pools) {
        err_set(err, ERR_FATAL, "no memory for HTTP");
        return NULL;
    }
    *pools = (struct web_pools){
        .loop = loop,
        .connections_max = connections_max,
        .times = *times,
        .on_done = done,
        .context = context,
        .soon = loop_timer_new(loop, on_soon, pools),
        .idle = loop_timer_new(loop, on_idle, pools),
    };
    list_init(&pools->left);
    pools->current = pool_open(pools, err);
    if (!pools->soon || !pools->idle || !pools->current) {
        err_set(err, ERR_FATAL, "no memory for HTTP");
        web_pools_close(pools);
        return NULL;
    }
    return pools;
}

struct web_pool *web_pools_add(struct web_pools *pools, void *easy, bool once)
{
    assert(easy);
    if (is_over(pools)) {
        leave(pools);
    }
    struct web_pool *pool = pools->current;
    if (once) {
        web_multi_keep(pool->curl, easy);
        web_multi_look_at_idle(pool->curl);
    }
    if (!web_multi_add(pool->curl, easy)) {
        return NULL;
    }
    pool->active++;
    return pool;
}

void web_pool_remove(struct web_pool *pool, void *easy)
{
    assert(pool->active > 0);
    web_multi_remove(pool->curl, easy);
    count_out(pool);
}

void web_pools_look(struct web_pools *pools)
{
    web_multi_look(pools->current->curl);
}

void web_pools_close(struct web_pools *pools)
{
    if (!pools) {
        return;
    }
    while (!list_is_empty(&pools->left)) {
        pool_close(LIST_OWNER(pools->left.next, struct web_pool, link));
    }
    if (pools->current) {
        pool_close(pools->current);
    }
    loop_timer_free(pools->soon);
    loop_timer_free(pools->idle);
    free(pools);
}
