#ifndef CORE_ALLOT_H
#define CORE_ALLOT_H

#include "core/task.h"

/**
 * A worker's part of what the whole fleet may have submitting and running
 * (DESIGN "The queue"). The parts of all never add up to more than the limit:
 * more is taken under a lock, and what is not used goes back with the bump. So
 * a claim asks nobody. Begins zeroed but for `most`; clocks are boot clocks.
 *
 * Known to be ours is never more than what the store has as ours: what is taken
 * counts once it is committed, what goes back from before it is sent. An answer
 * that is lost makes it less, and the next bump tells.
 */
struct allot {
    int most;       /* of the fleet; 0: no limit, and nothing below is used */
    int held;       /* known to be ours */
    int fresh;      /* taken or claimed into since the last bump: kept by it */
    int adding;     /* what is under way and adds to them */
    bool asking;    /* for more: one of those */
    int64_t ask_ms; /* not before */
};

/** No more often does a worker ask for more. */
#define ALLOT_EVERY_MS 1000

/** So long after its last send a task takes a place: then the provider has
 * given it to another. */
#define ALLOT_COUNTS_MS INT64_C(600000)

/** Whether its last send was not so long ago. */
bool allot_is_recent(int64_t last_sent_ms, int64_t now_ms);

/** Whether a stored row takes a place. */
bool allot_counts(const struct task_row *row, int64_t now_ms);

/**
 * How many tasks may be claimed.
 *
 * @param used  Places that are taken: rows that count, and what was asked for.
 */
int allot_room(const struct allot *allot, int used);

/**
 * How many more to ask for, so that `wanted` could be claimed; 0: none, or not
 * yet. Some beyond, where that many were claimed lately.
 */
int allot_more(const struct allot *allot, int used, int wanted,
               int64_t boot_ms);

/** It was asked. */
void allot_asked(struct allot *allot, int64_t boot_ms);

/** Nobody took, because another one did: at once again. */
void allot_busy(struct allot *allot);

/** `got` became ours; none_waits: nothing was there to be claimed. */
void allot_got(struct allot *allot, int got, bool none_waits);

/** Nobody knows. */
void allot_lost(struct allot *allot);

/** Rows are taken over, and come with their places: it was asked; so many
 * came, or nobody knows. */
void allot_adopting(struct allot *allot);
void allot_adopted(struct allot *allot, int places);

/** So many were claimed. */
void allot_claimed(struct allot *allot, int claimed);

/** How many to give back with the bump that is sent now: they are ours no
 * more. */
int allot_give(struct allot *allot, int used);

/** What the store said with the bump that we have. What is under way may be in
 * it and would count twice: then it says nothing. */
void allot_told(struct allot *allot, int held);

/** The lease is another one, which has none. */
void allot_reset(struct allot *allot);

#endif
