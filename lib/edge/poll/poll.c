#include "edge/poll.h"

#include "edge/poll/conn.h"
#include "edge/poll/hub.h"
#include "edge/poll/origin.h"
#include "edge/poll/tls.h"
#include "edge/web/ca.h"
#include "edge/web/decode.h"
#include "edge/web/plain.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAST_LOOK_MS 100 /* for what is there at the end of a time */
#define SWEEP_MS 1000
#define PLAIN_KEPT 65536
#define TRUST_MS 86400000 /* CAs are read again after a day */

/* ---- ends ---- */

static void start_sweeping(struct poller *poller)
{
    if (!poller->sweeps) {
        poller->sweeps = true;
        loop_timer_set(poller->sweep, SWEEP_MS);
    }
}

static void call_free(struct poll_call *call)
{
    buf_done(&call->body);
    free(call);
}

void poller_answer(struct poll_call *call, const struct poll_answer *answer)
{
    struct poller *poller = call->poller;
    assert(!call->conn && call->clock.place == 0 && list_is_empty(&call->link));
    struct reply reply = {
        .end = answer->end,
        .sent = call->sent,
        .status = answer->status,
        .body = answer->body,
        .retry_after = answer->retry_after,
        .content_type = answer->content_type,
    };
    snprintf(reply.why, sizeof reply.why, "%s", answer->why ? answer->why : "");
    plain_body(str_of(answer->coding), &poller->plain, &reply);
    poller->under_way--;
    call->on_reply(call->context, &reply);
    if (poller->plain.size > PLAIN_KEPT) {
        buf_done(&poller->plain);
        buf_init(&poller->plain, PLAIN_BYTES_MAX);
    }
    call_free(call);
}

void poller_fail(struct poll_call *call, enum reply_end end, const char *why)
{
    decode_label_show(call->coding);
    const struct poll_answer answer = {
        .end = end,
        .why = why,
        .status = call->status,
        .body = buf_str(&call->body),
        .retry_after = str_of(call->retry_after[0] ? call->retry_after : NULL),
        .content_type =
            str_of(call->content_type[0] ? call->content_type : NULL),
        .coding = call->coding,
    };
    poller_answer(call, &answer);
}

/* ---- clocks of calls ---- */

static void set_clock(struct poller *poller)
{
    const struct heap_entry *first = heap_first(&poller->clocks);
    const int64_t now_ms = loop_boot_ms(poller->loop);
    if (first) {
        loop_timer_set(poller->clock,
                       first->due_ms > now_ms ? first->due_ms - now_ms : 0);
    }
}

bool poller_start_clock(struct poll_call *call)
{
    struct poller *poller = call->poller;
    if (poller->clocks.len == poller->clocks_room) {
        const size_t room = 2 * poller->clocks_room;
        if (!heap_reserve(&poller->clocks, room)) {
            return false;
        }
        poller->clocks_room = room;
    }
    call->since_ms = loop_boot_ms(poller->loop);
    call->looked = false;
    heap_put(&poller->clocks, &call->clock, call->since_ms + call->timeout_ms);
    /* Set for an older one, it comes too early at most. */
    if (heap_first(&poller->clocks) == &call->clock) {
        set_clock(poller);
    }
    return true;
}

void poller_stop_clock(struct poll_call *call)
{
    heap_remove(&call->poller->clocks, &call->clock);
}

/**
 * Where the process stood still, replies may be there that nobody has read:
 * time that is over is over after one more look.
 */
static void on_clock(void *context)
{
    struct poller *poller = context;
    struct heap_entry *first;
    const int64_t now_ms = loop_boot_ms(poller->loop);
    while ((first = heap_first(&poller->clocks)) && first->due_ms <= now_ms) {
        struct poll_call *call = LIST_OWNER(first, struct poll_call, clock);
        assert(call->conn);
        if (!call->looked) {
            call->looked = true;
            heap_put(&poller->clocks, first, now_ms + LAST_LOOK_MS);
            continue;
        }
        conn_time_out(call->conn, call);
    }
    set_clock(poller);
    poller_turn_within(poller, 0);
}

/* ---- turns ---- */

void poller_turn_within(struct poller *poller, int64_t wait_ms)
{
    const int64_t at_ms = loop_boot_ms(poller->loop) + wait_ms;
    if (poller->closing || (poller->turn_ms && poller->turn_ms <= at_ms)) {
        return;
    }
    poller->turn_ms = at_ms;
    loop_timer_set(poller->turn, wait_ms);
}

static void on_turn(void *context)
{
    struct poller *poller = context;
    poller->turn_ms = 0;
    for (struct list *at = poller->origins.next; at != &poller->origins;
         at = at->next) {
        struct poll_origin *origin = LIST_OWNER(at, struct poll_origin, link);
        if (!list_is_empty(&origin->waiting)) {
            origin_turn(origin);
        }
    }
}

static void on_sweep(void *context)
{
    struct poller *poller = context;
    const int64_t now_ms = loop_boot_ms(poller->loop);
    bool more = false;
    for (struct list *at = poller->origins.next; at != &poller->origins;
         at = at->next) {
        more |= origin_look(LIST_OWNER(at, struct poll_origin, link), now_ms);
    }
    poller->sweeps = false;
    if (more) {
        start_sweeping(poller);
    }
}

struct tls_context *poller_tls(struct poller *poller, enum reply_end *end,
                               char *why, size_t why_bytes)
{
    const int64_t now_ms = loop_boot_ms(poller->loop);
    if (poller->tls && now_ms - poller->trusted_ms < TRUST_MS) {
        return poller->tls;
    }
    struct tls_context *tls = tls_context_open(
        poller->ca_file ? poller->ca_file : web_ca_file(),
        poller->ca_file ? NULL : web_ca_folder(), why, why_bytes);
    if (!tls && !poller->tls) {
        *end = REPLY_UNTRUSTED;
        return NULL;
    }
    if (tls) {
        tls_context_close(poller->tls);
        poller->tls = tls;
    }
    poller->trusted_ms = now_ms;
    return poller->tls;
}

/* ---- the door ---- */

struct poller *poller_open(struct loop *loop,
                           const struct poller_options *options,
                           struct err *err)
{
    assert(options->connections_max >= 1);
    struct poller *poller = calloc(1, sizeof *poller);
    if (!poller) {
        err_set(err, ERR_FATAL, "no memory for polls");
        return NULL;
    }
    poller->loop = loop;
    poller->connections_max = options->connections_max;
    poller->ca_file = options->ca_file ? strdup(options->ca_file) : NULL;
    poller->clock = loop_timer_new(loop, on_clock, poller);
    poller->turn = loop_timer_new(loop, on_turn, poller);
    poller->sweep = loop_timer_new(loop, on_sweep, poller);
    poller->bytes = malloc(POLL_READ_BYTES);
    list_init(&poller->origins);
    heap_init(&poller->clocks);
    poller->clocks_room = 64;
    buf_init(&poller->plain, PLAIN_BYTES_MAX);
    if (!poller->clock || !poller->turn || !poller->sweep || !poller->bytes ||
        (options->ca_file && !poller->ca_file) ||
        !heap_reserve(&poller->clocks, poller->clocks_room)) {
        err_set(err, ERR_FATAL, "no memory for polls");
        poller_close(poller);
        return NULL;
    }
    return poller;
}

static bool is_clean(struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        const unsigned char c = (unsigned char)value.at[i];
        if (c < 0x20 || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static struct poll_call *call_new(const struct exchange *exchange,
                                  struct str path)
{
    static const char scheme[] = "Bearer ";
    const bool rooted = str_starts(path, STR("/"));
    const size_t path_len = path.len + !rooted;
    const size_t bearer_len =
        exchange->bearer.at ? sizeof scheme - 1 + exchange->bearer.len : 0;
    struct poll_call *call =
        calloc(1, sizeof *call + path_len + bearer_len + 2);
    if (!call) {
        return NULL;
    }
    char *at = call->text;
    call->path = (struct str){at, path_len};
    *at = '/';
    memcpy(at + !rooted, path.at, path.len);
    at += path_len + 1;
    if (exchange->bearer.at) {
        call->bearer = (struct str){at, bearer_len};
        memcpy(at, scheme, sizeof scheme - 1);
        memcpy(at + sizeof scheme - 1, exchange->bearer.at,
               exchange->bearer.len);
    }
    list_init(&call->link);
    buf_init(&call->body, HTTP1_BODY_BYTES_MAX);
    return call;
}

bool poller_send(struct poller *poller, const struct exchange *exchange,
                 int64_t timeout_ms, bool (*may_send)(void *context),
                 http_reply_fn *on_reply, void *context, struct err *err)
{
    struct poll_target target;
    assert(on_reply && timeout_ms >= 1);
    assert(exchange->method == EXCHANGE_GET && !exchange->idempotency_key.at);
    if (!origin_read_url(exchange->url, &target)) {
        return err_set(err, ERR_PERMANENT,
                       "not a URL of http or https that can be asked");
    }
    if (!is_clean(exchange->bearer)) {
        return err_set(err, ERR_PERMANENT, "a control character in the key");
    }
    struct poll_origin *origin =
        poller->closing ? NULL : origin_of(poller, &target);
    struct poll_call *call = origin ? call_new(exchange, target.path) : NULL;
    if (!call) {
        return err_set(err, ERR_TRANSIENT, "no memory for an exchange");
    }
    call->poller = poller;
    call->origin = origin;
    call->timeout_ms = timeout_ms;
    call->since_ms = loop_boot_ms(poller->loop);
    call->may_send = may_send;
    call->on_reply = on_reply;
    call->context = context;
    poller->under_way++;
    list_add_tail(&origin->waiting, &call->link);
    start_sweeping(poller);
    poller_turn_within(poller, 0);
    return true;
}

int poller_under_way(const struct poller *poller)
{
    return poller->under_way;
}

static void end_origin(struct poll_origin *origin)
{
    while (!list_is_empty(&origin->conns)) {
        conn_fail(LIST_OWNER(origin->conns.next, struct poll_conn, link),
                  REPLY_CANCELLED, "stopped", false);
    }
    origin_fail_waiting(origin, REPLY_CANCELLED, "stopped");
    origin_free(origin);
}

void poller_close(struct poller *poller)
{
    poller->closing = true;
    while (!list_is_empty(&poller->origins)) {
        end_origin(LIST_OWNER(poller->origins.next, struct poll_origin, link));
    }
    assert(poller->under_way == 0);
    loop_timer_free(poller->clock);
    loop_timer_free(poller->turn);
    loop_timer_free(poller->sweep);
    heap_done(&poller->clocks);
    buf_done(&poller->plain);
    tls_context_close(poller->tls);
    free(poller->ca_file);
    free(poller->bytes);
    free(poller);
}
