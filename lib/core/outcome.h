#ifndef CORE_OUTCOME_H
#define CORE_OUTCOME_H

#include "core/media.h"
#include "core/task.h"

/**
 * What can come of an effect: the closed vocabulary in which the stages tell
 * the step what happened, and the reasons for which submissions are held.
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
    X(TAKES_LONG)     /* still under way: a takeover had better know of it */  \
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
    HOLD_BUDGET,   /* per tenant: no row, but what waits; stops nobody else */
    HOLD_OPERATOR, /* for all */
    HOLD_THROTTLE, /* this worker's own pace; never stored */
    HOLD_REASONS_LEN
};

/** One stored video, in the result's order. */
struct stored_video {
    struct str uri;
    int64_t bytes;
    char sha256[65];
    struct media media;
};

/** What came of an effect. Slices live as long as the arena of the effect. */
struct outcome {
    enum outcome_kind kind;
    struct str provider_task_id; /* ACCEPTED */
    /* PUT_OFF, STORE_FAILED, MISSED: what stands in the way */
    enum hold_reason hold;
    int64_t retry_after_ms; /* 0: the server named no time */
    /* PUT_OFF: 409, the first send under the key still runs */
    bool key_running;
    /* UNANSWERED: the provider accepted, and its answer names no single task */
    bool unread;
    enum failure_kind failure; /* REFUSED, UPSTREAM_FAILED */
    struct str message; /* in words; provider's or ours; at most 2,000 points */
    /* UPSTREAM_FAILED: for want of room there; another attempt may go well */
    bool overload;
    /* PUT_OFF, UPSTREAM_FAILED: the account asked for more than it may */
    bool crowded;
    int http_status;          /* 0: no answer */
    struct str provider_code; /* absent: none */
    bool has_cost;
    double cost;
    double credits_cost;
    struct str status; /* the provider's status word */
    int progress;      /* -1: not told */
    /* FINISHED: the provider's `completed`; 0: not told */
    int64_t generated_ms;
    /* FINISHED: JSON as in task_row.result; absent: no URL */
    struct str result;
    struct str hash;             /* UNUSABLE: SHA-256 in hex */
    struct stored_video *videos; /* STORED */
    size_t videos_len;
    int64_t stored_ms; /* STORED: when the last became visible */
    /* DENIED: the id was asked for under the key that submitted it */
    bool same_key;
};

/** Whether what was sent may have been accepted, and nobody says whether. */
bool outcome_is_doubt(enum outcome_kind kind);

const char *outcome_kind_name(enum outcome_kind kind);
const char *hold_reason_name(enum hold_reason reason);
bool hold_reason_parse(struct str name, enum hold_reason *reason);

#endif
