#ifndef EDGE_POLL_HUB_H
#define EDGE_POLL_HUB_H

#include "base/buf.h"
#include "base/cells.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/proxy.h"
#include "edge/poll.h"
#include "edge/poll/names.h"

/** What the parts of the room share: the poller, and one question of it. */

#define POLL_READ_BYTES (64 * 1024)
#define POLL_CODING_BYTES 128

struct poll_origin;
struct poll_conn;
struct tls_context;

/** The CAs that some TLS stands on. */
struct poll_trust {
    struct tls_context *tls; /* null: not needed yet */
    char *ca_file;           /* null: the system's */
    int64_t read_ms;
};

struct poller {
    struct loop *loop;
    struct poll_trust hosts; /* of the provider */
    struct poll_trust proxies;
    const struct proxy *proxy; /* null: none */
    bool once;                 /* POSTs, too; whatever leaves it leaves once */
    int connections_max;
    int under_way;
    int begun;              /* of them, those that have a slot */
    struct list held;       /* the others; of who sends once only */
    int64_t fresh_until_ms; /* none goes over a connection that was used */
    struct list origins;
    struct heap clocks; /* of calls that are with a connection */
    size_t clocks_room;
    struct loop_timer *clock;
    struct loop_timer *turn;  /* gives calls to connections */
    struct loop_timer *sweep; /* while there are connections, or calls */
    bool sweeps;
    int64_t turn_ms; /* when `turn` comes; 0: it isn't set */
    bool closing;
    struct cells cells; /* of the sessions of HTTP/2 */
    struct buf plain;   /* a reply's body, its coding undone */
    char *bytes; /* POLL_READ_BYTES: what a connection has just brought */
};

/** One question. It waits in its origin, then it is with a connection. */
struct poll_call {
    struct list link; /* poller.held, origin.waiting or conn.calls */
    struct heap_entry clock;
    struct poller *poller;
    struct poll_origin *origin;
    struct poll_conn *conn; /* null: it waits */
    int64_t timeout_ms;
    int64_t since_ms; /* waiting, or with its connection */
    bool (*may_send)(void *context);
    http_reply_fn *on_reply;
    void *context;
    int lost;    /* connections that lost it */
    bool began;  /* it has a slot */
    bool fresh;  /* not over a connection that was used: it was lost on one */
    bool asked;  /* may_send() said yes */
    bool sent;   /* a byte may have left */
    bool looked; /* its time is over, its last look has begun */
    /* Of HTTP/2: what has come so far. */
    int32_t stream;
    int status;
    bool head_done;
    bool done;
    bool too_large;
    size_t head_bytes;
    struct buf body;
    char retry_after[64];
    char content_type[96];
    char coding[POLL_CODING_BYTES];
    struct str path;   /* into `text`, NUL-terminated, as the next */
    struct str bearer; /* "Bearer …"; absent: none */
    struct str key;    /* Idempotency-Key; absent: none */
    struct str posted; /* a POST's body; absent: a GET */
    char text[];
};

#define HOST_BYTES 256

/** What becomes of a connection, as its origin is told it. */
struct origin_hooks {
    /** Somebody waits, and there may be room. It may close connections. */
    void (*turn)(struct poll_origin *origin);
    /** One is open, and has no calls yet. */
    void (*reached)(struct poll_conn *conn);
    /** One could not be made, and is closed. */
    void (*dial_failed)(struct poll_conn *conn, enum reply_end end,
                        const char *why);
};

/** A host of the provider, what waits for it and what leads to it. */
struct poll_origin {
    const struct origin_hooks *hooks;
    struct list link; /* in poller.origins */
    struct poller *poller;
    bool secure;
    int port;
    char host[HOST_BYTES];           /* without brackets */
    char authority[HOST_BYTES + 10]; /* as Host says it */
    char behind[HOST_BYTES + 24];    /* the same with its port: of CONNECT */
    char h1_head[HOST_BYTES + 160];  /* HTTP/1.1: all behind a call's path */
    char base[HOST_BYTES + 24]; /* of a URL that led to it: up to the path */
    size_t base_len;
    const struct proxy *proxy; /* leads to it; null: none */
    struct list waiting;
    struct list conns;
    struct list ready;      /* the one used last is last */
    int conns_len;          /* that take calls, or will */
    int dialing;            /* of them */
    struct lookup *lookup;  /* null: none under way */
    struct names names;     /* its addresses */
    int64_t asked_ms;       /* when the lookup began */
    int64_t dialed_ms;      /* when the last dial began */
    int64_t reached_ms;     /* when the last one opened */
    int64_t alone_until_ms; /* a dial failed: those that are there have to do */
    int64_t doubted_ms;     /* when a connection was last left in doubt */
};

/** A call's end, and what came until then. */
struct poll_answer {
    enum reply_end end;
    const char *why; /* null for a whole one */
    int status;
    struct str body;
    struct str retry_after;
    struct str content_type;
    const char *coding;
    bool replayed;
};

/** Gives the reply to who asked, and frees the call. It is with no connection
 * and in no list any more. */
void poller_answer(struct poll_call *call, const struct poll_answer *answer);

/** Answers without a reply; its status and body, if any came, of HTTP/2. */
void poller_fail(struct poll_call *call, enum reply_end end, const char *why);

/** Those without a slot get what there is of them. */
void poller_begin_held(struct poller *poller);

/** Its time runs from now on, or does so already; false: no memory. */
MUST_CHECK bool poller_start_clock(struct poll_call *call);
void poller_stop_clock(struct poll_call *call);

/** The clock of whose time is over first. */
void poller_set_clock(struct poller *poller);

/** A connection lost it: it is the next to be asked. */
void poller_put_back(struct poll_call *call);

/** poller.turn comes within so many milliseconds. */
void poller_turn_within(struct poller *poller, int64_t wait_ms);

/** The TLS of connections to hosts, or of those to the proxy; null, with words
 * in `why`. */
struct tls_context *poller_tls(struct poller *poller, struct poll_trust *trust,
                               char *why, size_t why_bytes);

#endif
