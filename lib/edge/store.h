#ifndef EDGE_STORE_H
#define EDGE_STORE_H

#include "base/arena.h"
#include "base/err.h"
#include "core/keys.h"
#include "core/lease.h"
#include "core/limit.h"
#include "core/price.h"
#include "core/queue.h"
#include "core/spending.h"
#include "core/step.h"
#include "edge/loop.h"
#include "edge/shares.h"
#include "edge/sources.h"

/**
 * The rows, in PostgreSQL. Two connections: the data lane, on which units go
 * out one behind the other, each a transaction whole in one pipeline; and the
 * lease lane, so that a bump never queues behind a batch. Both reconnect by
 * themselves, with growing waits.
 *
 * Every call with a callback ends in it exactly once, after the call returned.
 * A callback with *err of ERR_TRANSIENT on a unit that writes means: nobody
 * knows whether it was committed. Results live in the arena of the result
 * until the callback returns.
 */
struct store;

struct store_options {
    const char *url;  /* libpq connection string */
    const char *name; /* application_name */
    int64_t lease_ms;
    const char *password; /* null: as the URL says */
    bool accepted_events; /* of each new request it is owed to tell so */
};

/** up: both lanes are connected, the schema fits. why: in words when not. */
typedef void store_state_fn(void *context, bool up, const char *why,
                            bool schema_misfit);

struct store *store_open(struct loop *loop, const struct store_options *options,
                         store_state_fn *on_state, void *context,
                         struct err *err);
bool store_is_up(const struct store *store);
/** Ends all that is under way with ERR_TRANSIENT, then frees. */
void store_close(struct store *store);

/**
 * One turn and one batch of the intake that are given between these two go in
 * one transaction, the batch last. Where PostgreSQL refuses anything of it, or
 * the batch waits for another worker's rows for more than a moment, each goes
 * again by itself.
 */
void store_together(struct store *store);
void store_go(struct store *store);

/* ---- intake ---- */

struct intake_row {
    struct str request_id;
    struct str tenant; /* absent: faulty */
    enum request_mode mode;
    int priority;
    int64_t deadline_seconds; /* 0: none; task.deadline_ms = received_ms + it */
    struct str metadata;      /* absent: none */
    struct str warnings;      /* JSON array */
    struct str traceparent;
    struct str tracestate;
    struct str body; /* absent: at fault */
    struct str
        source; /* extend_from_request_id: it waits for that; or absent */
    struct str account; /* by name: the only one that may claim it; absent: any,
                           or that of the source which it waits for */
    money price;        /* the estimate; PRICE_UNKNOWN: none */
    unsigned char content[DIGEST_BYTES];
    int64_t received_ms;
    int64_t produced_ms; /* of its message; 0: not known */
    /** An order to cancel the request of that id and tenant; nothing else
     * holds but produced_ms. */
    bool cancel;
    /** At fault: the event, rendered; such a row begins as FAILED, ours. */
    struct str event;
};

enum intake_verdict {
    INTAKE_NEW,
    INTAKE_REPEAT,
    INTAKE_REUSED,
    INTAKE_TOO_OLD, /* not known, and ids of its time are forgotten */
    INTAKE_POISON,
    INTAKE_CANCELLED,     /* an order: it will be carried out, or was */
    INTAKE_CANCEL_KEPT,   /* an order: kept until its request comes */
    INTAKE_CANCEL_TENANT, /* an order: the request is another tenant's */
    INTAKE_CANCEL_LATE,   /* an order: the request has come too far */
};

struct intake_result {
    /** ERR_NONE: verdicts hold. Else the batch is to come again; ERR_PERMANENT:
     * what PostgreSQL answered is no weather, and somebody has to look. */
    struct err err;
    enum intake_verdict *verdicts; /* as the rows were given */
    size_t len;
};

typedef void intake_fn(void *context, const struct intake_result *result);

/**
 * Insert a batch in one commit; an id that is there is compared by content, and
 * known for as long from this message on. Orders to cancel are stored first, in
 * one commit of their own, or two if some are about ids that are not there: so
 * they hold for requests of their batch, whichever stood first. INTAKE_POISON:
 * PostgreSQL refuses this one row's data, for ever.
 *
 * @param owner          Tells that they were taken in; 0: nobody yet. FAILED
 *                       rows are nobody's.
 * @param known_from_ms  What was produced before is taken only if its id is
 *                       known (core/history.h); 0: anything.
 * @param rows           Theirs, and all that they point to, until on_result.
 */
void store_intake(struct store *store, int64_t owner, int64_t known_from_ms,
                  const struct intake_row *rows, size_t len,
                  intake_fn *on_result, void *context);

/* ---- chains, prices ---- */

/** What became of rows that wait for a source (sql/query/unblock.sql). */
struct unblocked {
    int64_t looked;              /* sources of the part of a look at all */
    char last[REQUEST_ID_BYTES]; /* the last of these; empty: none */
    int64_t freed;               /* wait for a claim now */
    int64_t marked;              /* wait to be settled */
};

#define UNBLOCK_MAX 1000 /* rows that one statement lets go */
#define SOURCES_MAX 500  /* sources of one part of a look at all */

typedef void prices_fn(void *context, const struct price_seen *seen, size_t len,
                       const struct err *err);

/** What requests cost of late, by what their price depends on. err null: it
 * holds. */
void store_prices(struct store *store, prices_fn *on_prices, void *context);

/* ---- the engine's turn ---- */

/** Why a task has waited for long (core/reason.h); texts UTF-8 without NUL. */
struct reason_row {
    int64_t task; /* shared ones: 0 */
    int32_t fence;
    enum task_state state;
    const char *word;
    int64_t since_ms;
    int32_t tries;
    const char *answer;
    int64_t next_ms;
};

#define DEAD_MAX 64 /* leases that one pass of takeovers may forget */

/** What one turn of the engine wants, in one round trip. */
struct turn {
    int64_t owner;
    int64_t now_ms;
    /** Rows to write where (id, fence, version - 1) match what is stored; a row
     * in CLOSED leaves the working table: after a final end wherever the fence
     * is the given one; else if its provider_task_id is, too (else SAVE_FENCED:
     * an id was learnt). One in QUEUED waits again. */
    const struct task_row *const *saves;
    size_t saves_len;
    /** So many of claims_max are for slots that the saves give back: where any
     * of these is refused, nothing is claimed. */
    int saves_slots;
    /** Requests to read: by task id. */
    const int64_t *facts;
    size_t facts_len;
    /** Rows to read again: by task id. */
    const int64_t *rereads;
    size_t rereads_len;
    /** Waiting rows to claim, the highest priority first, then the oldest. */
    int claims_max;
    /** Of each priority, the id behind which it begins (core/queue.h). */
    int64_t claim_after[PRIORITIES];
    /** A waiting row in doubt, which may have been sent before the database was
     * set back, is claimed only if that was after this; INT64_MAX: none. */
    int64_t resend_after_ms;
    const char *account; /* written into claimed rows; scope of holds */
    /** So many SUBMITTING and RUNNING of that account's, by its name, in the
     * whole fleet; 0: no limit. */
    int account_slots;
    const char *bucket; /* scope of the hold `storage` */
    /** Claims go by tenants: so many of each, claims_max in all. capped: some
     * may have a cap, so that one worker at a time claims of them. */
    bool sharing;
    bool capped;
    const struct share_ask *shares;
    size_t shares_len;
    /** What we occupy is written down, before anything is claimed: what is not
     * among them is as it was; uses_all: it is nothing. */
    bool uses_told;
    bool uses_all;
    const struct share_use *uses;
    size_t uses_len;
    /** The fleet's GENERATIONS_MAX is set: what is taken over brings its place
     * along. */
    bool guarded;
    /** Waiting rows whose deadline is over or that are cancelled, holds or not:
     * they become ours, in QUEUED still, so that the engine settles them. A
     * claim leaves them alone. */
    int expires_max;
    /** That a row waits for its source; more is its end. */
    int64_t chain_wait_ms;
    /** Look at sources that rows wait for, SOURCES_MAX at most: those behind
     * this request id, empty: from the first on. What saves say of sources is
     * looked at in any case. */
    bool chains;
    char chains_after[REQUEST_ID_BYTES];
    /** Rows of dead leases and of none to take over; one in SUBMITTING comes
     * with doubt set, so that a claim whose answer was lost can be told from
     * it. */
    int adopts_max;
    /** A pass over the table takes over what it finds, by rising ids: it goes
     * on after the last row that was seen. */
    int64_t adopt_after;
    int64_t adopt_until; /* up to that id; 0: to the end */
    bool adopt_begins;   /* a pass: which leases are dead is looked at first */
    bool adopt_nobodys;  /* the pass is about those that never had a lease */
    /** Leases that were dead before a pass which left nothing of theirs. */
    const int64_t *forget;
    size_t forget_len;
    /** Everything whose owner we are: after a reconnect. */
    bool mine;
    /** Reasons of single tasks of ours: new words, and tasks (and their fence)
     * whose wait is over. Those that are not ours any more are passed by. */
    const struct reason_row *reasons;
    size_t reasons_len;
    const struct reason_row *reasons_gone;
    size_t reasons_gone_len;
    /** All reasons that many tasks of ours share, if that is to be written. */
    const struct reason_row *shared;
    size_t shared_len;
    bool shared_changed;
    /** Somebody has a budget: money moves with the saves, and claims of such
     * are made under the lock of all budgets; else they are left alone. */
    bool budgets;
};

enum save_end {
    SAVE_DONE,
    /* not ours in that version: forget the task, or read it again */
    SAVE_FENCED,
    SAVE_POISON, /* PostgreSQL refuses the data of this row, for ever */
    SAVE_LATER,  /* something else than its data keeps this row out: not now */
};

struct facts_row {
    int64_t id;
    struct facts facts;
    struct str body;
    /* bytes that the idempotency key is made of (core/idempotency.h) */
    struct str content;
    struct str salt;
};

/** A row with what every job needs besides. */
struct task_read {
    struct task_row row; /* its texts live in the arena: copy them */
    struct str request_id;
    struct str tenant;      /* absent: faulty */
    struct str traceparent; /* absent: none; for messages of progress */
    struct str tracestate;
    bool unreadable; /* this program can't read it: only id holds */
    bool cancel;     /* an operator ordered it; never true of claimed ones */
    bool orphan;     /* adopted: its worker is gone; else it was nobody's */
};

struct turn_result {
    /* other than ERR_NONE: nothing below holds, outcome unknown */
    struct err err;
    bool lease_dead; /* the claim or takeover found our lease dead */
    const enum save_end *saves;
    const struct facts_row *facts;
    size_t facts_len;
    const struct task_read *rereads; /* missing ones have left the table */
    size_t rereads_len;
    const struct task_read *claimed; /* as task_step(QUEUED, CLAIMED) says */
    const struct facts_row *claimed_facts; /* beside each */
    size_t claimed_len;
    int64_t claimed_last[PRIORITIES]; /* the last id of each; 0: none */
    /* a save was refused, or another claims under the account's slots: ask
     * again soon */
    bool claims_put_off;
    bool caps_busy;  /* another claims of tenants with a cap: ask again soon */
    bool slots_full; /* the account has fewer slots than were asked for: */
    int64_t slots_room; /* so many */
    bool budget_busy;   /* another claims of budgets now: ask again soon */
    bool budget_barred; /* what had no room was put aside: others may wait */
    /* fence and owner are new, state as it was */
    const struct task_read *adopted;
    size_t adopted_len;
    /* fewer than asked for: that pass is over; more than adopted: others
     * have the rest locked */
    int adopts_seen;
    int64_t adopt_last;  /* id of the last one seen */
    const int64_t *dead; /* leases, when a pass began: DEAD_MAX at most */
    size_t dead_len;
    const struct task_read *expired; /* QUEUED, ours, fence and version new */
    size_t expired_len;
    const struct task_read *mine;
    size_t mine_len;
    struct unblocked unblocked; /* all of the turn */
    int64_t commits;            /* transactions that wrote, for the metric */
};

typedef void turn_fn(void *context, const struct turn_result *result);

/** One at a time. Everything in *turn is copied. */
void store_turn(struct store *store, const struct turn *turn,
                turn_fn *on_result, void *context);

/** More places under the fleet's limit (core/allot.h), in a unit of its own. */
struct places {
    int64_t owner;
    int more; /* as many as that */
    int most; /* of the fleet, those of the dead included */
    /** As in a turn: where nothing waits behind those, none are taken. */
    const int64_t *claim_after;
    /** Whose pinned rows count, wherever they stand. */
    const struct str *accounts;
    size_t accounts_len;
};

struct places_result {
    struct err err; /* other than ERR_NONE: nothing below holds */
    int64_t owner;
    bool busy;  /* another takes some at this moment: ask again soon */
    bool waits; /* rows that could be claimed, but for holds and times */
    int got;
};

typedef void places_fn(void *context, const struct places_result *result);

void store_places(struct store *store, const struct places *places,
                  places_fn *on_result, void *context);

/* ---- budgets ---- */

/** How one stands today; amounts of its period. */
struct budget_row {
    struct str tenant; /* "*": all of them together */
    enum budget_period period;
    money amount; /* that may be spent */
    int warn;     /* percent of it */
    money spent;
    money reserved;
    money doubtful;
    money estimate; /* of what was spent */
    int64_t waits;  /* requests that were put aside for want of it */
};

typedef void budgets_fn(void *context, const struct budget_row *rows,
                        size_t len, const struct err *err);

/** Looks again at what is open, settles what is settled, and lets what was put
 * aside wait for a claim again where there is room: so much at a time, on a
 * connection of its own, which opens with the first look. One look at a time.
 * err null: rows hold. */
void store_budgets(struct store *store, budgets_fn *on_budgets, void *context);

/** This worker looks no more: that connection closes. A look that is under way
 * is answered with an error before this returns. */
void store_budgets_end(struct store *store);

/* ---- leases and what the fleet shares ---- */

struct hold_row {
    enum hold_reason reason;
    struct str scope; /* account, bucket name, task id or "*" */
    int64_t since_ms;
    int64_t next_try_ms;
    struct str message;
};

struct beat {
    int64_t owner;
    size_t tasks;            /* that we work on */
    int places_back;         /* of ours under the fleet's limit: given back */
    int64_t resend_after_ms; /* as in a turn: those that wait are a hold */
    /** Leases to read; none: all. Ordered by id when they come. */
    const int64_t *leases;
    size_t leases_len;
};

struct account_row {
    struct str account;           /* as rows name it */
    enum keys_answer keys_answer; /* its last */
    int64_t key_retention_ms;
    struct str url; /* stored for its name; empty: none is */
    struct limit limit;
};

struct beat_result {
    struct err err;
    bool lease_dead; /* ours: drop every job */
    int places;      /* under the fleet's limit that are ours now */
    const struct lease_row *leases;
    size_t leases_len;
    const struct hold_row *holds;
    size_t holds_len;
    const int64_t *cancels; /* tasks of ours that an operator cancels */
    size_t cancels_len;
    int64_t queued;    /* fleet's waiting rows, as last counted */
    int64_t in_flight; /* what its live workers work on, as last counted */
    int64_t blocked;   /* rows that wait for a source, a budget or an account
                          that is held, as last counted */
    struct str blocked_most; /* what most of these wait for, in words */
    int64_t now_ms;          /* PostgreSQL's clock */
    bool budgets;            /* somebody has one */
    bool synchronous;        /* synchronous_commit is not off */
    bool shares;             /* claims go by tenants */
    /** What is known of our accounts. */
    const struct account_row *accounts;
    size_t accounts_len;
};

struct count_result {
    struct err err;
    bool counted; /* false: another one is at it */
    int64_t queued;
    int64_t in_flight;
    int64_t blocked;
    struct str blocked_most; /* as of a beat; as long as the callback */
    int64_t oldest_ms;       /* of what waits, the first received; 0: none */
    /* transactions since the oldest snapshot; -1: not asked */
    int64_t oldest_xmin;
};

typedef void count_fn(void *context, const struct count_result *result);
typedef void store_id_fn(void *context, int64_t id, const struct err *err);
typedef void store_done_fn(void *context, bool done, const struct err *err);
typedef void beat_fn(void *context, const struct beat_result *result);

/** An account that a worker has, under one of its keys. */
struct join_account {
    const char *account; /* as rows name it */
    struct str name;
    struct str url; /* stored for the name, unless one is (core/apimart.h) */
    int slots;      /* of the account; 0: no limit */
};

struct join {
    const char *name; /* the worker's */
    int tasks_max;
    const char *admin; /* host:port of its /task, as others reach it; empty:
                          none */
    bool shares;       /* TENANT_FAIRNESS is set */
    /** That it polls and replays for: one row of each is known from now on. */
    const struct join_account *accounts;
    size_t accounts_len;
};

/** A new lease; on_id gets it. All is copied. */
void store_join(struct store *store, const struct join *join,
                store_id_fn *on_id, void *context);
void store_beat(struct store *store, const struct beat *beat,
                beat_fn *on_result, void *context);
/** Declare another's lease dead, under lock_timeout, where its counter still
 * stands there; done: it is dead now. */
void store_bury(struct store *store, int64_t lease, int64_t counter,
                store_done_fn *on_done, void *context);
/** Our own lease ends: its rows are orphans from now on. */
void store_leave(struct store *store, int64_t owner, store_done_fn *on_done,
                 void *context);

/** Count for the fleet. Reads all that waits: for now and then, behind a beat.
 *
 * @param xmin  Ask for the oldest snapshot too. */
void store_count(struct store *store, bool xmin, count_fn *on_result,
                 void *context);

/** What was counted since the row before. */
enum vitals_count {
    VITALS_RECEIVED,  /* requests */
    VITALS_ACCEPTED,  /* upstream */
    VITALS_POLLS,     /* answered or not */
    VITALS_COMPLETED, /* ends */
    VITALS_FAILED,
    VITALS_COUNTS_LEN
};

/** What a worker does at present: for people. */
struct vitals_row {
    int64_t owner;
    const char *version;
    bool draining;
    bool paused;     /* reads no more requests for now */
    int64_t span_ms; /* since the row before; 0: the first */
    int64_t states[TASK_STATES_LEN];
    int64_t submits; /* under way */
    int64_t submits_max;
    int64_t transfers;
    int64_t transfers_max;
    int64_t counts[VITALS_COUNTS_LEN]; /* in span_ms */
    int64_t late_ms;                   /* how long something has been due */
};

/** Replaces what this worker said before; not done: its lease is dead. Tried
 * once. */
void store_vitals(struct store *store, const struct vitals_row *row,
                  store_done_fn *on_done, void *context);

/** A row that this program can't read: left as it is, for a later one. */
struct unreadable_row {
    int64_t task;
    struct str request_id; /* empty: the request is missing */
};

/** What a part of a table has of them. */
struct unreadable_part {
    int64_t count; /* all of the part's */
    int64_t last; /* the part's last task: the next begins behind; 0: no more */
    /* the first of them, until this returns */
    const struct unreadable_row *rows;
    size_t len;
};

typedef void unreadable_fn(void *context, const struct unreadable_part *part,
                           const struct err *err);

struct unreadable_ask {
    bool waiting;  /* the queue's; else the working table's */
    int64_t owner; /* whose are looked at, but for nobody's and the dead's */
    int64_t after; /* the part begins behind this task */
    int part_max;  /* rows that are looked at */
    int rows_max;  /* that are named */
};

/**
 * Those of a part of a table that claims and takeovers leave alone: whoever
 * saves waits as long as they take to read.
 */
void store_unreadable(struct store *store, const struct unreadable_ask *ask,
                      unreadable_fn *on_rows, void *context);

/** Takes away reasons that hold no longer, whoever wrote them. */
void store_reasons_sweep(struct store *store, store_done_fn *on_done,
                         void *context);

/** Whoever waits untold, because it came before tenants shared, is told apart
 * from now on: some at a time; done: there were any. */
void store_share_tag(struct store *store, store_done_fn *on_done,
                     void *context);

/* ---- evidence and holds (data lane) ---- */

enum learn_end {
    LEARN_WRITTEN,
    LEARN_SAME,  /* it was there already */
    LEARN_OTHER, /* another id is there: one key has bought twice */
    /* no row has that key: it moves between two tables at this moment (ask
     * again), or its history is gone */
    LEARN_NOWHERE,
};

/** other: the id that is there, of LEARN_OTHER. Any error: not known. */
typedef void learn_fn(void *context, enum learn_end end, const char *other,
                      const struct err *err);

/**
 * A provider id that somebody learnt: written, without fence, where the row's
 * submission is that of the send and its id is empty, wherever that row is. One
 * that waits or was told as submit_unknown is nobody's then, and to be taken
 * over.
 */
void store_learn(struct store *store, int64_t task, int32_t submission,
                 struct str provider_task_id, learn_fn *on_learnt,
                 void *context);

void store_hold_set(struct store *store, enum hold_reason reason,
                    struct str scope, struct str message, int64_t next_try_ms,
                    store_done_fn *on_done, void *context);
void store_hold_lift(struct store *store, enum hold_reason reason,
                     struct str scope, store_done_fn *on_done, void *context);
/** done: we are the one who probes now; next_try moved by again_ms. */
void store_hold_probe(struct store *store, enum hold_reason reason,
                      struct str scope, int64_t now_ms, int64_t again_ms,
                      store_done_fn *on_done, void *context);
/** The account's answer about keys, for all workers. */
void store_keys_answer(struct store *store, const char *account,
                       enum keys_answer answer, int64_t retention_ms,
                       store_done_fn *on_done, void *context);

/** What an account takes at once, for all. done: it holds; else another
 * worker's does, or the account is not known. */
void store_limit(struct store *store, const struct limit_write *write,
                 store_done_fn *on_done, void *context);

#endif
