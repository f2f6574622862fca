#ifndef FLOW_REJECT_H
#define FLOW_REJECT_H

#include "base/metric.h"
#include "edge/producer.h"
#include "flow/clock.h"
#include "flow/item.h"

/**
 * Out to the rejected topic, with the original key, value and headers. An
 * item's offset passes with the broker's acknowledgement, however long that
 * takes.
 */

struct rejects_options {
    struct loop *loop;
    struct producer *producer;
    struct consumer *consumer; /* whose messages they are */
    const struct clock *clock;
    const char *topic;
    loop_fn *on_end; /* one less is under way */
    void *context;
};

struct rejects {
    struct rejects_options options;
    size_t under_way;  /* not yet acknowledged */
    int64_t bytes;     /* of these */
    struct list later; /* of these: what is tried again */
    bool stopped;      /* draining: what fails is given back, not tried again */
    struct metric *rejected;
};

void rejects_init(struct rejects *rejects,
                  const struct rejects_options *options,
                  struct metrics *metrics);

/** Nothing is tried again from now on: what waits for that is given back. */
void rejects_stop(struct rejects *rejects);

/** Takes the item over. */
void reject(struct rejects *rejects, struct item *item,
            enum request_reject reason);

#endif
