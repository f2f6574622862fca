#include "edge/poll/client.h"

#include "edge/poll/conn.h"
#include "edge/poll/drive.h"
#include "edge/poll/origin.h"
#include "edge/poll/target.h"
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
        if (!call->conn) {
            origin_time_out(call);
            continue;
        }
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
    poller->sweeps = false; /* an answer may ask one that was looked at */
    for (struct list *at = poller->origins.next; at != &poller->origins;
         at = at->next) {
        more |= origin_look(LIST_OWNER(at, struct poll_origin, link), now_ms);
    }
    if (more) {
        start_sweeping(poller);
    }
}

/* ---- its life ---- */

struct poller *client_open(struct loop *loop,
                           const struct poller_options *options, bool once,
                           struct err *err)
{
    assert(options->connections_max >= 1);
    struct poller *poller = calloc(1, sizeof *poller);
    if (!poller) {
        err_set(err, ERR_FATAL, "no memory for HTTP");
        return NULL;
    }
    poller->loop = loop;
    poller->once = once;
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
    list_init(&poller->held);
    heap_init(&poller->clocks);
    /* The clocks of who sends once run from their slots on, and must. */
    poller->clocks_room = once ? (size_t)options->connections_max : 64;
    cells_init(&poller->cells);
    buf_init(&poller->plain, PLAIN_BYTES_MAX);
    if (!poller->clock || !poller->turn || !poller->sweep || !poller->bytes ||
        (options->ca_file && !poller->hosts.ca_file) ||
        (proxy_ca && !poller->proxies.ca_file) ||
        !heap_reserve(&poller->clocks, poller->clocks_room)) {
        err_set(err, ERR_FATAL, "no memory for HTTP");
        client_close(poller);
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

/** A copy, NUL-terminated, behind what was copied before. */
static struct str copy_text(char **at, struct str text)
{
    const struct str copy = {*at, text.len};
    if (text.len) {
        memcpy(*at, text.at, text.len);
    }
    *at += text.len;
    *(*at)++ = '\0';
    return copy;
}

static struct poll_call *call_new(const struct exchange *exchange,
                                  struct str path)
{
    static const char scheme[] = "Bearer ";
    const bool rooted = str_starts(path, STR("/"));
    const bool post = exchange->method == EXCHANGE_POST;
    const size_t posted_len = post ? exchange->body.len : 0;
    struct poll_call *call =
        malloc(sizeof *call + path.len + sizeof scheme + exchange->bearer.len +
               exchange->idempotency_key.len + posted_len + 5);
    if (!call) {
        return NULL;
    }
    *call = (struct poll_call){0};
    char *at = call->text;
    *at = '/';
    at += !rooted;
    call->path = copy_text(&at, path);
    call->path.at -= !rooted;
    call->path.len += !rooted;
    if (exchange->bearer.at) {
        call->bearer.at = at;
        memcpy(at, scheme, sizeof scheme - 1);
        at += sizeof scheme - 1;
        call->bearer.len =
            sizeof scheme - 1 + copy_text(&at, exchange->bearer).len;
    }
    if (exchange->idempotency_key.at) {
        call->key = copy_text(&at, exchange->idempotency_key);
    }
    if (post) {
        call->posted = copy_text(&at, exchange->body);
    }
    list_init(&call->link);
    buf_init(&call->body, HTTP1_BODY_BYTES_MAX);
    return call;
}

/** null, with *err set: it leads nowhere. */
static struct poll_origin *origin_for(struct poller *poller, struct str url,
                                      struct str *path, struct err *err)
{
    struct poll_target target;
    struct poll_origin *origin =
        poller->closing ? NULL : origin_known(poller, url, path);
    if (origin) {
        return origin;
    }
    if (!target_read(url, &target)) {
        (void)err_set(err, ERR_PERMANENT,
                      "not a URL of http or https that can be asked");
        return NULL;
    }
    origin = poller->closing ? NULL : origin_of(poller, &target);
    if (!origin) {
        (void)err_set(err, ERR_TRANSIENT, "no memory for an exchange");
        return NULL;
    }
    origin_know(origin, url, &target);
    *path = target.path;
    return origin;
}

bool client_send(struct poller *poller, const struct exchange *exchange,
                 int64_t timeout_ms, bool (*may_send)(void *context),
                 http_reply_fn *on_reply, void *context, struct err *err)
{
    struct str path;
    assert(on_reply && timeout_ms >= 1);
    assert(poller->once ||
           (exchange->method == EXCHANGE_GET && !exchange->idempotency_key.at));
    if (!is_clean(exchange->bearer) || !is_clean(exchange->idempotency_key)) {
        return err_set(err, ERR_PERMANENT, "a control character in a header");
    }
    struct poll_origin *origin = origin_for(poller, exchange->url, &path, err);
    if (!origin) {
        return false;
    }
    struct poll_call *call = call_new(exchange, path);
    if (!call) {
        return err_set(err, ERR_TRANSIENT, "no memory for an exchange");
    }
    call->poller = poller;
    call->origin = origin;
    call->timeout_ms = timeout_ms;
    call->may_send = may_send;
    call->on_reply = on_reply;
    call->context = context;
    poller->under_way++;
    list_add_tail(&poller->held, &call->link);
    poller_begin_held(poller);
    start_sweeping(poller);
    return true;
}

static void end_origin(struct poll_origin *origin)
{
    assert(origin->poller->closing);
    while (!list_is_empty(&origin->conns)) {
        conn_fail(LIST_OWNER(origin->conns.next, struct poll_conn, link),
                  REPLY_CANCELLED, "stopped", false);
    }
    origin_fail_waiting(origin, REPLY_CANCELLED, "stopped");
}

void client_close(struct poller *poller)
{
    poller->closing = true;
    for (struct list *at = poller->origins.next; at != &poller->origins;
         at = at->next) {
        end_origin(LIST_OWNER(at, struct poll_origin, link));
    }
    while (!list_is_empty(&poller->held)) {
        struct list *link = list_pop(&poller->held);
        poller_fail(LIST_OWNER(link, struct poll_call, link), REPLY_CANCELLED,
                    "stopped");
    }
    assert(poller->under_way == 0);
    while (!list_is_empty(&poller->origins)) {
        origin_free(LIST_OWNER(poller->origins.next, struct poll_origin, link));
    }
    loop_timer_free(poller->clock);
    loop_timer_free(poller->turn);
    loop_timer_free(poller->sweep);
    heap_done(&poller->clocks);
    cells_done(&poller->cells);
    buf_done(&poller->plain);
    tls_context_close(poller->hosts.tls);
    tls_context_close(poller->proxies.tls);
    free(poller->hosts.ca_file);
    free(poller->proxies.ca_file);
    free(poller->bytes);
    free(poller);
}
