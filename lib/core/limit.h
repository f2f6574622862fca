#ifndef CORE_LIMIT_H
#define CORE_LIMIT_H

#include "core/outcome.h"

/**
 * How many generations at once an account at the provider takes (DESIGN
 * "Adaptive limits"): learnt from what it refuses, between a floor and the
 * slots that are set, by additive increase and multiplicative decrease. Pure:
 * the clock is passed in, times are the store's. The fleet has one value for an
 * account; whoever writes it names the one that it read.
 */

#define LIMIT_WINDOW_MS 10000 /* at most one decrease within it */
#define LIMIT_RAISE_MS 30000  /* at most one increase, and after a refusal */

struct limit_bounds {
    int floor;   /* 0: nothing is learnt, it is the ceiling always */
    int ceiling; /* the account's slots; 0: no limit */
};

/** What is stored of an account; all 0: nothing was learnt yet. */
struct limit {
    int slots;          /* 0: as many as are set */
    int64_t refused_ms; /* the last decrease; 0: none */
    int64_t changed_ms; /* the last change; 0: none. No two changes have one */
};

/** To be stored of an account. */
struct limit_write {
    struct str name; /* the account's */
    struct limit next;
    int ceiling;    /* for people */
    int64_t was_ms; /* the change that this follows */
};

/** What one worker saw of it. */
struct limit_seen {
    int64_t full_ms;    /* requests last waited for a slot; 0: never */
    int64_t refused_ms; /* the last refusal, whether it counted or not */
};

/** What an outcome says of it. */
enum limit_news {
    LIMIT_NO_NEWS,
    LIMIT_REFUSED, /* more than it takes: 429, or failed as too many */
    LIMIT_TAKEN,   /* one more was accepted */
};

enum limit_news limit_news_of(const struct outcome *outcome);

/** How many may be under way now; 0: no limit. */
int limit_slots(const struct limit *limit, const struct limit_bounds *bounds);

/** Whether that is less than what is set. */
bool limit_is_learnt(const struct limit *limit,
                     const struct limit_bounds *bounds);

/** Whether what is stored is no limit any more: nothing is to be learnt, or
 * fewer slots are set. */
bool limit_is_void(const struct limit *limit, const struct limit_bounds *bounds,
                   int64_t now_ms, struct limit *next);

/**
 * A request was refused. Only the first word on a request counts, and only on
 * what was sent since the last decrease: what was under way then says nothing
 * of the limit since.
 *
 * @param row   As it was sent.
 * @param next  Set to what is to be stored.
 * @return      Whether anything is.
 */
bool limit_refused(const struct limit *limit, const struct limit_bounds *bounds,
                   const struct task_row *row, int64_t now_ms,
                   struct limit *next);

/**
 * A request was accepted. It counts where the limit is what others wait for,
 * and nothing was refused of late.
 */
bool limit_taken(const struct limit *limit, const struct limit_bounds *bounds,
                 const struct limit_seen *seen, const struct task_row *row,
                 int64_t now_ms, struct limit *next);

#endif
