#ifndef FLOW_SLOTS_H
#define FLOW_SLOTS_H

#include "base/metric.h"
#include "core/accounts.h"
#include "core/limit.h"
#include "edge/store.h"

/**
 * How many of an account's slots are used: what the fleet has learnt of it, as
 * the beat reads it. A worker that learns something writes it at once, if
 * nobody else has meanwhile. One of each account; of one that learns nothing
 * it is the settings' number.
 */

struct slots {
    struct store *store;
    const struct account_settings *settings;
    struct limit limit; /* as it was read, or written by us */
    struct limit next;  /* while it is being written */
    struct limit_seen seen;
    bool writing;
    struct metric *learnt; /* null: nothing is */
};

void slots_init(struct slots *slots, struct store *store,
                const struct account_settings *settings,
                struct metrics *metrics);

/** So many may be submitting and running; 0: no limit. */
int slots_now(const struct slots *slots);

#define SLOTS_WORDS_BYTES 96

/** In words: "slots=40", or what was learnt. */
void slots_words(const struct slots *slots, char *out, size_t out_bytes);

/** Whether it is less than what is set. */
bool slots_are_learnt(const struct slots *slots);

/** What is stored. Whether there are more than before. */
bool slots_told(struct slots *slots, const struct limit *limit, int64_t now_ms);

/** Requests wait for one. */
void slots_full(struct slots *slots, int64_t now_ms);

/** What came of a request's submission or generation, its row as sent. */
void slots_heard(struct slots *slots, const struct task_row *row,
                 const struct outcome *outcome, int64_t now_ms);

#endif
