#include "edge/poll/origin.h"

#include "edge/poll/conn.h"
#include "edge/poll/clocks.h"
#include "edge/poll/drive.h"
#include "edge/poll/h1.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Who waits longer than that shows that there are too few connections. */
#define GROW_MS 4
#define RACE_MS 250  /* then another address is dialed, too (RFC 8305) */
#define HUNG_MS 1000 /* then one more, if need be to the same one */
#define HOPELESS_MS                                                            \
    5000                   /* then its place is another's, where all are taken \
                            */
#define DIAL_PAUSE_MS 1000 /* after one that failed beside others */
#define LOOKUP_MS 10000
#define NAMES_MS 60000
#define LOOKUP_PAUSE_MS 1000 /* while other connections serve */
#define WAIT_MAX_MS 60000

/* ---- the life of an origin ---- */

static void on_reached(struct poll_conn *conn);
static void on_dial_failed(struct poll_conn *conn, enum reply_end end,
                           const char *why);

/** What connections tell. */
static const struct origin_hooks hooks = {
    .turn = origin_turn,
    .reached = on_reached,
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
    h1_head(origin);
    list_init(&origin->waiting);
    list_init(&origin->conns);
    list_init(&origin->ready);
    list_add_tail(&poller->origins, &origin->link);
    return origin;
}

struct poll_origin *origin_known(struct poller *poller, struct str url,
                                 struct str *path)
{
    for (struct list *at = poller->origins.next; at != &poller->origins;
         at = at->next) {
        struct poll_origin *origin = LIST_OWNER(at, struct poll_origin, link);
        const size_t len = origin->base_len;
        if (len && url.len > len && url.at[len] == '/' &&
            memcmp(url.at, origin->base, len) == 0) {
            *path = (struct str){url.at + len, url.len - len};
            return target_is_path(*path) ? origin : NULL;
        }
    }
    return NULL;
}

void origin_know(struct poll_origin *origin, struct str url,
                 const struct poll_target *target)
{
    const size_t len = (size_t)(target->path.at - url.at);
    assert(len <= url.len);
    if (len <= sizeof origin->base) {
        memcpy(origin->base, url.at, len);
        origin->base_len = len;
    }
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
        names_set(&origin->names, answer, 0);
        if (origin->conns_len == 0) {
            origin_fail_waiting(origin, REPLY_UNRESOLVED, why);
        }
        return;
    }
    names_set(&origin->names, answer,
              loop_boot_ms(origin->poller->loop) + NAMES_MS);
    origin_turn(origin);
}

/** Whether its addresses are known; if not, they are asked for. */
static bool know_names(struct poll_origin *origin, int64_t now_ms)
{
    struct lookup_answer literal;
    if (names_are_known(&origin->names, now_ms)) {
        return true;
    }
    if (lookup_literal(dialed_host(origin), dialed_port(origin), &literal)) {
        names_set(&origin->names, &literal, now_ms + NAMES_MS);
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

/** As many of its addresses as it takes to begin one connection. */
static void dial(struct poll_origin *origin)
{
    char why[160] = "no memory";
    assert(names_left(&origin->names) > 0);
    while (names_left(&origin->names) > 0) {
        const union lookup_address address = *names_next(&origin->names);
        const struct poll_conn *conn =
            drive_dial(origin, &address, why, sizeof why);
        if (conn) {
            origin->dialed_ms = conn->born_ms;
            poller_turn_within(origin->poller, RACE_MS);
            return;
        }
        names_fail(&origin->names, &address);
    }
    if (origin->conns_len == 0) {
        origin_fail_waiting(origin, REPLY_UNREACHED, why);
    }
}

/** The dial that was begun first; null: none is under way. */
static struct poll_conn *oldest_dial(const struct poll_origin *origin)
{
    for (struct list *at = origin->conns.next; at != &origin->conns;
         at = at->next) {
        struct poll_conn *conn = LIST_OWNER(at, struct poll_conn, link);
        if (conn->state != CONN_OPEN && !conn->left) {
            return conn;
        }
    }
    return NULL;
}

/** Dials that one begun so much later has overtaken will hardly open: who waits
 * would be counted on them, and their ends for failures. */
static void leave_hung(struct poll_origin *origin, const struct poll_conn *open)
{
    for (struct list *at = origin->conns.next; at != &origin->conns;) {
        struct poll_conn *conn = LIST_OWNER(at, struct poll_conn, link);
        at = at->next;
        if (conn->state != CONN_OPEN &&
            open->born_ms - conn->born_ms >= HUNG_MS) {
            conn_leave(conn);
        }
    }
}

static void on_reached(struct poll_conn *conn)
{
    assert(conn->state == CONN_OPEN && conn->active == 0);
    conn->origin->reached_ms = loop_boot_ms(conn->poller->loop);
    names_reach(&conn->origin->names, &conn->address);
    leave_hung(conn->origin, conn);
}

static void on_dial_failed(struct poll_conn *conn, enum reply_end end,
                           const char *why)
{
    assert(conn->state == CONN_CLOSED && end != REPLY_WHOLE);
    struct poll_origin *origin = conn->origin;
    const int64_t now_ms = loop_boot_ms(origin->poller->loop);
    if (origin->poller->closing || origin->names.found.len == 0) {
        return;
    }
    names_fail(&origin->names, &conn->address);
    if (origin->conns_len > 0) { /* others are, or will be, there */
        origin->alone_until_ms = now_ms + DIAL_PAUSE_MS;
        return;
    }
    if (names_left(&origin->names) > 0) {
        dial(origin);
        return;
    }
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

/** Who waits longest was lost on a connection that was kept, or must have one
 * of its own. */
static bool needs_fresh(const struct poll_origin *origin, int64_t now_ms)
{
    assert(!list_is_empty(&origin->waiting));
    const struct poller *poller = origin->poller;
    struct poll_call *first =
        LIST_OWNER(origin->waiting.next, struct poll_call, link);
    if (poller->once) {
        first->fresh = now_ms < poller->fresh_until_ms;
        return first->fresh;
    }
    return first->fresh && now_ms >= origin->alone_until_ms;
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

/** Where every place is taken: that of a dial which will hardly open. */
static bool take_place(struct poll_origin *origin, int64_t now_ms)
{
    struct poll_conn *dial = oldest_dial(origin);
    if (!dial || now_ms - dial->born_ms < HOPELESS_MS ||
        now_ms - origin->dialed_ms < HUNG_MS) {
        return false;
    }
    conn_leave(dial);
    return true;
}

/** Whether the last dial began so long ago; `*look_ms`: until it did. */
static bool is_hung(const struct poll_origin *origin, int64_t pause_ms,
                    int64_t now_ms, int64_t *look_ms)
{
    const int64_t left_ms = origin->dialed_ms + pause_ms - now_ms;
    assert(origin->dialing > 0);
    *look_ms = left_ms > 0 ? left_ms : 0;
    return left_ms <= 0;
}

/** Who sends once has its time running, and an answer may take long: as many
 * are dialed as lack one, and one more where those dials hang. The first showed
 * which address is reached. */
static int wanted_at_once(struct poll_origin *origin, int64_t now_ms,
                          int64_t *look_ms)
{
    const int most = origin->poller->connections_max;
    const int room = most - origin->conns_len;
    int lack = waiting_len(origin, most) - origin->dialing;
    if (now_ms < origin->alone_until_ms || lack < 0) {
        return 0;
    }
    if (lack == 0 && !is_hung(origin, HUNG_MS, now_ms, look_ms)) {
        return 0;
    }
    lack += lack == 0;
    if (room <= 0) {
        return has_place(origin) || take_place(origin, now_ms);
    }
    return lack < room ? lack : room;
}

/**
 * Beside the dials that are under way. While none is open, the first one shows
 * what the server speaks; its address may be one that nobody reaches, and the
 * next one is tried. Behind one address there may be many servers, one of which
 * takes connections and no more: so there is one dial more than addresses. It
 * is the last: where all have failed, its end tells those who wait.
 */
static int wanted_beside(const struct poll_origin *origin, int64_t now_ms,
                         int64_t *look_ms)
{
    const bool alone = origin->conns_len == origin->dialing;
    const int left = names_left(&origin->names);
    if (origin->dialing > left) {
        return 0;
    }
    if (!alone && (now_ms < origin->alone_until_ms ||
                   origin->conns_len >= origin->poller->connections_max)) {
        return 0;
    }
    return is_hung(origin, alone && origin->dialing < left ? RACE_MS : HUNG_MS,
                   now_ms, look_ms);
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
    if (origin->poller->once && origin->conns_len > origin->dialing) {
        return wanted_at_once(origin, now_ms, look_ms);
    }
    if (origin->dialing > 0) {
        return wanted_beside(origin, now_ms, look_ms);
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

static bool is_next_dialed(const struct poll_origin *origin)
{
    for (const struct list *at = origin->conns.next; at != &origin->conns;
         at = at->next) {
        const struct poll_conn *conn = LIST_OWNER(at, struct poll_conn, link);
        if (conn->state != CONN_OPEN &&
            names_next_is(&origin->names, &conn->address)) {
            return true;
        }
    }
    return false;
}

/** An address that has no dial is next, if one is left; the same, if not. */
static void pass_dialed(struct poll_origin *origin)
{
    for (int i = names_left(&origin->names); i > 0 && is_next_dialed(origin);
         i--) {
        names_pass(&origin->names);
    }
}

/** Dials are under way, and none has opened for so long. */
static bool is_stuck(const struct poll_origin *origin, int64_t now_ms)
{
    const struct poll_conn *dial = oldest_dial(origin);
    return dial && now_ms - dial->born_ms >= HUNG_MS &&
           now_ms - origin->reached_ms >= HUNG_MS;
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
    /* Beside others as many go to the address that was reached as lack one,
     * unless a dial hangs there. */
    if (origin->dialing == origin->conns_len || is_stuck(origin, now_ms)) {
        pass_dialed(origin);
    }
    while (more-- > 0 && !list_is_empty(&origin->waiting) &&
           names_left(&origin->names) > 0) {
        dial(origin);
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
        clocks_look(conn, now_ms); /* it may be too old */
        if (origin->poller->once) {
            drive_look_into(conn);
        }
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
    switch (drive_take(conn, call)) {
    case DRIVE_TAKEN:
        return true;
    case DRIVE_SHUT:
        poller_fail(call, REPLY_CANCELLED, "it may not be sent any more");
        return false;
    case DRIVE_NO_MEMORY:
        /* What a shortage of ours keeps back says nothing of the host, by
         * which the next submissions would be paced. */
        poller_fail(call,
                    call->poller->once ? REPLY_CANCELLED : REPLY_UNREACHED,
                    "no memory to send it");
        return false;
    }
    return false;
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
        /* One of HTTP/2 is ready with calls, too: it may be fresh still, and
         * what kills it would kill the next one. */
        conn = LIST_OWNER(at, struct poll_conn, ready);
        conn->kept |= conn->active == 0;
    }
}

/* ---- its clocks ---- */

void origin_time_out(struct poll_call *call)
{
    const struct poll_origin *origin = call->origin;
    char why[160];
    assert(!call->conn && !call->sent);
    snprintf(why, sizeof why, "%s%.80s%s within %lld s",
             origin->proxy ? "the proxy " : "no connection to ",
             origin->proxy ? origin->proxy->name : origin->authority,
             origin->proxy ? " opened no tunnel" : "",
             (long long)(call->timeout_ms / 1000));
    list_remove(&call->link);
    poller_fail(call, REPLY_TIMED_OUT, why);
}

bool origin_look(struct poll_origin *origin, int64_t now_ms)
{
    for (struct list *at = origin->conns.next; at != &origin->conns;) {
        struct poll_conn *conn = LIST_OWNER(at, struct poll_conn, link);
        at = at->next;
        clocks_look(conn, now_ms);
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
