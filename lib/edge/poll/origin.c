#include "edge/poll/origin.h"

#include "edge/poll/conn.h"
#include "edge/poll/drive.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Who waits longer than that shows that there are too few connections. */
#define GROW_MS 4
#define RACE_MS 250        /* then another address is dialed, too (RFC 8305) */
#define DIAL_PAUSE_MS 1000 /* after one that failed beside others */
#define LOOKUP_MS 10000
#define NAMES_MS 60000
#define LOOKUP_PAUSE_MS 1000 /* while other connections serve */
#define WAIT_MAX_MS 60000

/* ---- URLs ---- */

static bool read_port(struct str text, int *port)
{
    int64_t value = 0;
    if (!str_to_i64(text, 1, 65535, &value)) {
        return false;
    }
    *port = (int)value;
    return true;
}

/** "host", "host:1", "[::1]:1"; no user, who would be a secret. */
static bool read_authority(struct str text, struct poll_target *target)
{
    struct str host = text;
    if (str_starts(text, STR("["))) {
        const char *end = memchr(text.at, ']', text.len);
        if (!end) {
            return false;
        }
        host = (struct str){text.at + 1, (size_t)(end - text.at) - 1};
        text = (struct str){end + 1, text.len - host.len - 2};
    } else {
        const char *colon = memchr(text.at, ':', text.len);
        host.len = colon ? (size_t)(colon - text.at) : text.len;
        text = (struct str){text.at + host.len, text.len - host.len};
    }
    if (text.len > 0 &&
        (text.at[0] != ':' ||
         !read_port((struct str){text.at + 1, text.len - 1}, &target->port))) {
        return false;
    }
    if (host.len == 0 || host.len >= sizeof target->host ||
        memchr(host.at, '@', host.len)) {
        return false;
    }
    memcpy(target->host, host.at, host.len);
    target->host[host.len] = '\0';
    return true;
}

bool origin_read_url(struct str url, struct poll_target *target)
{
    *target = (struct poll_target){.port = 80};
    size_t skip = 7;
    if (str_starts(url, STR("https://"))) {
        *target = (struct poll_target){.secure = true, .port = 443};
        skip = 8;
    } else if (!str_starts(url, STR("http://"))) {
        return false;
    }
    for (size_t i = 0; i < url.len; i++) {
        const unsigned char c = (unsigned char)url.at[i];
        if (c <= 0x20 || c == 0x7f) {
            return false;
        }
    }
    url = (struct str){url.at + skip, url.len - skip};
    const char *hash = memchr(url.at, '#', url.len);
    url.len = hash ? (size_t)(hash - url.at) : url.len;
    size_t host = 0;
    while (host < url.len && url.at[host] != '/' && url.at[host] != '?') {
        host++;
    }
    target->path = (struct str){url.at + host, url.len - host};
    return read_authority((struct str){url.at, host}, target);
}

/* ---- the life of an origin ---- */

static void on_dial_failed(struct poll_origin *origin, enum reply_end end,
                           const char *why);

/** What connections tell. */
static const struct origin_hooks hooks = {
    .turn = origin_turn,
    .dial_failed = on_dial_failed,
};

static bool is_it(const struct poll_origin *origin,
                  const struct poll_target *target)
{
    return origin->secure == target->secure && origin->port == target->port &&
           str_eq_nocase(str_of(origin->host), str_of(target->host));
}

static void write_authority(struct poll_origin *origin)
{
    assert(origin->host[0]);
    const bool v6 = strchr(origin->host, ':');
    const int usual = origin->secure ? 443 : 80;
    const int len =
        snprintf(origin->authority, sizeof origin->authority, "%s%s%s",
                 v6 ? "[" : "", origin->host, v6 ? "]" : "");
    snprintf(origin->behind, sizeof origin->behind, "%s:%d", origin->authority,
             origin->port);
    if (origin->port != usual && len > 0) {
        snprintf(origin->authority + len,
                 sizeof origin->authority - (size_t)len, ":%d", origin->port);
    }
}

/** Whom connections are made to: the host, or the proxy that leads to it. */
static const char *dialed_host(const struct poll_origin *origin)
{
    return origin->proxy ? origin->proxy->host : origin->host;
}

static int dialed_port(const struct poll_origin *origin)
{
    return origin->proxy ? origin->proxy->port : origin->port;
}

struct poll_origin *origin_of(struct poller *poller,
                              const struct poll_target *target)
{
    assert(target->host[0] && target->port >= 1);
    for (struct list *at = poller->origins.next; at != &poller->origins;
         at = at->next) {
        struct poll_origin *origin = LIST_OWNER(at, struct poll_origin, link);
        if (is_it(origin, target)) {
            return origin;
        }
    }
    struct poll_origin *origin = calloc(1, sizeof *origin);
    if (!origin) {
        return NULL;
    }
    origin->hooks = &hooks;
    origin->poller = poller;
    origin->secure = target->secure;
    origin->port = target->port;
    memcpy(origin->host, target->host, sizeof origin->host);
    origin->proxy = proxy_leads_to(poller->proxy, str_of(origin->host))
                        ? poller->proxy
                        : NULL;
    write_authority(origin);
    list_init(&origin->waiting);
    list_init(&origin->conns);
    list_init(&origin->ready);
    list_add_tail(&poller->origins, &origin->link);
    return origin;
}

void origin_free(struct poll_origin *origin)
{
    assert(origin->conns_len == 0 && origin->dialing == 0);
    assert(list_is_empty(&origin->waiting) && list_is_empty(&origin->conns));
    if (origin->lookup) {
        lookup_stop(origin->lookup);
    }
    list_remove(&origin->link);
    free(origin);
}

/* ---- who waits ---- */

void origin_fail_waiting(struct poll_origin *origin, enum reply_end end,
                         const char *why)
{
    struct list calls;
    char words[160];
    snprintf(words, sizeof words, "%s", why);
    list_take_all(&calls, &origin->waiting); /* an end may begin others */
    while (!list_is_empty(&calls)) {
        struct list *link = list_pop(&calls);
        poller_fail(LIST_OWNER(link, struct poll_call, link), end, words);
    }
}

/* ---- more connections ---- */

static void on_names(void *context, const struct lookup_answer *answer)
{
    struct poll_origin *origin = context;
    char why[160];
    assert(origin->lookup);
    origin->lookup = NULL;
    if (answer->len == 0) {
        snprintf(why, sizeof why, "no address of %s%.70s: %.50s",
                 origin->proxy ? "the proxy " : "", dialed_host(origin),
                 answer->why);
        origin->names.len = 0;
        if (origin->conns_len == 0) {
            origin_fail_waiting(origin, REPLY_UNRESOLVED, why);
        }
        return;
    }
    origin->names = *answer;
    origin->name = 0;
    origin->failed = 0;
    origin->names_until_ms = loop_boot_ms(origin->poller->loop) + NAMES_MS;
    origin_turn(origin);
}

/** Whether its addresses are known; if not, they are asked for. */
static bool know_names(struct poll_origin *origin, int64_t now_ms)
{
    assert(origin->names.len >= 0 && origin->names.len <= LOOKUP_ADDRESSES_MAX);
    if (origin->names.len > 0 && now_ms < origin->names_until_ms) {
        return true;
    }
    if (lookup_literal(dialed_host(origin), dialed_port(origin),
                       &origin->names)) {
        origin->names_until_ms = now_ms + NAMES_MS;
        origin->name = 0;
        return true;
    }
    const bool again =
        !origin->asked_ms || now_ms - origin->asked_ms >= LOOKUP_PAUSE_MS;
    if (!origin->lookup && (again || origin->conns_len == 0)) {
        origin->asked_ms = now_ms;
        origin->lookup = lookup_start(origin->poller->loop, dialed_host(origin),
                                      dialed_port(origin), on_names, origin);
        if (!origin->lookup && origin->conns_len == 0) {
            origin_fail_waiting(origin, REPLY_UNRESOLVED,
                                "no memory to ask for its address");
        }
    }
    return false;
}

static void dial_failed(struct poll_origin *origin)
{
    assert(origin->names.len > 0);
    origin->failed++;
    origin->name = (origin->name + 1) % origin->names.len;
}

/** As many of its addresses as it takes to begin one connection. */
static void dial(struct poll_origin *origin, int64_t now_ms)
{
    assert(origin->names.len > 0 && origin->failed >= 0);
    char why[160] = "no memory";
    for (; origin->failed < origin->names.len; dial_failed(origin)) {
        const union lookup_address *address =
            &origin->names.addresses[origin->name];
        origin->dialed_ms = now_ms;
        if (drive_dial(origin, address, why, sizeof why)) {
            return;
        }
    }
    origin->failed = 0;
    origin->names_until_ms = 0; /* they may have moved */
    if (origin->conns_len == 0) {
        origin_fail_waiting(origin, REPLY_UNREACHED, why);
    }
}

static void on_dial_failed(struct poll_origin *origin, enum reply_end end,
                           const char *why)
{
    assert(end != REPLY_WHOLE);
    const int64_t now_ms = loop_boot_ms(origin->poller->loop);
    if (origin->poller->closing || origin->names.len == 0) {
        return;
    }
    dial_failed(origin);
    if (origin->conns_len > 0) { /* others are, or will be, there */
        origin->alone_until_ms = now_ms + DIAL_PAUSE_MS;
        return;
    }
    if (origin->failed < origin->names.len) {
        dial(origin, now_ms);
        return;
    }
    origin->failed = 0;
    origin->names_until_ms = 0;
    origin_fail_waiting(origin, end, why);
}

static int waiting_len(const struct poll_origin *origin, int most)
{
    int n = 0;
    for (const struct list *at = origin->waiting.next;
         at != &origin->waiting && n < most; at = at->next) {
        n++;
    }
    return n;
}

/** Who waits longest was lost on a connection that was kept. */
static bool needs_fresh(const struct poll_origin *origin, int64_t now_ms)
{
    assert(!list_is_empty(&origin->waiting));
    return LIST_OWNER(origin->waiting.next, struct poll_call, link)->fresh &&
           now_ms >= origin->alone_until_ms;
}

/** One place for a connection, if need be that of one that stands idle. */
static bool has_place(struct poll_origin *origin)
{
    assert(origin->conns_len >= 0);
    if (origin->conns_len >= origin->poller->connections_max &&
        !list_is_empty(&origin->ready)) {
        conn_leave(LIST_OWNER(origin->ready.next, struct poll_conn, ready));
    }
    return origin->conns_len < origin->poller->connections_max;
}

/** How many to dial now; `*look_ms`: when to look again, 0: when told. */
static int wanted(struct poll_origin *origin, int64_t now_ms, int64_t *look_ms)
{
    assert(!list_is_empty(&origin->waiting));
    assert(origin->dialing >= 0 && origin->dialing <= origin->conns_len);
    const struct poll_call *first =
        LIST_OWNER(origin->waiting.next, struct poll_call, link);
    const int64_t waited_ms = now_ms - first->since_ms;
    *look_ms = 0;
    if (origin->conns_len == 0) {
        return 1;
    }
    if (origin->dialing > 0) {
        /* The first one shows what the server speaks. Its address may be one
         * that nobody reaches: then the next one is tried beside it. */
        const bool others = origin->conns_len == origin->dialing &&
                            origin->dialing < origin->names.len;
        const int64_t race_ms = origin->dialed_ms + RACE_MS - now_ms;
        *look_ms = others ? (race_ms > 0 ? race_ms : 0) : 0;
        return others && race_ms <= 0;
    }
    if (needs_fresh(origin, now_ms)) {
        return has_place(origin);
    }
    if (now_ms < origin->alone_until_ms) {
        return 0;
    }
    if (waited_ms < GROW_MS) {
        *look_ms = GROW_MS - waited_ms;
        return 0;
    }
    int more = origin->poller->connections_max - origin->conns_len;
    more = more < origin->conns_len ? more : origin->conns_len;
    return waiting_len(origin, more);
}

static void grow(struct poll_origin *origin, int64_t now_ms)
{
    int64_t look_ms = 0;
    int more = wanted(origin, now_ms, &look_ms);
    if (look_ms > 0) {
        poller_turn_within(origin->poller, look_ms);
    }
    if (more <= 0 || !know_names(origin, now_ms)) {
        return;
    }
    if (origin->dialing > 0) {
        origin->name = (origin->name + 1) % origin->names.len;
        poller_turn_within(origin->poller, RACE_MS);
    }
    while (more-- > 0 && !list_is_empty(&origin->waiting)) {
        dial(origin, now_ms);
    }
}

/* ---- giving ---- */

static struct poll_conn *pick(struct poll_origin *origin, int64_t now_ms)
{
    const bool fresh = needs_fresh(origin, now_ms);
    for (struct list *at = origin->ready.prev; at != &origin->ready;) {
        struct poll_conn *conn = LIST_OWNER(at, struct poll_conn, ready);
        at = at->prev;
        if (fresh && conn->kept) {
            continue;
        }
        drive_look(conn, now_ms); /* it may be too old */
        if (conn_has_room(conn)) {
            return conn;
        }
        at = origin->ready.prev; /* its end may have closed others */
    }
    return NULL;
}

/** @return  false: the call ended instead. */
static bool give(struct poll_conn *conn, struct poll_call *call)
{
    assert(!call->conn && list_is_empty(&call->link));
    if (!call->asked && call->may_send && !call->may_send(call->context)) {
        poller_fail(call, REPLY_CANCELLED, "it may not be sent any more");
        return false;
    }
    call->asked = true;
    if (!drive_take(conn, call)) {
        poller_fail(call, REPLY_UNREACHED, "no memory to send it");
        return false;
    }
    return true;
}

void origin_turn(struct poll_origin *origin)
{
    const int64_t now_ms = loop_boot_ms(origin->poller->loop);
    struct poll_conn *last = NULL;
    struct poll_conn *conn;
    if (origin->poller->closing) {
        return;
    }
    while (!list_is_empty(&origin->waiting) &&
           (conn = pick(origin, now_ms)) != NULL) {
        if (last && last != conn) {
            drive_flush(last);
            last = NULL; /* that may have closed some */
            continue;
        }
        struct list *link = list_pop(&origin->waiting);
        if (give(conn, LIST_OWNER(link, struct poll_call, link))) {
            last = conn;
        }
    }
    if (last) {
        drive_flush(last);
    }
    if (!list_is_empty(&origin->waiting)) {
        grow(origin, now_ms);
        return;
    }
    for (struct list *at = origin->ready.next; at != &origin->ready;
         at = at->next) {
        LIST_OWNER(at, struct poll_conn, ready)->kept = true;
    }
}

/* ---- its clocks ---- */

static struct poll_conn *conn_at(struct list *link)
{
    return LIST_OWNER(link, struct poll_conn, link);
}

bool origin_look(struct poll_origin *origin, int64_t now_ms)
{
    for (struct list *at = origin->conns.next; at != &origin->conns;) {
        struct poll_conn *conn = conn_at(at);
        at = at->next;
        drive_look(conn, now_ms);
        if (conn->state == CONN_CLOSED) {
            at = origin->conns.next; /* its end may have closed others */
        }
    }
    if (origin->lookup && now_ms - origin->asked_ms >= LOOKUP_MS) {
        lookup_stop(origin->lookup);
        origin->lookup = NULL;
        if (origin->conns_len == 0) {
            origin_fail_waiting(origin, REPLY_UNRESOLVED,
                                "no name server answered within 10 s");
        }
    }
    while (!list_is_empty(&origin->waiting)) {
        struct list *link = origin->waiting.next;
        struct poll_call *call = LIST_OWNER(link, struct poll_call, link);
        if (now_ms - call->since_ms < WAIT_MAX_MS) {
            break;
        }
        list_remove(link);
        poller_fail(call, REPLY_TIMED_OUT, "no connection was free for 60 s");
    }
    origin_turn(origin);
    return !list_is_empty(&origin->conns) || !list_is_empty(&origin->waiting) ||
           origin->lookup;
}
