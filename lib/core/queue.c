#include "core/queue.h"

#include <assert.h>
#include <string.h>

bool queue_look(struct queue *queue, int64_t boot_ms, int64_t *after)
{
    assert(after && boot_ms >= 0);
    const bool whole =
        !queue->known || boot_ms - queue->whole_ms >= QUEUE_WHOLE_MS;
    if (whole) {
        queue->known = true;
        queue->whole_ms = boot_ms;
        memset(after, 0, sizeof queue->after);
    } else {
        memcpy(after, queue->after, sizeof queue->after);
    }
    return whole;
}

void queue_ask(struct queue *queue, int64_t boot_ms, int64_t *after)
{
    assert(!queue->whole);
    queue->whole = queue_look(queue, boot_ms, after);
}

int64_t queue_none(struct queue *queue, int64_t boot_ms)
{
    const int64_t wait_ms = queue->whole_ms + QUEUE_EMPTY_MS - boot_ms;
    queue->known = queue->known && wait_ms > 0; /* the next is from the start */
    return wait_ms > 0 ? wait_ms : 0;
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

int64_t queue_came(struct queue *queue, int64_t boot_ms, const int64_t *taken,
                   bool full)
{
    assert(taken && boot_ms >= 0);
    const bool whole = queue->whole;
    const int lowest = lowest_taken(taken);
    const bool stopped = full && lowest < PRIORITIES;
    queue->whole = false;
    for (int i = 0; i < PRIORITIES; i++) {
        if (whole && stopped && i < lowest) {
            queue->after[i] = 0; /* it did not come so far */
        } else if (taken[i] > queue->after[i] || (stopped && i == lowest)) {
            queue->after[i] = taken[i];
        }
    }
    if (whole || stopped || !queue->known) {
        return -1;
    }
    const int64_t rest_ms =
        lowest < PRIORITIES ? QUEUE_WHOLE_MS : QUEUE_EMPTY_MS;
    const int64_t wait_ms = queue->whole_ms + rest_ms - boot_ms;
    if (lowest == PRIORITIES) {
        queue->known = wait_ms > 0; /* the next one is from the start */
    }
    return wait_ms > 0 ? wait_ms : 0;
}

void queue_again(struct queue *queue)
{
    queue->known = false;
}

void queue_lost(struct queue *queue)
{
    queue->known = queue->known && !queue->whole;
    queue->whole = false;
}
