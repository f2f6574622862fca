#ifndef FLOW_TURN_H
#define FLOW_TURN_H

#include "flow/claims.h"
#include "flow/reads.h"
#include "flow/saves.h"
#include "flow/ties.h"

/**
 * A turn with the store: what everybody has for it is gathered while the last
 * one is under way, goes out together, and what the answers mean is told to
 * whom it concerns. It composes, and decides nothing about a task:
 *
 *   saves    rows to write             saves.h
 *   reads    facts and rows to read    reads.h
 *   claims   rows to make ours         claims.h
 *   reasons  what people are told      reason.h
 *   intake   a batch of requests       its own, given by turn_take_in()
 *
 * One round trip and one commit, because the next effect of a job may begin
 * only when its row is known to be committed, and one commit costs as much as a
 * thousand rows'. The intake's batch waits for no other and none for it: with
 * much in it, or while a turn is under way, it has a commit of its own, and so
 * where it has to wait for another worker's rows.
 *
 * An answer that is lost says neither yes nor no: whatever it was for is kept,
 * marked as unsure, until all that is ours was read (mine.h).
 */

struct turn_options {
    const char *bucket;
    int tasks_max;
    int generations_max;
    int64_t chain_wait_ms;
};

/** What the intake has for a turn: one of both, or neither. */
struct turn_batch {
    void *context;             /* of the answer */
    const struct str *sources; /* provider ids to look up */
    size_t sources_len;
    const struct intake_row *rows; /* to insert */
    size_t rows_len;
    int64_t known_from_ms; /* what is older comes in only if it is known */
};

/** The intake's part. What fails it asks for again, when it likes. */
struct turn_intake {
    /** Requests that could go by now. */
    size_t (*waiting)(void *context);
    /** The store is there: fill in what is to go now. Copied. */
    void (*gather)(void *context, struct turn_batch *batch);
    sources_fn *on_sources;
    intake_fn *on_stored;
};

/** What one round trip carried besides its parts, to know its answers by. */
struct flight {
    struct arena arena;
    int64_t owner;
    int64_t now_ms;
    bool mine;
    int64_t began_us;
};

struct turns {
    struct turn_options options;
    struct ties ties;
    struct reads reads;
    struct saves saves;
    struct claims claims;
    const struct turn_intake *intake; /* null: none takes part */
    void *intake_context;
    bool intake_wanted;
    struct loop_timer *memory_timer; /* ours are read again */
    struct loop_timer *pause_timer;  /* ends a pause of turns */
    struct loop_timer *ride_timer;   /* what rides along has waited for long */
    struct commits commits_left;     /* when it may be committed */
    int64_t since_ms;        /* boot clock: so long rows wait; 0: none do */
    int64_t intake_since_ms; /* the same of the intake's */
    struct flight flight;
    int64_t owner; /* our lease; 0: none yet */
    bool in_flight;
    bool paused;       /* the store answers with errors: no turn for now */
    bool resync;       /* the store's answers were lost: read all of ours */
    bool resync_later; /* the same, when the memory timer comes */
    size_t moved;      /* rows stored or made ours, since somebody took count */
    struct metric *latency;
    struct metric *commits;
};

/** ties: but `ask` and its context, which are the turns'. false: no memory;
 * turn_done() is still allowed. */
MUST_CHECK bool turn_init(struct turns *turns,
                          const struct turn_options *options,
                          const struct ties *ties);
void turn_done(struct turns *turns);

/** At the end of this turn of the loop, if there is something to ask. */
void turn_soon(struct turns *turns);

/* ---- what goes into it ---- */

/** The job's row is written; then_ms: when its next effect is due; rides:
 * nothing waits for it, and with this process it may be lost. */
void turn_save(struct turns *turns, struct job *job, int64_t then_ms,
               bool rides);

/** The job wants its facts. */
void turn_read(struct turns *turns, struct job *job);

/** The job wants to see its row. */
void turn_reread(struct turns *turns, struct job *job);

void turn_want_claims(struct turns *turns);
void turn_want_adopts(struct turns *turns);
/** The same of rows that never had an owner. */
void turn_want_nobodys(struct turns *turns);
/** A worker whose last sign of life was then (boot clock; 0: unknown) is gone.
 */
void turn_worker_gone(struct turns *turns, int64_t moved_ms);
void turn_want_expiry(struct turns *turns);
/** A look at all that waits for another request. */
void turn_want_chains(struct turns *turns);

/** Who gives the intake's part; asked for one batch each time that it wants a
 * turn. What is under way by then is no matter. */
void turn_take_in(struct turns *turns, const struct turn_intake *intake,
                  void *context);
void turn_want_intake(struct turns *turns);

/** A bump is about to be sent: how many places under the fleet's limit go back
 * with it. */
int turn_bumps(struct turns *turns);

/* ---- what is told ---- */

/** The bump went through; places: what the store has as ours; shares: claims
 * are by tenants. */
void turn_bumped(struct turns *turns, int places, bool shares);

/** Whether somebody has a budget. */
void turn_budgets(struct turns *turns, bool there);

/** A lease is ours; or it is dead, and every row another's. */
void turn_joined(struct turns *turns, int64_t owner);
void turn_lost(struct turns *turns);

/** The store is there again: ends the pause after an error. */
void turn_go_on(struct turns *turns);

/** A row that is ours could not be taken in: all of ours are read again once
 * there may be memory. */
void turn_short_of_memory(struct turns *turns);

/** The same, without a word of memory: what we have of a row is not what is
 * stored. */
void turn_look_again(struct turns *turns);

#endif
