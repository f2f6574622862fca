#ifndef CORE_REASON_H
#define CORE_REASON_H

#include "core/step.h"

/**
 * Why a task waits: what came of its tries since something went wrong. A task
 * that flows has none; one that waits longer than REASON_AFTER_MS is told of,
 * in the store, in the log and by the probes.
 */

#define REASON_AFTER_MS INT64_C(30000)
#define REASON_ANSWER_BYTES 240

struct reason {
    const char *word; /* what came of the last try; a constant */
    int64_t since_ms; /* the first try that came to nothing */
    int32_t tries;    /* since then */
    int64_t next_ms;  /* the next try */
    bool shared;      /* a hold says it for all: no row for each */
    char answer[REASON_ANSWER_BYTES]; /* the last, in words; UTF-8 */
};

enum reason_act {
    REASON_STAYS, /* the outcome says nothing of it; the next try may move */
    REASON_NOTED, /* another try came to nothing */
    REASON_OVER,  /* the task moved on, or was answered well */
};

/** What an outcome, and the step that it led to, mean for the reason of a task
 * that was in `from`. */
enum reason_act reason_act(enum task_state from, const struct outcome *outcome,
                           const struct step *step);

/** Writes a try that came to nothing into *reason; all zero: the first.
 *
 * @param next_ms  When the next one is due. */
void reason_note(struct reason *reason, const struct outcome *outcome,
                 const struct step *step, int64_t now_ms, int64_t next_ms);

#define REASON_WORDS_MAX 64

/** Every word there is, for metrics; null behind the last. Fewer than
 * REASON_WORDS_MAX. */
const char *reason_word(size_t i);

/** What an answer looks like in a reason: its status, its words, cut. */
void reason_answer(char *out, size_t out_bytes, int http_status,
                   struct str message);

/** What many tasks of one worker may wait for. */
/* clang-format off */
#define SHARED_REASONS(X)                                                      \
    X(SHARED_THROTTLE,         "throttle")         /* the provider's 429 */    \
    X(SHARED_UNREACHED,        "unreached")        /* it can't be reached */   \
    X(SHARED_GENERATIONS_FULL, "generations_full") /* GENERATIONS_MAX */       \
    X(SHARED_TASKS_FULL,       "tasks_full")       /* TASKS_MAX */             \
    X(SHARED_TRANSFERS_FULL,   "transfers_full")   /* TRANSFERS_MAX */         \
    X(SHARED_MANY,             "many")    /* more than have a row of their own */
/* clang-format on */

enum shared_reason {
#define X(name, text) name,
    SHARED_REASONS(X)
#undef X
        SHARED_REASONS_LEN
};

const char *shared_reason_name(enum shared_reason reason);

#endif
