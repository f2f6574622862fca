#ifndef CORE_STEP_H
#define CORE_STEP_H

#include "core/task.h"

/**
 * The machine: row x outcome -> next row, when to act on it, whether it has to
 * be written. One table of states and outcomes (core/step.c) is the whole of
 * it; the time and the policy are arguments.
 */

/* clang-format off */
/* What can come of an effect. The vocabulary is closed. */
#define OUTCOMES(X)                                                            \
    /* claim */                                                                \
    X(CLAIMED)        /* ours, the intent stored: the send may begin */        \
    /* any state */                                                            \
    X(TAKEN_OVER)     /* ours, from an owner that is gone */                   \
    X(TIME_UP)        /* a wait ended: deadline, lifetime, next try */         \
    X(CANCEL_ORDERED) /* the operator's word */                                \
    /* submit */                                                               \
    X(ACCEPTED)       /* an id came, by a reply, a replay, a reread, attach */ \
    X(NOT_SENT)       /* provably nothing left this machine */                 \
    X(REPLAY_INTENT)  /* about to replay: the count is stored first */         \
    X(PUT_OFF)        /* refused for now: throttle, hold, key still running */ \
    X(REFUSED)        /* refused for good, by a documented refusal */          \
    X(UNANSWERED)     /* doubt: may have been accepted */                      \
    X(INDETERMINATE)  /* doubt that no replay can resolve */                   \
    /* poll */                                                                 \
    X(STILL_RUNNING)                                                           \
    X(FINISHED)       /* completed upstream, with or without URLs */           \
    X(UPSTREAM_FAILED) /* the provider's verdict: kind says which */           \
    X(DENIED)         /* the provider does not know the id */                  \
    X(MISSED)         /* no answer about the task: nothing follows from it */  \
    /* transfer */                                                             \
    X(STORED)         /* every video is visible */                             \
    X(FETCH_FAILED)   /* transport, 5xx, cut short: again */                   \
    X(FETCH_REFUSED)  /* the host said no: poll afresh, then again */          \
    X(UNUSABLE)       /* whole by length, but no video; hash says which */     \
    X(OVERSIZE)       /* above the size limit */                               \
    X(STORE_FAILED)   /* storage said no for now: nothing is lost */           \
    /* announce */                                                             \
    X(ANNOUNCED)      /* the broker has it */                                  \
    X(UNANNOUNCED)    /* it has not: again */
/* clang-format on */

enum outcome_kind {
#define X(name) OUTCOME_##name,
    OUTCOMES(X)
#undef X
    OUTCOMES_LEN
};

enum hold_reason {
    HOLD_NONE,
    HOLD_AUTH,     /* per account */
    HOLD_BALANCE,  /* per account */
    HOLD_CHANNEL,  /* per account: nothing sensible answers there */
    HOLD_STORAGE,  /* per bucket */
    HOLD_ACCOUNT,  /* per task: submitted under another account */
    HOLD_OPERATOR, /* for all */
    HOLD_THROTTLE, /* this worker's own pace; never stored */
    HOLD_REASONS_LEN
};

/** One stored video, in the result's order. */
struct stored_video {
    struct str uri;
    int64_t bytes;
    char sha256[65];
};

/** What came of an effect. Slices live as long as the arena of the effect. */
struct outcome {
    enum outcome_kind kind;
    struct str provider_task_id; /* ACCEPTED */
    enum hold_reason hold;       /* PUT_OFF, STORE_FAILED, MISSED: what stands in the way */
    int64_t retry_after_ms;      /* 0: the server named no time */
    bool key_running;            /* PUT_OFF: 409, the first send under the key still runs */
    enum failure_kind failure;   /* REFUSED, UPSTREAM_FAILED */
    struct str message;          /* in words; provider's or ours; at most 2,000 points */
    int http_status;             /* 0: no answer */
    struct str provider_code;    /* absent: none */
    bool has_cost;
    double cost;
    double credits_cost;
    struct str status;           /* the provider's status word */
    int progress;                /* -1: not told */
    int64_t generated_ms;        /* FINISHED: the provider's `completed`; 0: not told */
    struct str result;           /* FINISHED: JSON as in task_row.result; absent: no URL */
    struct str hash;             /* UNUSABLE: SHA-256 in hex */
    struct stored_video *videos; /* STORED */
    size_t videos_len;
    int64_t stored_ms;           /* STORED: when the last became visible */
    bool same_key;               /* DENIED: the id was asked for under the key that submitted it */
};

enum doubt_policy { DOUBT_WAIT, DOUBT_REPLAY, DOUBT_SETTLE };

/** What decisions depend on besides the task. */
struct policy {
    int64_t poll_interval_ms;
    int64_t submit_timeout_ms;
    int64_t deadline_ms;       /* from acceptance, where the request names none */
    int64_t late_ms;           /* from acceptance */
    enum doubt_policy doubt;   /* auto already resolved by the account's last answer */
    int64_t key_lifetime_ms;   /* the provider's, 86,400,000 by default */
    const char *account;       /* ours: the step compares it with the row's */
    uint32_t jitter;           /* random bits for this one step */
};

/** The end of a failed task, as its event will tell it. */
struct failure {
    enum failure_kind kind;
    struct str message;
    int http_status;
    struct str provider_code;
};

struct step {
    struct task next;       /* owns what task owned: use it in its place */
    int64_t due_ms;         /* when the effect of next's state is owed */
    bool save;              /* write the row before anything else happens */
    bool settles;           /* an event has to be rendered into that row */
    struct failure failure; /* settles && next is FAILED; slices as the outcome's */
    enum hold_reason hold;  /* why it waits; HOLD_NONE: by its own clock */
};

/**
 * The next row.
 *
 * @param task     Not changed; its owned texts move into the result.
 * @param outcome  Must be one that can happen in the task's state: others are
 *                 bugs (asserted), see step_is_possible().
 */
struct step task_step(const struct task *task, const struct outcome *outcome,
                      const struct policy *policy, int64_t now_ms);

/** What a doubt should do next. */
enum doubt_act {
    DOUBT_ACT_WAIT,   /* nothing before *due_ms but reading the row again */
    DOUBT_ACT_REPLAY, /* same bytes, same key, after REPLAY_INTENT */
    DOUBT_ACT_SETTLE, /* TIME_UP settles it as submit_unknown */
};

/**
 * SUBMITTING with an unanswered send behind it.
 *
 * @param due_ms  Set to when to ask again, where the answer is to wait.
 */
enum doubt_act task_doubt_act(const struct task *task,
                              const struct policy *policy, int64_t now_ms,
                              int64_t *due_ms);

#define REPLAYS_MAX 3

/** Whether the table has a cell for it. */
bool step_is_possible(enum task_state state, enum outcome_kind kind);

/** When the account's key no longer protects a replay: five sixths of its life. */
int64_t replay_until_ms(const struct task_row *row, const struct policy *policy);

/** READY: when the first of the URLs ends, 24 h after `completed` if unnamed. */
int64_t task_expires_ms(const struct task_row *row);

/** How payment stands, as events tell it: "yes", "no" or "unknown". */
const char *task_billed(const struct task_row *row, enum failure_kind kind);
bool task_retry_safe(const struct task_row *row, enum failure_kind kind);

const char *outcome_kind_name(enum outcome_kind kind);
const char *hold_reason_name(enum hold_reason reason);
bool hold_reason_parse(struct str name, enum hold_reason *reason);

/** The effect that a state owes: "claim", "submit", "poll"… */
const char *task_owes(enum task_state state);

#endif
