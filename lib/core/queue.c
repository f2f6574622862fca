#include "core/queue.h"

#include <assert.h>
#include <string.h>

/* What a claim from the start may take longer than others before it is called
 * dear, and how much of the time such ones may take then: one part in so many.
 */
#define SLACK_MS 20
#define PARTS 200
/** How long the keys stay what "a while ago" means. */
#define AGO_MS 15000

/** The keys of now become those of a while ago, in two steps: what is older
 * than one step is surely that old. */
static void remember(struct queue *queue, int64_t boot_ms)
{
    if (boot_ms - queue->turned_ms >= AGO_MS) {
        memcpy(queue->ago, queue->newer, sizeof queue->ago);
        memcpy(queue->newer, queue->after, sizeof queue->newer);
        queue->turned_ms = boot_ms;
    }
}

/** It begins zeroed. */
static int64_t pause_ms(const struct queue *queue)
{
    return queue->pause_ms > QUEUE_WHOLE_MS ? queue->pause_ms : QUEUE_WHOLE_MS;
}

bool queue_look(struct queue *queue, int64_t boot_ms, int64_t *after)
{
    assert(after && boot_ms >= 0);
    remember(queue, boot_ms);
    const bool whole =
        !queue->known || boot_ms - queue->whole_ms >= pause_ms(queue);
    queue->part = !whole && boot_ms - queue->part_ms >= QUEUE_WHOLE_MS;
    if (whole) {
        queue->known = true;
        queue->whole_ms = queue->part_ms = boot_ms;
        memset(after, 0, sizeof queue->after);
    } else if (queue->part) {
        queue->part_ms = boot_ms;
        for (int i = 0; i < PRIORITIES; i++) { /* a key may have gone back */
            after[i] = queue->ago[i] < queue->after[i] ? queue->ago[i]
                                                       : queue->after[i];
        }
    } else {
        memcpy(after, queue->after, sizeof queue->after);
    }
    return whole;
}

void queue_ask(struct queue *queue, int64_t boot_ms, int64_t *after)
{
    assert(!queue->whole);
    queue->whole = queue_look(queue, boot_ms, after);
    queue->asked_ms = boot_ms;
    memcpy(queue->from, after, sizeof queue->from);
}

/** When it goes on by itself; from the start sooner where nothing was found. */
static int64_t next_ms(struct queue *queue, int64_t boot_ms, bool some)
{
    const int64_t sooner = some ? 1 : QUEUE_WHOLE_MS / QUEUE_EMPTY_MS;
    const int64_t wait_ms =
        queue->whole_ms + pause_ms(queue) / sooner - boot_ms;
    const int64_t part_ms = queue->part_ms + QUEUE_WHOLE_MS - boot_ms;
    if (!some && wait_ms <= 0) {
        queue->known = false; /* the next one is from the start */
    }
    const int64_t first_ms = part_ms < wait_ms ? part_ms : wait_ms;
    return first_ms > 0 ? first_ms : 0;
}

int64_t queue_none(struct queue *queue, int64_t boot_ms)
{
    return next_ms(queue, boot_ms, false);
}

/** The lowest priority that it took from; PRIORITIES: none. */
static int lowest_taken(const int64_t *taken)
{
    int lowest = 0;
    while (lowest < PRIORITIES && taken[lowest] == 0) {
        lowest++;
    }
    return lowest;
}

/** What the dead versions at the head cost says when they are passed again: the
 * lesser of two times in a row, since one may have waited for a disk. */
static void note_time(struct queue *queue, int64_t boot_ms)
{
    const int64_t took_ms = boot_ms - queue->asked_ms;
    assert(took_ms >= 0);
    if (!queue->whole) {
        queue->took_ms = took_ms;
        return;
    }
    const int64_t dear_ms = took_ms - queue->took_ms - SLACK_MS;
    const int64_t twice_ms =
        dear_ms < queue->dear_ms ? dear_ms : queue->dear_ms;
    queue->dear_ms = dear_ms;
    queue->pause_ms =
        twice_ms < QUEUE_DEAR_MS / PARTS ? twice_ms * PARTS : QUEUE_DEAR_MS;
}

int64_t queue_came(struct queue *queue, int64_t boot_ms, const int64_t *taken,
                   bool full)
{
    assert(taken && boot_ms >= 0);
    const bool whole = queue->whole;
    const int lowest = lowest_taken(taken);
    const bool stopped = full && lowest < PRIORITIES;
    note_time(queue, boot_ms);
    queue->whole = false;
    for (int i = 0; i < PRIORITIES; i++) {
        if (stopped && i < lowest) {
            queue->after[i] = queue->from[i]; /* it did not come so far */
        } else if (taken[i] > queue->after[i] || (stopped && i == lowest)) {
            queue->after[i] = taken[i];
        }
    }
    if (whole || stopped || !queue->known) {
        return -1;
    }
    return next_ms(queue, boot_ms, lowest < PRIORITIES);
}

void queue_again(struct queue *queue)
{
    queue->known = false;
}

void queue_found(struct queue *queue, bool whole)
{
    queue->known = queue->known && !whole;
    if (queue->part && !whole) {
        queue->part_ms -= QUEUE_WHOLE_MS;
    }
}

void queue_lost(struct queue *queue)
{
    queue->known = queue->known && !queue->whole;
    queue->whole = false;
}
