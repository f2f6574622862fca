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
 *     |  a while        |                |   .------------'  |  |           |
 * told |                 |                |   |               |  |           |
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
 * Each move, and the rules that make it (step.c, ready.c, late.c):
 *
 *   QUEUED      -> SUBMITTING  claim: with the intent to send, in one statement
 *   SUBMITTING  -> QUEUED      requeue, by not_sent, put_off: no send is open
 *   SUBMITTING  -> RUNNING     accept; submit_taken_over, where somebody else
 *                              wrote the id
 *   RUNNING     -> READY       finished; in memory alone where the transfer
 *                              begins at once
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
 *   SUCCEEDED   -> CLOSED      late_told
 *   FAILED      -> CLOSED      late_told: nothing of it is open
 *   FAILED      -> LATE        late_told: payment is open, an id is known
 *   LATE        -> CLOSED      late_failed, late_time_up, cancelled
 *
 * Two moves are no rule's, but an operator's or a straggler's (sql/query):
 * QUEUED -> SUBMITTING and CLOSED -> LATE by an id that came (learn), CLOSED ->
 * QUEUED by an order (ctl_retry).
 *
 * What holds in each state, after any crash:
 *
 *   QUEUED      nothing that was sent can have been accepted; a row of the
 *               table `waiting`, but for what is about to be settled, which is
 *               somebody's row of `task`, and what a claim could not read,
 *               which is nobody's
 *   SUBMITTING  the intent is stored: a send may have been accepted
 *   RUNNING     accepted: provider_task_id is stored; of an owner that is gone
 *               it may be finished, and its videos in storage
 *   READY       finished upstream: result holds what to fetch; maybe no URL
 *               yet
 *   SUCCEEDED   every video is visible in storage; the event is stored, in
 *               `closed`, and the row of `task` is a bare key
 *   FAILED      settled as failed; the event is stored, and so is the row where
 *               the end is final
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
    X(FAILURE_ASSET_UNUSABLE,  "asset_unusable")   \
    X(FAILURE_SOURCE_FAILED,   "source_failed")
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

#define ACCOUNT_NAME_BYTES 33 /* with the NUL */
/* the account's name, ':', 16 hex of its URL, ':', 16 hex of the key, NUL */
#define ACCOUNT_BYTES 67
#define PROVIDER_TASK_ID_BYTES 129 /* with the NUL; a longer one is no id */
#define UNUSABLE_BYTES 48          /* "3 9223372036854775807 ", 16 hex, NUL */
#define REQUEST_ID_BYTES 129       /* with the NUL */

/** More takeovers in one state within an hour make a task a suspect: its
 * workers may have died of it. */
#define SUSPECT_TAKEOVERS 20

/* clang-format off */
/**
 * The stored part, a column a field: the one list of them. What else speaks of
 * all columns is made of it: struct task_row, the store's reading and writing
 * (edge/store/row.c), and the lists in its statements (sql/embed.cmake, which
 * reads this very text: a line each).
 *
 * Lengths of CHARS are with the NUL. A BRIEF is one that is mostly empty, null in
 * the table, and gone when the task is closed. A TEXT is owned; null: none.
 */
#define TASK_COLUMNS(VALUE, CHARS, BRIEF, TEXT)                                  \
    VALUE(int64_t, id)                                                           \
    VALUE(enum task_state, state)                                                \
    VALUE(int64_t, owner)          /* lease id of the worker; 0: nobody's;       \
                                      below: nobody's, to be taken over */       \
    VALUE(int32_t, fence)          /* grows with each owner; every write         \
                                      carries it */                              \
    VALUE(int32_t, version)        /* grows with each write */                   \
    VALUE(int32_t, submission)     /* 0, then 1, 2… for those that an operator   \
                                      ordered */                                 \
    VALUE(int32_t, attempt)        /* of this submission: 0, then 1, 2… for those \
                                      after the provider said it had no room */  \
    VALUE(int32_t, sends)          /* POSTs that may have left, given-back ones  \
                                      taken off */                               \
    VALUE(bool, doubt)             /* an earlier send of this submission is      \
                                      unanswered */                              \
    VALUE(bool, late)              /* its failure has been told: never a second  \
                                      one */                                     \
    VALUE(bool, billed_open)       /* settled as failed with payment open */     \
    CHARS(ACCOUNT_BYTES, account)  /* of the first send; empty before it */      \
    CHARS(PROVIDER_TASK_ID_BYTES, provider_task_id) /* empty: none */            \
    VALUE(int64_t, received_ms)                                                  \
    VALUE(int64_t, deadline_ms)    /* when it expires; 0: not yet running */     \
    VALUE(int64_t, first_sent_ms)  /* of this submission; 0: never */            \
    VALUE(int64_t, last_sent_ms)                                                 \
    VALUE(int64_t, submitted_ms)   /* its id came */                             \
    VALUE(int64_t, generated_ms)   /* the provider's `completed`, else when we   \
                                      saw it */                                  \
    VALUE(int64_t, stored_ms)      /* the last video became visible */           \
    VALUE(int64_t, settled_ms)     /* the row that carries the event */          \
    VALUE(int64_t, not_before_ms)  /* QUEUED: no claim before; 0: at once. While \
                                      it waits for its source: since when */     \
    VALUE(int32_t, tries)          /* QUEUED: refusals and failures to send so   \
                                      far */                                     \
    VALUE(int32_t, takeovers)      /* in this state, within an hour */           \
    VALUE(int64_t, takeovers_since_ms)                                           \
    VALUE(enum failure_kind, kind) /* FAILED, and LATE or CLOSED after it;       \
                                      QUEUED: as what it is to end */            \
    VALUE(bool, has_cost)                                                        \
    VALUE(double, cost)                                                          \
    VALUE(double, credits_cost)                                                  \
    BRIEF(UNUSABLE_BYTES, unusable) /* READY: "times since_ms hash" of videos    \
                                      that failed the check; "": none */         \
    TEXT(char *, source_task_id)   /* the provider's id of the request that it   \
                                      extends: what its body lacks (source.h) */ \
    TEXT(char *, result)           /* READY: JSON [{"url":…,"expires_at":ms}…] */ \
    TEXT(char *, event)            /* settled: the event, headers and value      \
                                      (core/event.h); stored packed */

/**
 * Those that a task has while it waits in the queue (table waiting). All others
 * are zero, false or empty then: nothing that was sent is open. One that comes
 * back into the queue loses them.
 */
#define WAITING_COLUMNS(X)                                                       \
    X(id)                                                                        \
    X(fence)                                                                     \
    X(version)                                                                   \
    X(submission)                                                                \
    X(attempt)                                                                   \
    X(doubt)                                                                     \
    X(account)                                                                   \
    X(received_ms)                                                               \
    X(deadline_ms)                                                               \
    X(first_sent_ms)                                                             \
    X(last_sent_ms)                                                              \
    X(not_before_ms)                                                             \
    X(tries)                                                                     \
    X(kind)                                                                      \
    X(source_task_id)

/**
 * Those that are 0 for most of a task's life: null in task while they are (a cost:
 * while none is known), so that neither a claim nor a save has them written.
 */
#define LATER_COLUMNS(X)                                                         \
    X(cost)                                                                      \
    X(credits_cost)                                                              \
    X(deadline_ms)                                                               \
    X(submitted_ms)                                                              \
    X(generated_ms)                                                              \
    X(stored_ms)                                                                 \
    X(settled_ms)                                                                \
    X(not_before_ms)                                                             \
    X(takeovers_since_ms)
/* clang-format on */

/**
 * A row is written when it says something that a takeover could not conclude
 * from what is stored: another state, another count of sends or tries, a doubt
 * that no replay can resolve any more, its first deadline, fresh URLs. What is
 * left unwritten is a doubt (a row in SUBMITTING whose owner is gone is in
 * doubt anyhow), a cost (it comes again with the next poll) and that a task is
 * READY, for as long as its first transfer runs, 2 s at most (the next poll
 * says it again). So a poll without news writes nothing.
 */
struct task_row {
#define VALUE(type, name) type name;
#define CHARS(bytes, name) char name[bytes];
    TASK_COLUMNS(VALUE, CHARS, CHARS, VALUE)
#undef VALUE
#undef CHARS
};

/** What a worker knows besides; empty after a takeover. */
struct task_memo {
    int32_t misses;  /* polls or transfers that failed in a row */
    int32_t denials; /* ids denied in a row */
    int64_t denied_since_ms;
    int32_t refusals;   /* the asset host said no, in a row */
    int32_t progress;   /* last told, -1: never */
    char status[24];    /* the provider's last word */
    bool wants_refresh; /* READY: poll afresh before the next transfer */
    bool unsaved; /* READY in memory alone; whatever comes next saves it */
    /* RUNNING taken over: its status came, under the key that submitted it */
    bool answered;
    bool cancel;       /* the operator ordered it: no send begins any more */
    int64_t reread_ms; /* SUBMITTING in doubt: when the row is read again */
    int64_t replay_ms; /* SUBMITTING in doubt: no replay before */
    /* when the row that was last read again was asked for; 0: never */
    int64_t read_ms;
    /* Taken over; 0: ours. SUBMITTING: no settling before the row was read
     * again at that time or later. RUNNING: neither timed out nor cancelled
     * before it was answered, or that time */
    int64_t strange_until_ms;
};

struct task {
    struct task_row row;
    struct task_memo memo;
};

/** The unchanging part of a task, read when an event or a file name needs
 * it. */
struct facts {
    struct str request_id;
    struct str tenant; /* absent: faulty */
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

/** Whether a settled task's end leaves nothing open: its event is the last
 * word, whatever its id may still bring. Not so for those that may become LATE.
 */
bool task_end_is_final(const struct task_row *row);

/** Whether a row goes back into the queue as another attempt, with what the one
 * before was still in it: that is kept in past. */
bool task_begins_again(const struct task_row *row);

/** Frees what the row owns and clears those pointers. */
void task_row_done(struct task_row *row);

#endif
