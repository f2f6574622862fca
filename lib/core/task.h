#ifndef CORE_TASK_H
#define CORE_TASK_H

#include "base/str.h"
#include "core/request.h"

#include <stdbool.h>
#include <stdint.h>

/**
 * The task: what is stored of a request's way through the service.
 *
 *          claim             id came         video there      stored
 *   QUEUED -----> SUBMITTING --------> RUNNING ---------> READY ----> SUCCEEDED
 *     |  ^------------' |                |                ^  |  |           |
 *     |  not sent, or   |                |   video there  |  |  | no video  |
 *     |  refused for    |                |   after all    |  |  | after all |
 *     |  a while        |                |   .------------'  |  |           | told
 *     |                 |                |   |               |  |           |
 *     '------> FAILED <-'----------------'---|---------------'  |           |
 *               |  |  refused, cancelled,    |   no video       |           |
 *               |  |  out of time, lost      |                  |           |
 *               |  |                         |                  |           |
 *               |  '----------------------> LATE                |           |
 *               |     told, payment open     | given up         |           |
 *               v                            v                  v           v
 *               '-------------------------> CLOSED <------------'-----------'
 *                told, nothing open
 *
 * Each move, and the rules that make it (step.c, ready.c):
 *
 *   QUEUED      -> SUBMITTING  claim: with the intent to send, in one statement
 *   SUBMITTING  -> QUEUED      requeue, by not_sent, put_off: no send is open
 *   SUBMITTING  -> RUNNING     accept; submit_taken_over, where somebody else
 *                              wrote the id
 *   RUNNING     -> READY       finished
 *   LATE        -> READY       finished
 *   READY       -> SUCCEEDED   ready_stored
 *   QUEUED      -> FAILED      cancel, queue_time_up
 *   SUBMITTING  -> FAILED      refused, doubt_time_up; of a cancelled one also
 *                              requeue
 *   RUNNING     -> FAILED      cancel, running_time_up, upstream_failed, denied
 *   READY       -> FAILED      ready_no_better_url, ready_unusable,
 *                              ready_oversize
 *   READY       -> CLOSED      the same rules, where a failure has been told:
 *                              move_fail() tells no second one
 *   SUCCEEDED   -> CLOSED      told
 *   FAILED      -> CLOSED      told: nothing of it is open
 *   FAILED      -> LATE        told: payment is open, an id is known
 *   LATE        -> CLOSED      late_failed, late_time_up, cancelled
 *
 * Two moves are no rule's, but an operator's or a straggler's (sql/query):
 * QUEUED -> SUBMITTING and CLOSED -> LATE by an id that came (learn), CLOSED ->
 * QUEUED by an order (ctl_retry).
 *
 * What holds in each state, after any crash:
 *
 *   QUEUED      nothing that was sent can have been accepted; no owner, but for
 *               what is about to be settled
 *   SUBMITTING  the intent is stored: a send may have been accepted
 *   RUNNING     accepted: provider_task_id is stored
 *   READY       finished upstream: result holds what to fetch (maybe no URL yet)
 *   SUCCEEDED   every video is visible in storage; the event is stored
 *   FAILED      settled as failed; the event is stored
 *   LATE        the failure is told; the id may still bring a paid video
 *   CLOSED      told; the row has left the working table
 */

/* clang-format off */
/*      name        text          owes      */
#define TASK_STATES(X)                      \
    X(QUEUED,     "queued",     CLAIM)      \
    X(SUBMITTING, "submitting", SUBMIT)     \
    X(RUNNING,    "running",    POLL)       \
    X(READY,      "ready",      TRANSFER)   \
    X(SUCCEEDED,  "succeeded",  ANNOUNCE)   \
    X(FAILED,     "failed",     ANNOUNCE)   \
    X(LATE,       "late",       POLL)       \
    X(CLOSED,     "closed",     NOTHING)

/** The effect that a state owes: flow/owe.c does what this says. */
#define TASK_OWES(X)                        \
    X(CLAIM,    "claim")                    \
    X(SUBMIT,   "submit")                   \
    X(POLL,     "poll")                     \
    X(TRANSFER, "transfer")                 \
    X(ANNOUNCE, "announce")                 \
    X(NOTHING,  "nothing")

/*      name             text                billed, retry_safe: CONTRACT's table of kinds */
#define FAILURE_KINDS(X)                        \
    X(FAILURE_NONE,            "")                 \
    X(FAILURE_INVALID_REQUEST, "invalid_request")  \
    X(FAILURE_SUBMIT_REFUSED,  "submit_refused")   \
    X(FAILURE_MODERATION,      "moderation")       \
    X(FAILURE_PROVIDER_FAILED, "provider_failed")  \
    X(FAILURE_CANCELLED,       "cancelled")        \
    X(FAILURE_TIMED_OUT,       "timed_out")        \
    X(FAILURE_SUBMIT_UNKNOWN,  "submit_unknown")   \
    X(FAILURE_TASK_LOST,       "task_lost")        \
    X(FAILURE_ASSET_EXPIRED,   "asset_expired")    \
    X(FAILURE_ASSET_UNUSABLE,  "asset_unusable")
/* clang-format on */

enum task_state {
#define X(name, text, owes) name,
    TASK_STATES(X)
#undef X
    TASK_STATES_LEN
};

enum task_owes {
#define X(name, text) OWES_##name,
    TASK_OWES(X)
#undef X
};

enum failure_kind {
#define X(name, text) name,
    FAILURE_KINDS(X)
#undef X
    FAILURE_KINDS_LEN
};

#define ACCOUNT_BYTES 34          /* 16 hex of the URL, ':', 16 hex of the key, NUL */
#define PROVIDER_TASK_ID_BYTES 129 /* with the NUL; a longer one is no id */
#define UNUSABLE_BYTES 48         /* "3 9223372036854775807 ", 16 hex, NUL */
#define REQUEST_ID_BYTES 129      /* with the NUL */

/** More takeovers in one state within an hour make a task a suspect: its workers
 * may have died of it. */
#define SUSPECT_TAKEOVERS 20

/** The stored part. A row is written exactly when its state changes. */
struct task_row {
    int64_t id;
    enum task_state state;
    int64_t owner;   /* lease id of the worker; 0: nobody's; below: nobody's, to
                        be taken over */
    int32_t fence;   /* grows with each owner; every write carries it */
    int32_t version; /* grows with each write */
    int32_t submission; /* 0, then 1, 2… for those that an operator ordered */
    int32_t sends;   /* POSTs that may have left, given-back ones taken off */
    bool doubt;      /* an earlier send of this submission is unanswered */
    bool late;       /* its failure has been told: never a second one */
    bool billed_open; /* settled as failed with payment open */
    char account[ACCOUNT_BYTES]; /* of the first send; empty before it */
    char provider_task_id[PROVIDER_TASK_ID_BYTES]; /* empty: none */
    int64_t received_ms;
    int64_t deadline_ms;   /* when it expires; 0: not yet running */
    int64_t first_sent_ms; /* of this submission; 0: never */
    int64_t last_sent_ms;
    int64_t submitted_ms;  /* its id came */
    int64_t generated_ms;  /* the provider's `completed`, else when we saw it */
    int64_t stored_ms;     /* the last video became visible */
    int64_t settled_ms;    /* the row that carries the event */
    int64_t not_before_ms; /* QUEUED: no claim before; 0: at once */
    int32_t tries;         /* QUEUED: refusals and failures to send so far */
    int32_t takeovers;     /* in this state, within an hour */
    int64_t takeovers_since_ms;
    enum failure_kind kind; /* FAILED, and LATE or CLOSED after it */
    bool has_cost;
    double cost;
    double credits_cost;
    char unusable[UNUSABLE_BYTES]; /* READY: "times since_ms hash" of videos that
                                      failed the check; "": none */
    char *result; /* READY: JSON [{"url":…,"expires_at":ms}…]; owned; null: none */
    char *event;  /* settled: the event, headers and value (core/event.h); owned */
};

/** What a worker knows besides; empty after a takeover. */
struct task_memo {
    int32_t misses;       /* polls or transfers that failed in a row */
    int32_t denials;      /* ids denied in a row */
    int64_t denied_since_ms;
    int32_t refusals;     /* the asset host said no, in a row */
    int32_t progress;     /* last told, -1: never */
    char status[24];      /* the provider's last word */
    bool wants_refresh;   /* READY: poll afresh before the next transfer */
    bool cancel;          /* the operator ordered it: no send begins any more */
    int64_t reread_ms;    /* SUBMITTING in doubt: when the row is read again */
    int64_t replay_ms;    /* SUBMITTING in doubt: no replay before */
    int64_t read_ms;      /* when the row that was last read again was asked for; 0: never */
    int64_t strange_until_ms; /* SUBMITTING taken over: no settling before the row
                                 was read again at that time or later; 0: ours */
};

struct task {
    struct task_row row;
    struct task_memo memo;
};

/** The unchanging part of a task, read when an event or a file name needs it. */
struct facts {
    struct str request_id;
    struct str tenant;      /* absent: faulty */
    enum request_mode mode;
    struct str metadata;    /* JSON or absent */
    struct str warnings;    /* JSON array, "[]" at least */
    struct str traceparent; /* absent: none */
    struct str tracestate;
    int64_t deadline_seconds; /* 0: none */
    int64_t received_ms;
};

const char *task_state_name(enum task_state state);
bool task_state_parse(struct str name, enum task_state *state);
enum task_owes task_owes(enum task_state state);
const char *task_owes_name(enum task_owes owes); /* "claim", "submit"… */
const char *failure_kind_name(enum failure_kind kind);
bool failure_kind_parse(struct str name, enum failure_kind *kind);

/** Frees what the row owns and clears those pointers. */
void task_row_done(struct task_row *row);

#endif
