#include "edge/web/pool.h"

#include "base/list.h"
#include "edge/web/multi.h"

#include <assert.h>
#include <stdlib.h>

#define LEFT_MAX 8 /* so many that are left and not yet empty */
/* A provider that is merely unwell shall not see a new connection for each. */
#define LEAVE_PAUSE_MS 5000

struct http_pool {
    struct list link; /* in pools.left, unless it is the current one */
    struct http_pools *pools;
    struct loop_curl *curl;
    int64_t born_ms;
    int active; /* easy handles in it */
};

struct http_pools {
    struct loop *loop;
    int connections_max;
    int64_t life_ms;
    http_pool_fn *on_done;
    void *context;
    struct http_pool *current;
    struct list left;
    int left_len;
    int64_t doubted_ms;      /* when one was last left in doubt; 0: never */
    struct loop_timer *soon; /* frees what is left and empty, outside libcurl */
};

static void on_done(void *context, void *easy, int code)
{
    struct http_pool *pool = context;
    struct http_pools *pools = pool->pools;
    assert(pool->active > 0);
    pool->active--;
    if (pool->active == 0 && pool != pools->current) {
        loop_timer_set(pools->soon, 0);
    }
    pools->on_done(pools->context, easy, code);
}

static struct http_pool *pool_open(struct http_pools *pools, struct err *err)
{
    struct http_pool *pool = calloc(1, sizeof *pool);
    if (!pool) {
        err_set(err, ERR_FATAL, "no memory for HTTP");
        return NULL;
    }
    pool->pools = pools;
    pool->born_ms = loop_boot_ms(pools->loop);
    list_init(&pool->link);
    pool->curl = loop_curl_open(pools->loop, pools->connections_max, on_done,
                                pool, err);
    if (!pool->curl) {
        free(pool);
        return NULL;
    }
    return pool;
}

static void pool_close(struct http_pool *pool)
{
    assert(pool->active == 0);
    list_remove(&pool->link);
    loop_curl_close(pool->curl);
    free(pool);
}

static void on_soon(void *context)
{
    struct http_pools *pools = context;
    for (struct list *at = pools->left.next; at != &pools->left;) {
        struct http_pool *pool = LIST_OWNER(at, struct http_pool, link);
        at = at->next;
        if (pool->active == 0) {
            pools->left_len--;
            pool_close(pool);
        }
    }
}

/** The next exchange has another pool; without memory this one stays. */
static void leave(struct http_pools *pools)
{
    struct err err;
    struct http_pool *next =
        pools->left_len < LEFT_MAX ? pool_open(pools, &err) : NULL;
    if (!next) {
        return;
    }
    list_add_tail(&pools->left, &pools->current->link);
    pools->left_len++;
    pools->current = next;
    loop_timer_set(pools->soon, 0);
}

struct http_pools *http_pools_open(struct loop *loop, int connections_max,
                                   int64_t life_ms, http_pool_fn *done,
                                   void *context, struct err *err)
{
    struct http_pools *pools = calloc(1, sizeof *pools);
    if (!pools) {
        err_set(err, ERR_FATAL, "no memory for HTTP");
        return NULL;
    }
    *pools = (struct http_pools){
        .loop = loop,
        .connections_max = connections_max,
        .life_ms = life_ms,
        .on_done = done,
        .context = context,
        .soon = loop_timer_new(loop, on_soon, pools),
    };
    list_init(&pools->left);
    pools->current = pool_open(pools, err);
    if (!pools->soon || !pools->current) {
        err_set(err, ERR_FATAL, "no memory for HTTP");
        http_pools_close(pools);
        return NULL;
    }
    return pools;
}

struct http_pool *http_pools_add(struct http_pools *pools, void *easy,
                                 bool keep)
{
    const int64_t age_ms =
        loop_boot_ms(pools->loop) - pools->current->born_ms;
    if (pools->life_ms && age_ms >= pools->life_ms) {
        leave(pools);
    }
    struct http_pool *pool = pools->current;
    if (keep) {
        loop_curl_keep(pool->curl, easy);
    }
    if (!loop_curl_add(pool->curl, easy)) {
        return NULL;
    }
    pool->active++;
    return pool;
}

void http_pool_remove(struct http_pool *pool, void *easy)
{
    struct http_pools *pools = pool->pools;
    assert(pool->active > 0);
    loop_curl_remove(pool->curl, easy);
    pool->active--;
    if (pool->active == 0 && pool != pools->current) {
        loop_timer_set(pools->soon, 0);
    }
}

void http_pool_doubt(struct http_pool *pool)
{
    struct http_pools *pools = pool->pools;
    const int64_t now_ms = loop_boot_ms(pools->loop);
    if (pool == pools->current &&
        (!pools->doubted_ms || now_ms - pools->doubted_ms >= LEAVE_PAUSE_MS)) {
        pools->doubted_ms = now_ms;
        leave(pools);
    }
}

void http_pools_close(struct http_pools *pools)
{
    if (!pools) {
        return;
    }
    while (!list_is_empty(&pools->left)) {
        pool_close(LIST_OWNER(pools->left.next, struct http_pool, link));
    }
    if (pools->current) {
        pool_close(pools->current);
    }
    loop_timer_free(pools->soon);
    free(pools);
}
