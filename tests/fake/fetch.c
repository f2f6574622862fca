#include "edge/fetch.h"

#include "fake/provider.h"
#include "fake/watch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* lib/edge/fetch.h: bodies from the fake provider's asset host. */

#define PIECE_BYTES 700
#define SLOW_MS 60000

struct fetcher {
    struct loop *loop;
    struct list ops;
    int64_t bytes_max;
};

struct fetch {
    struct op op;
    const struct fetch_hooks *hooks;
    void *context;
    struct buf body;
    struct fetcher *fetcher;
    struct str url;
    size_t at;
    size_t cut_at; /* the connection breaks there; 0: it does not */
    int status;
    bool paused;
    bool cancelled;
    bool unmeasured;
};

struct fetcher *fetcher_open(struct loop *loop,
                             const struct fetcher_options *options,
                             struct err *err)
{
    (void)err;
    struct fetcher *fetcher = calloc(1, sizeof *fetcher);
    assert(fetcher);
    fetcher->loop = loop;
    fetcher->bytes_max = options->bytes_max;
    list_init(&fetcher->ops);
    return fetcher;
}

static void end(struct fetch *fetch, enum reply_end how)
{
    const struct fetch_end what = {
        .end = how,
        .status = fetch->status,
        .bytes = (int64_t)fetch->at,
        .length = fetch->status == 200 && !fetch->unmeasured
                      ? (int64_t)fetch->body.len
                      : -1,
        .why = "as the test wants it",
    };
    const struct fetch_hooks *hooks = fetch->hooks;
    void *context = fetch->context;
    buf_done(&fetch->body);
    op_end(&fetch->op);
    hooks->on_end(context, &what);
}

static void piece(struct op *op)
{
    struct fetch *fetch = (struct fetch *)op;
    if (fetch->cancelled || fetch->paused) {
        return;
    }
    size_t left = fetch->body.len - fetch->at;
    if (left == 0) {
        end(fetch, REPLY_WHOLE);
        return;
    }
    if (fetch->cut_at && fetch->at >= fetch->cut_at) {
        end(fetch, REPLY_BROKEN);
        return;
    }
    size_t len = left < PIECE_BYTES ? left : PIECE_BYTES;
    const char *bytes = fetch->body.bytes + fetch->at;
    fetch->at += len;
    if ((int64_t)fetch->at > fetch->fetcher->bytes_max) {
        end(fetch, REPLY_TOO_LARGE);
        return;
    }
    fetch->paused = !fetch->hooks->on_data(fetch->context, bytes, len);
    if (!fetch->paused) {
        op_on_loop(op, 1 + world_pick(op->world, 5), piece);
    }
}

/** A minute has brought sixty bytes: the reader is asked whether it bears
 * it. */
static void drip(struct op *op)
{
    struct fetch *fetch = (struct fetch *)op;
    if (fetch->cancelled) {
        return;
    }
    if (!provider_drips(op->world->provider, fetch->url)) {
        piece(op);
    } else if (fetch->hooks->on_slow && fetch->hooks->on_slow(fetch->context)) {
        op_on_loop(op, SLOW_MS, drip);
    } else {
        end(fetch, REPLY_TIMED_OUT);
    }
}

static void head(struct op *op)
{
    struct fetch *fetch = (struct fetch *)op;
    struct world *world = op->world;
    if (fetch->cancelled) {
        return;
    }
    if (world->provider->away || world->provider->hosts_away) {
        end(fetch, REPLY_UNREACHED);
        return;
    }
    fetch->status = provider_serve(world->provider, fetch->url, &fetch->body,
                                   &fetch->unmeasured);
    if (world_chance(world, world->provider->chaos)) {
        struck("download answered with 503");
        fetch->status = 503;
    }
    if (world_chance(world, world->provider->chaos)) {
        struck("download cut");
        fetch->cut_at = 1;
    }
    if (fetch->status != 200) {
        end(fetch, REPLY_WHOLE);
        return;
    }
    if (!fetch->hooks->on_head(fetch->context, 200,
                               fetch->unmeasured ? -1
                                                 : (int64_t)fetch->body.len,
                               STR("video/mp4"))) {
        end(fetch, REPLY_BROKEN);
        return;
    }
    if (provider_drips(world->provider, fetch->url)) {
        op_on_loop(op, SLOW_MS, drip);
        return;
    }
    int64_t slow_ms = provider_slow_ms(world->provider, fetch->url);
    if (world_chance(world, world->provider->chaos)) {
        struck("download slow"); /* about as long as a row may wait for it */
        slow_ms = 1900 + world_pick(world, 200);
    }
    op_on_loop(op, 1 + slow_ms, piece);
}

struct fetch *fetch_start(struct fetcher *fetcher, struct str url,
                          int64_t connect_ms, int64_t stall_ms,
                          const struct fetch_hooks *hooks, void *context,
                          struct err *err)
{
    (void)connect_ms;
    (void)stall_ms;
    if (!str_starts(url, STR("https://"))) {
        err_set(err, ERR_PERMANENT, "not an https URL");
        return NULL;
    }
    struct fetch *fetch = op_new(fetcher->loop, &fetcher->ops, sizeof *fetch);
    fetch->fetcher = fetcher;
    fetch->hooks = hooks;
    fetch->context = context;
    buf_init(&fetch->body, 0);
    fetch->url =
        (struct str){arena_copy(&fetch->op.arena, url.at, url.len), url.len};
    op_on_loop(&fetch->op, 1 + world_pick(fetch->op.world, 10), head);
    return fetch;
}

void fetch_resume(struct fetch *fetch)
{
    assert(fetch->paused);
    fetch->paused = false;
    op_on_loop(&fetch->op, 0, piece);
}

static void on_cancel(struct op *op)
{
    end((struct fetch *)op, REPLY_CANCELLED);
}

void fetch_cancel(struct fetch *fetch)
{
    if (!fetch->cancelled) {
        fetch->cancelled = true;
        op_on_loop(&fetch->op, 0, on_cancel);
    }
}

void fetcher_close(struct fetcher *fetcher)
{
    while (!list_is_empty(&fetcher->ops)) {
        end((struct fetch *)LIST_OWNER(fetcher->ops.next, struct op, link),
            REPLY_CANCELLED);
    }
    free(fetcher);
}
