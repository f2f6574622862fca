#include "edge/http.h"

#include "fake/provider.h"
#include "fake/store.h"
#include "fake/watch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* lib/edge/http.h: exchanges with the fake provider. */

struct http {
    struct loop *loop;
    struct list ops;
};

struct asking {
    struct op op;
    struct http *http;
    struct exchange exchange;
    int64_t timeout_ms;
    bool (*may_send)(void *context);
    http_reply_fn *on_reply;
    void *context;
    enum post_fate fate;
    struct answer answer;
    bool sent;
    enum reply_end end;
};

struct http *http_open(struct loop *loop, const struct http_options *options,
                       struct err *err)
{
    (void)options;
    (void)err;
    struct http *http = calloc(1, sizeof *http);
    assert(http);
    http->loop = loop;
    list_init(&http->ops);
    return http;
}

static void give(struct asking *a, enum reply_end end)
{
    struct reply reply = {.end = end, .sent = a->sent};
    if (end == REPLY_WHOLE) {
        reply.status = a->answer.status;
        reply.body = a->answer.body;
        reply.replayed = a->answer.replayed;
        reply.content_type = STR("application/json");
    } else {
        snprintf(reply.why, sizeof reply.why, "as the test wants it");
    }
    http_reply_fn *on_reply = a->on_reply;
    void *context = a->context;
    a->op.events++; /* the slices live until the callback returns */
    op_end(&a->op);
    on_reply(context, &reply);
    if (--a->op.events == 0) {
        arena_done(&a->op.arena);
        free(a);
    }
}

static void on_end(struct op *op)
{
    struct asking *a = (struct asking *)op;
    give(a, a->end);
}

static void on_timeout(struct op *op)
{
    give((struct asking *)op, REPLY_TIMED_OUT);
}

static void end_soon(struct asking *a, enum reply_end end)
{
    a->end = end;
    op_on_loop(&a->op, 1 + world_pick(a->op.world, 20), on_end);
}

/** It got there. */
static void arrive(struct op *op)
{
    struct asking *a = (struct asking *)op;
    struct provider *provider = op->world->provider;
    if (a->exchange.method == EXCHANGE_POST) {
        a->answer = provider_post(provider, a->fate, a->exchange.bearer,
                                  a->exchange.idempotency_key, a->exchange.body,
                                  &op->arena);
    } else {
        a->answer = provider_get(provider, a->exchange.bearer, a->exchange.url,
                                 &op->arena);
    }
    if (a->fate == POST_LOST_REPLY) {
        end_soon(a, REPLY_BROKEN);
    } else if (a->fate != POST_SLOW && a->fate != POST_STUCK) {
        end_soon(a, REPLY_WHOLE);
    }
}

/** An id is there, and it was before the intent of the last send: it had to be
 *  seen. One that another worker brought in between is too late for that. */
static bool had_an_id(const struct record_of *record)
{
    return record->row.provider_task_id[0] &&
           record->learnt_sends != record->row.sends;
}

/** The sender has committed its intent and is alive, or nothing leaves. */
static void look_at_intent(const struct asking *a)
{
    const struct tables *tables = a->op.world->tables;
    for (size_t i = 0; i < tables->len; i++) {
        struct record_of *record = tables->records[i];
        if (key_is_of(record, a->exchange.idempotency_key)) {
            const struct task_row *row = &record->row;
            if (row->state != SUBMITTING || row->sends < 1 ||
                had_an_id(record) || !lease_is_alive(tables, row->owner) ||
                tables->leases[row->owner - 1].loop != a->op.loop) {
                world_fault(a->op.world, "sent without an intent",
                            tables->records[i]->request.request_id.at);
            }
            return;
        }
    }
    world_fault(a->op.world, "sent, and no such request is stored", "a POST");
}

static void connected(struct op *op)
{
    struct asking *a = (struct asking *)op;
    if (a->fate == POST_UNSENT) {
        give(a, REPLY_UNREACHED);
        return;
    }
    if (a->may_send && !a->may_send(a->context)) {
        give(a, REPLY_CANCELLED);
        return;
    }
    a->sent = true;
    if (a->exchange.method == EXCHANGE_POST) {
        look_at_intent(a);
    }
    op_on_loop(op, a->timeout_ms, on_timeout);
    if (a->fate == POST_LOST_REQUEST) {
        end_soon(a, REPLY_BROKEN);
        return;
    }
    int64_t way_ms = 1 + world_pick(op->world, 30);
    if (a->fate == POST_STUCK) {
        way_ms = a->timeout_ms + world_pick(op->world, 20000);
    }
    op_in_world(op, way_ms, arrive);
}

static enum post_fate get_fate(struct world *world)
{
    static const enum post_fate fates[] = {POST_UNSENT, POST_LOST_REPLY,
                                           POST_SLOW, POST_LOST_REQUEST};
    if (world->provider->away) {
        return POST_UNSENT;
    }
    if (!world_chance(world, world->provider->chaos)) {
        return POST_OK;
    }
    struck("poll lost or late");
    return fates[world_pick(world, 4)];
}

bool http_send(struct http *http, const struct exchange *exchange,
               int64_t timeout_ms, bool (*may_send)(void *context),
               http_reply_fn *on_reply, void *context, struct err *err)
{
    (void)err;
    struct asking *a = op_new(http->loop, &http->ops, sizeof *a);
    a->http = http;
    a->exchange = *exchange;
    struct str *texts[] = {&a->exchange.url, &a->exchange.idempotency_key,
                           &a->exchange.body, &a->exchange.bearer};
    for (size_t i = 0; i < 4; i++) {
        if (texts[i]->at) {
            texts[i]->at =
                arena_copy(&a->op.arena, texts[i]->at, texts[i]->len);
        }
    }
    a->timeout_ms = timeout_ms;
    a->may_send = may_send;
    a->on_reply = on_reply;
    a->context = context;
    a->fate = exchange->method == EXCHANGE_POST
                  ? provider_fate(a->op.world->provider, a->exchange.body)
                  : get_fate(a->op.world);
    op_on_loop(&a->op, 1 + world_pick(a->op.world, 4), connected);
    return true;
}

int http_under_way(const struct http *http)
{
    int n = 0;
    for (const struct list *at = http->ops.next; at != &http->ops;
         at = at->next) {
        n++;
    }
    return n;
}

void http_close(struct http *http)
{
    while (!list_is_empty(&http->ops)) {
        give((struct asking *)LIST_OWNER(http->ops.next, struct op, link),
             REPLY_CANCELLED);
    }
    free(http);
}

size_t provider_bought(const struct provider *provider, const char *account,
                       bool under_way)
{
    size_t n = 0;
    for (size_t i = 0; i < provider->sales_len; i++) {
        const struct sale *sale = provider->sales[i];
        const bool over =
            provider->world->now_ms >= sale->taken_ms + sale->plan.run_ms;
        n += str_eq(bearer_account(str_of(sale->bearer)), str_of(account)) &&
             !(under_way && (over || sale->overloaded));
    }
    return n;
}

bool provider_is_crowded(const struct provider *provider, struct str bearer)
{
    char account[24];
    const struct str name = bearer_account(bearer);
    snprintf(account, sizeof account, "%.*s", (int)name.len, name.at);
    return provider->takes > 0 &&
           provider_bought(provider, account, true) >= (size_t)provider->takes;
}

int provider_overloaded(const struct provider *provider, const char *prompt)
{
    int n = 0;
    for (size_t i = 0; i < provider->sales_len; i++) {
        n += strcmp(provider->sales[i]->prompt, prompt) == 0 &&
             provider->sales[i]->overloaded;
    }
    return n;
}
