#ifndef EDGE_WEB_POOL_H
#define EDGE_WEB_POOL_H

#include "base/err.h"
#include "edge/loop.h"

/**
 * The connections of one HTTP door, in pools of which one takes new exchanges.
 * libcurl counts idle time in whole seconds, and not while the machine sleeps,
 * and closes what is too old only when something else begins. So a pool that is
 * old, or unused, is left: what is under way in it ends there, and everything
 * else gets connections of its own. For this room only; easy handles are void
 * pointers as in multi.h.
 */
struct web_pools;
struct web_pool;

struct web_pool_times {
    /* The longest time that a pool takes new exchanges; 0: for ever. */
    int64_t life_ms;
    /* One that has had no exchange for so long is left, and its connections are
     * closed; 0: never. By our clock, which goes on while the machine sleeps,
     * as libcurl's doesn't. */
    int64_t unused_ms;
};

/** An easy handle ended and is out of its pool; code is its CURLcode. */
typedef void web_pool_fn(void *context, void *easy, int code);

/**
 * @param connections_max  In each pool.
 * @param times            Copied.
 */
struct web_pools *web_pools_open(struct loop *loop, int connections_max,
                                 const struct web_pool_times *times,
                                 web_pool_fn *on_done, void *context,
                                 struct err *err);

/**
 * Not from within a callback of libcurl.
 *
 * @param once  It must not be sent twice: its sockets stay known between
 *              exchanges (web_multi_keep), and what was closed is looked for
 *              first.
 * @return      The pool that has it now, until it ends or is removed; null: no
 *              memory.
 */
struct web_pool *web_pools_add(struct web_pools *pools, void *easy, bool once);
void web_pool_remove(struct web_pool *pool, void *easy);

/** As web_multi_look(), in the one that takes new exchanges. */
void web_pools_look(struct web_pools *pools);

/** No easy handle may be left in it; null is accepted. */
void web_pools_close(struct web_pools *pools);

#endif
