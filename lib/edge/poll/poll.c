#include "edge/poll.h"

#include "edge/poll/conn.h"
#include "edge/poll/drive.h"
#include "edge/poll/hub.h"
#include "edge/poll/origin.h"
#include "edge/poll/tls.h"
#include "edge/web/plain.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define LAST_LOOK_MS 100 /* for what is there at the end of a time */
#define SWEEP_MS 1000

/* ---- clocks ---- */

static void start_sweeping(struct poller *poller)
{
    if (!poller->sweeps) {
        poller->sweeps = true;
        loop_timer_set(poller->sweep, SWEEP_MS);
    }
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
        drive_time_out(call->conn, call);
    }
    poller_set_clock(poller);
    poller_turn_within(poller, 0);
}

/* ---- turns ---- */

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
    poller->proxy = options->proxy;
    const char *proxy_ca = options->proxy ? options->proxy->ca_file : NULL;
    poller->hosts.ca_file = options->ca_file ? strdup(options->ca_file) : NULL;
    poller->proxies.ca_file = proxy_ca ? strdup(proxy_ca) : NULL;
    poller->clock = loop_timer_new(loop, on_clock, poller);
    poller->turn = loop_timer_new(loop, on_turn, poller);
    poller->sweep = loop_timer_new(loop, on_sweep, poller);
    poller->bytes = malloc(POLL_READ_BYTES);
    list_init(&poller->origins);
    heap_init(&poller->clocks);
    poller->clocks_room = 64;
    buf_init(&poller->plain, PLAIN_BYTES_MAX);
    if (!poller->clock || !poller->turn || !poller->sweep || !poller->bytes ||
        (options->ca_file && !poller->hosts.ca_file) ||
        (proxy_ca && !poller->proxies.ca_file) ||
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
    assert(origin->poller->closing);
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
    tls_context_close(poller->hosts.tls);
    tls_context_close(poller->proxies.tls);
    free(poller->hosts.ca_file);
    free(poller->proxies.ca_file);
    free(poller->bytes);
    free(poller);
}
