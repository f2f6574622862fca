#ifndef EDGE_SCAN_H
#define EDGE_SCAN_H

#include "edge/topics.h"

/**
 * Looks through a topic, of which nobody's offsets are moved. Blocks for
 * seconds: for commands, never for a loop.
 */
struct scan {
    const char *topic;
    int64_t since_ms;     /* produced then or later; 0: from the beginning */
    int32_t partition;    /* that one alone; -1: all */
    int64_t offset;       /* in that one, from there on; -1: by since_ms */
    int64_t messages_max; /* at most so many, the newest of each partition */
};

/** @param message  Until it returns. */
typedef void scan_fn(void *context, const struct message *message);

/**
 * Hands out what was there when it began: in a partition by its offsets, of
 * partitions in any order.
 *
 * @param older  Set to how many were left out for messages_max.
 * @return       false with *err set: ERR_TRANSIENT no broker answers,
 *               ERR_PERMANENT no such topic, partition or offset, or a right is
 *               missing; some may have been handed out.
 */
MUST_CHECK bool scan_topic(const struct topics_options *options,
                           const struct scan *scan, scan_fn *on_message,
                           void *context, int64_t *older, struct err *err);

#endif
