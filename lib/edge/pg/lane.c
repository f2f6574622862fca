#include "edge/pg/lane.h"

#include "base/must.h"
#include "core/retry.h"
#include "edge/loop/uv.h"
#include "edge/pg/greeting.h"
#include "edge/pg/pooler.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 16 /* units under way */
/* for the end of the backend before, and half a lease */
#define GREETING_MS 3000
#define NULLS_MAX 3 /* empty results in a row: nothing more is there yet */

enum phase { LANE_APART, LANE_CONNECTING, LANE_GREETING, LANE_UP };

/** What is under way on another thread; outlives the lane if need be. */
struct connecting {
    struct pg_lane *lane;      /* null: nobody waits for it any more */
    struct pg_address address; /* own copies */
    size_t turn; /* the host to begin with, then the one reached */
    PGconn *conn;
    struct err err;
};

struct pg_lane {
    struct loop *loop;
    struct pg_lane_options options;
    pg_lane_state_fn *on_state;
    void *context;
    enum phase phase;
    struct connecting *connecting;
    PGconn *conn;
    uv_poll_t *poll;
    int watching;        /* what libuv was told: UV_READABLE and the like */
    struct list waiting; /* to be sent */
    struct list sent;    /* oldest first */
    size_t sent_len;
    struct list refused; /* came while there was no connection */
    struct pg_greeting greeting;
    struct backoff backoff;
    int64_t heard_ms; /* boot clock: last answer, or start of the wait for it */
    size_t turn;      /* the host to begin with: not the one that was lost */
    const char *doom; /* why it is dropped in the next turn; null: it isn't */
    struct loop_timer *again; /* connect */
    struct loop_timer *soon;  /* end refused units; drop a doomed connection */
    struct loop_timer *watch; /* silence */
};

static const char lost[] = "the connection was lost"; /* libpq says how */

static void connect_now(void *context);
static void drop(struct pg_lane *lane, const char *why, bool misfit);
static void pump(struct pg_lane *lane);

/* ---- ends of units ---- */

static void end_unit(struct pg_unit *unit)
{
    assert(unit->on_end && list_is_empty(&unit->link));
    unit->on_end(unit->context, unit);
    pg_unit_free(unit);
}

static void end_all(struct list *units, const char *why)
{
    while (!list_is_empty(units)) {
        struct pg_unit *unit =
            LIST_OWNER(list_pop(units), struct pg_unit, link);
        pg_unit_rewind(unit);
        err_set(&unit->err, ERR_TRANSIENT, "%s", why);
        end_unit(unit);
    }
}

static void move_all(struct list *from, struct list *to)
{
    while (!list_is_empty(from)) {
        list_add_tail(to, list_pop(from));
    }
}

/** The connection goes on after a refusal; other errors (read-only, shut down,
 * a table is gone, the disk is full) are not the unit's own, and a new
 * connection, after a wait, finds out whether they are over. */
static void unit_came(struct pg_lane *lane, struct pg_unit *unit)
{
    assert(list_is_empty(&unit->link));
    unit->tries++;
    if (!unit->sqlstate[0]) {
        if (lane->phase == LANE_UP) {
            backoff_good(&lane->backoff);
        }
        end_unit(unit);
    } else if (pg_unit_may_retry(unit) && unit->tries < unit->tries_max) {
        pg_unit_rewind(unit);
        list_add_tail(&lane->waiting, &unit->link);
    } else if (pg_unit_is_refused(unit)) {
        unit->err.kind = ERR_PERMANENT;
        end_unit(unit);
    } else if (pg_unit_may_retry(unit) || pg_unit_is_harmless(unit) ||
               lane->phase == LANE_GREETING) {
        end_unit(unit);
    } else {
        struct err err = unit->err;
        bool pooler = pg_unit_is_poolers(unit);
        drop(lane, pooler ? pg_pooler_words : err.text, false);
        end_unit(unit); /* it alone knows what the error was */
    }
}

/* ---- bytes in, bytes out ---- */

/** Whose result comes next: those of a transaction have theirs in turn. */
static struct pg_unit *next_taker(const struct pg_lane *lane)
{
    const struct list *at = lane->sent.next;
    struct pg_unit *unit = LIST_OWNER(at, struct pg_unit, link);
    while (unit->joined && unit->results_len == unit->calls_len) {
        at = at->next;
        unit = LIST_OWNER(at, struct pg_unit, link);
    }
    return unit;
}

/** A transaction has ended. An error in one of several is that one's own, and
 * which that is shows when each goes alone. */
static void transaction_came(struct pg_lane *lane)
{
    struct list came;
    list_init(&came);
    bool failed = false;
    bool more = true;
    while (more) {
        struct pg_unit *unit =
            LIST_OWNER(list_pop(&lane->sent), struct pg_unit, link);
        assert(lane->sent_len > 0);
        lane->sent_len--;
        more = unit->joined;
        failed = failed || unit->sqlstate[0];
        list_add_tail(&came, &unit->link);
    }
    const bool several = came.next->next != &came;
    while (!list_is_empty(&came)) {
        struct pg_unit *unit =
            LIST_OWNER(list_pop(&came), struct pg_unit, link);
        unit->joined = false;
        if (several && failed) {
            pg_unit_rewind(unit);
            list_add_tail(&lane->waiting, &unit->link);
        } else {
            unit_came(lane, unit);
        }
    }
}

static void take_results(struct pg_lane *lane)
{
    PGconn *conn = lane->conn;
    int nulls = 0;
    while (lane->conn == conn && !list_is_empty(&lane->sent) &&
           nulls < NULLS_MAX && !PQisBusy(conn) && !lane->doom) {
        struct pg_unit *unit = next_taker(lane);
        PGresult *result = PQgetResult(conn);
        if (lane->doom) {
            PQclear(result);
            return;
        }
        if (!result) {
            nulls++;
            continue;
        }
        nulls = 0;
        if (PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
            pg_unit_take(unit, result);
            if (PQstatus(conn) == CONNECTION_BAD) {
                return;
            }
            continue;
        }
        PQclear(result);
        transaction_came(lane);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct pg_lane *lane = poll->data;
    PGconn *conn = lane->conn;
    assert(conn && lane->poll == poll);
    struct err err = {0};
    if (status < 0 || ((events & UV_READABLE) && !PQconsumeInput(conn))) {
        pg_err(&err, ERR_TRANSIENT, conn);
        drop(lane, err.text, false);
        return;
    }
    if (events & UV_READABLE) {
        lane->heard_ms = loop_boot_ms(lane->loop);
        take_results(lane);
    }
    if (lane->conn != conn) {
        return;
    }
    if (PQstatus(conn) == CONNECTION_BAD) {
        pg_err(&err, ERR_TRANSIENT, conn);
        drop(lane, err.text, false);
        return;
    }
    pump(lane);
}

static bool send_unit(struct pg_lane *lane, struct pg_unit *unit)
{
    for (size_t i = 0; i < unit->calls_len; i++) {
        if (!pg_unit_send_call(unit, i, lane->conn)) {
            return false;
        }
    }
    return unit->joined || PQpipelineSync(lane->conn) == 1;
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle);
}

/** libuv takes a socket out of epoll and puts it in again each time that it is
 * told what it knows. */
static bool watch(struct pg_lane *lane, int events)
{
    assert(lane->poll && events);
    if (events == lane->watching) {
        return true;
    }
    if (uv_poll_start(lane->poll, events, on_poll) != 0) {
        return false;
    }
    lane->watching = events;
    return true;
}

static void unwatch(struct pg_lane *lane)
{
    lane->watching = 0;
    if (lane->poll) {
        uv_poll_stop(lane->poll);
        uv_close((uv_handle_t *)lane->poll, on_poll_closed);
        lane->poll = NULL;
    }
}

static int64_t silence_ms(const struct pg_lane *lane)
{
    const struct pg_lane_options *o = &lane->options;
    int64_t greeting_ms = o->lease_ms / 2 + GREETING_MS;
    return lane->phase == LANE_GREETING && greeting_ms < o->silence_ms
               ? greeting_ms
               : o->silence_ms;
}

/** Sends what may be sent. Calls nobody: failure is seen to in the next
 * turn. */
static void pump(struct pg_lane *lane)
{
    if (lane->doom) {
        return;
    }
    bool joined = false;
    while (!list_is_empty(&lane->waiting) &&
           (lane->sent_len < DEPTH_MAX || joined)) {
        struct pg_unit *unit =
            LIST_OWNER(list_pop(&lane->waiting), struct pg_unit, link);
        joined = unit->joined;
        if (lane->sent_len == 0) {
            lane->heard_ms = loop_boot_ms(lane->loop);
            loop_timer_set(lane->watch, silence_ms(lane));
        }
        list_add_tail(&lane->sent, &unit->link);
        lane->sent_len++;
        if (!send_unit(lane, unit)) {
            lane->doom = lost;
        }
    }
    int left = lane->doom ? -1 : PQflush(lane->conn);
    if (PQsocket(lane->conn) < 0) {
        /* While it sends, libpq reads, and closes what has ended: libuv aborts
         * when it is told to watch that, and the number is soon another's. */
        unwatch(lane);
        left = -1;
    }
    int events = UV_READABLE | (left > 0 ? UV_WRITABLE : 0);
    if (left < 0 || !watch(lane, events)) {
        lane->doom = lost;
        loop_timer_set(lane->soon, 0);
    }
}

/* ---- connection lost, connection wanted ---- */

static void hang_up(struct pg_lane *lane)
{
    unwatch(lane);
    PQfinish(lane->conn);
    lane->conn = NULL;
    lane->doom = NULL;
    loop_timer_stop(lane->watch);
}

/** The state is told before the units end, so that who is called back sees
 * it. */
static void drop(struct pg_lane *lane, const char *why, bool misfit)
{
    char text[sizeof(((struct err *)0)->text)];
    snprintf(text, sizeof text, "%s", why);
    struct list units;
    list_init(&units);
    move_all(&lane->sent, &units);
    move_all(&lane->waiting, &units);
    lane->sent_len = 0;
    lane->turn += lane->conn != NULL; /* another host may be the primary now */
    hang_up(lane);
    lane->phase = LANE_APART;
    loop_timer_set(lane->again,
                   backoff_fail(&lane->backoff, lane->options.again_max_ms,
                                loop_random(lane->loop)));
    lane->on_state(lane->context, false, text, misfit);
    end_all(&units, text);
}

static void on_soon(void *context)
{
    struct pg_lane *lane = context;
    struct list refused;
    list_init(&refused);
    move_all(&lane->refused, &refused);
    if (lane->doom) {
        struct err err = {0};
        pg_err(&err, ERR_TRANSIENT, lane->conn);
        drop(lane, lane->doom == lost ? err.text : lane->doom, false);
    }
    end_all(&refused, "PostgreSQL is not connected");
}

static void on_watch(void *context)
{
    struct pg_lane *lane = context;
    if (!lane->sent_len) {
        return;
    }
    int64_t left_ms =
        lane->heard_ms + silence_ms(lane) - loop_boot_ms(lane->loop);
    if (left_ms > 0) {
        loop_timer_set(lane->watch, left_ms);
        return;
    }
    drop(lane,
         lane->phase == LANE_GREETING
             ? "PostgreSQL takes connections and does not answer (do commits "
               "wait for a synchronous standby that is away?)"
             : "PostgreSQL does not answer",
         false);
}

/* ---- greeting ---- */

static void on_question(void *context, struct pg_unit *unit)
{
    struct pg_lane *lane = context;
    assert(lane->conn && lane->phase == LANE_GREETING);
    list_add_tail(&lane->waiting, &unit->link);
    pump(lane);
}

static void on_greeted(void *context, const char *fault, bool misfit)
{
    struct pg_lane *lane = context;
    if (!lane->conn || lane->phase != LANE_GREETING) {
        return; /* dropped in the meantime */
    }
    if (fault) {
        drop(lane, fault, misfit);
        return;
    }
    lane->phase = LANE_UP;
    lane->on_state(lane->context, true, "", false);
}

/* ---- connecting ---- */

static void connect_work(void *context)
{
    struct connecting *connecting = context;
    connecting->conn = pg_connect(&connecting->address, &connecting->err);
}

/** What came of the commit is not known. */
static void on_notice(void *context, const PGresult *notice)
{
    struct pg_lane *lane = context;
    if (pg_is_unwaited(notice)) {
        lane->doom = "a commit was not waited for until a standby has it";
        loop_timer_set(lane->soon, 0);
    }
}

static bool begin_pipeline(struct pg_lane *lane)
{
    assert(lane->conn && !lane->poll);
    lane->poll = calloc(1, sizeof *lane->poll);
    if (!lane->poll || uv_poll_init(loop_uv(lane->loop), lane->poll,
                                    PQsocket(lane->conn)) != 0) {
        free(lane->poll);
        lane->poll = NULL;
        return false;
    }
    lane->poll->data = lane;
    PQsetNoticeReceiver(lane->conn, on_notice, lane);
    return PQsetnonblocking(lane->conn, 1) == 0 &&
           PQenterPipelineMode(lane->conn) == 1;
}

static void connect_done(void *context)
{
    struct connecting *connecting = context;
    struct pg_lane *lane = connecting->lane;
    struct err err = connecting->err;
    PGconn *conn = connecting->conn;
    const size_t turn = connecting->turn;
    assert(!lane || (lane->connecting == connecting && !lane->conn));
    pg_address_free(&connecting->address);
    must_free(connecting);
    if (!lane) {
        PQfinish(conn);
        return;
    }
    lane->connecting = NULL;
    lane->conn = conn;
    lane->turn = turn;
    if (!conn) {
        drop(lane, err.text, false);
    } else if (!begin_pipeline(lane)) {
        drop(lane, "can't watch the connection", false);
    } else {
        lane->phase = LANE_GREETING;
        pg_greet(&lane->greeting);
    }
}

static void connect_now(void *context)
{
    struct pg_lane *lane = context;
    assert(!lane->conn && !lane->connecting);
    struct connecting *connecting = MUST_NEW(struct connecting);
    connecting->lane = lane;
    connecting->address = pg_address_copy(&lane->options.address);
    connecting->turn = lane->turn;
    connecting->address.turn = &connecting->turn;
    lane->connecting = connecting;
    lane->phase = LANE_CONNECTING;
    loop_work(lane->loop, connect_work, connect_done, connecting);
}

/* ---- life ---- */

struct pg_lane *pg_lane_open(struct loop *loop,
                             const struct pg_lane_options *options,
                             pg_lane_state_fn *on_state, void *context,
                             struct err *err)
{
    assert(options->address.url && on_state);
    struct pg_lane *lane = calloc(1, sizeof *lane);
    if (!lane) {
        err_set(err, ERR_FATAL, "no memory for a connection");
        return NULL;
    }
    lane->loop = loop;
    lane->options = *options;
    lane->options.address = pg_address_copy(&options->address);
    lane->options.address.patience = pg_patience_of(options->lease_ms);
    lane->options.address.writes = true;
    lane->on_state = on_state;
    lane->context = context;
    lane->greeting = (struct pg_greeting){
        .queries = options->queries,
        .lease_ms = options->lease_ms,
        .statement_ms = options->statement_ms,
        .on_question = on_question,
        .on_end = on_greeted,
        .context = lane,
    };
    list_init(&lane->waiting);
    list_init(&lane->sent);
    list_init(&lane->refused);
    lane->again = loop_timer_new(loop, connect_now, lane);
    lane->soon = loop_timer_new(loop, on_soon, lane);
    lane->watch = loop_timer_new(loop, on_watch, lane);
    if (!lane->again || !lane->soon || !lane->watch ||
        !lane->options.address.url) {
        err_set(err, ERR_FATAL, "no memory for a connection");
        pg_lane_close(lane);
        return NULL;
    }
    connect_now(lane);
    return lane;
}

bool pg_lane_is_up(const struct pg_lane *lane)
{
    return lane->phase == LANE_UP;
}

struct str pg_lane_salt(const struct pg_lane *lane)
{
    return pg_salt_str(&lane->greeting.salt);
}

void pg_lane_send(struct pg_lane *lane, struct pg_unit *unit)
{
    assert(list_is_empty(&unit->link));
    if (lane->phase != LANE_UP || unit->bytes.failed) {
        list_add_tail(&lane->refused, &unit->link);
        loop_timer_set(lane->soon, 0);
        return;
    }
    list_add_tail(&lane->waiting, &unit->link);
    pump(lane);
}

void pg_lane_send_both(struct pg_lane *lane, struct pg_unit *first,
                       struct pg_unit *second)
{
    assert(list_is_empty(&first->link) && list_is_empty(&second->link));
    if (lane->phase == LANE_UP && !first->bytes.failed &&
        !second->bytes.failed) {
        first->joined = true;
        list_add_tail(&lane->waiting, &first->link);
    } else {
        pg_lane_send(lane, first);
    }
    pg_lane_send(lane, second);
}

void pg_lane_lock(struct pg_unit *unit, int64_t lock)
{
    pg_greet_lock(unit, lock);
}

void pg_lane_locked(struct pg_lane *lane, int64_t lock)
{
    assert(lock > 0);
    lane->greeting.lock = lock;
}

void pg_lane_doubt(struct pg_lane *lane, int64_t ms)
{
    assert(ms >= 0);
    if (lane->sent_len && !lane->doom &&
        loop_boot_ms(lane->loop) - lane->heard_ms > ms) {
        drop(lane, "PostgreSQL does not answer", false);
    }
}

void pg_lane_follow(struct pg_lane *lane, const struct pg_lane *other)
{
    if (lane && lane->phase == LANE_UP && other->conn &&
        !pg_same_place(lane->conn, other->conn)) {
        drop(lane, "PostgreSQL is on another host now", false);
        lane->turn = other->turn;
    }
}

void pg_lane_close(struct pg_lane *lane)
{
    if (!lane) {
        return;
    }
    lane->phase = LANE_APART;
    hang_up(lane);
    if (lane->connecting) {
        lane->connecting->lane = NULL;
    }
    /* Who is called back may ask again, once: that ends here too. */
    while (!list_is_empty(&lane->sent) || !list_is_empty(&lane->waiting) ||
           !list_is_empty(&lane->refused)) {
        end_all(&lane->sent, "the store is closed");
        end_all(&lane->waiting, "the store is closed");
        end_all(&lane->refused, "the store is closed");
    }
    loop_timer_free(lane->again);
    loop_timer_free(lane->soon);
    loop_timer_free(lane->watch);
    pg_address_free(&lane->options.address);
    free(lane);
}
