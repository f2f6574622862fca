#ifndef CORE_QUEUE_H
#define CORE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#define PRIORITY_MAX 9
#define PRIORITIES (PRIORITY_MAX + 1)

/**
 * Where a worker's next claim begins in the queue (DESIGN "The queue"). While
 * anybody holds an old snapshot, dead versions of all that was taken stay at
 * its head: so a claim begins behind the last row that we took, priority by
 * priority, and from the start now and then: for what went back into the queue,
 * whose time came, or that another claim had locked. Where that has become dear
 * it is done less often, and meanwhile from where the keys were a while ago:
 * what was locked, or committed late, lies there. Begins zeroed; the clock is
 * the boot clock.
 */
struct queue {
    int64_t after[PRIORITIES]; /* ids; 0: the start */
    int64_t newer[PRIORITIES]; /* what they were at turned_ms, */
    int64_t ago[PRIORITIES];   /* and at the turn before that */
    int64_t from[PRIORITIES];  /* where what is under way began */
    int64_t turned_ms;
    int64_t whole_ms; /* the last claim from the start */
    int64_t part_ms;  /* that, or the last one from a while ago */
    int64_t asked_ms; /* what is under way, or was last */
    int64_t took_ms;  /* the last one that wasn't from the start */
    int64_t dear_ms;  /* how much longer the last one from the start took */
    int64_t pause_ms; /* between two from the start, if that is longer */
    bool part;        /* the last look or claim was from a while ago */
    bool known;       /* there was one; else the next one is */
    bool whole;       /* what is under way is from the start */
};

/** From the start, or from a while ago, at least so often, while anything is
 * claimed. */
#define QUEUE_WHOLE_MS 5000
/** And where a claim finds nothing behind its keys. */
#define QUEUE_EMPTY_MS 1000
/** From the start at least so often, however dear that is. */
#define QUEUE_DEAR_MS 60000

/** A claim begins. after: set, by priority. */
void queue_ask(struct queue *queue, int64_t boot_ms, int64_t *after);

/**
 * Its answer.
 *
 * @param taken  The last id of each priority; 0: none.
 * @param full   It may have left more, of the last priority that it took from
 *               and of those below.
 * @return       After how many ms to claim again, though nothing calls for it;
 *               -1: no need to.
 */
int64_t queue_came(struct queue *queue, int64_t boot_ms, const int64_t *taken,
                   bool full);

/** Older rows than it has taken wait now: the next claim is from the start. */
void queue_again(struct queue *queue);

/**
 * Whether anything waits is asked without a claim, from where one would begin.
 * Returns whether that is the start.
 */
bool queue_look(struct queue *queue, int64_t boot_ms, int64_t *after);

/** Something does, or nobody knows: the next claim is from where that look
 * began. whole: what it returned. */
void queue_found(struct queue *queue, bool whole);

/** Nothing does. Returns as queue_came(). */
int64_t queue_none(struct queue *queue, int64_t boot_ms);

/** It came to nothing, or nobody knows what it took. */
void queue_lost(struct queue *queue);

#endif
