#ifndef EDGE_KAFKA_STATS_H
#define EDGE_KAFKA_STATS_H

#include <stdbool.h>
#include <stdint.h>

/** One partition in librdkafka's statistics; -1 where it doesn't know. */
struct kafka_stats_partition {
    int32_t id;
    int64_t end;    /* offset after the newest message or marker */
    int64_t next;   /* offset to be fetched next */
    int64_t queued; /* messages fetched and not yet read, at least ours */
};

struct kafka_stats {
    bool up;     /* a broker's connection is */
    bool has_id; /* an idempotent producer: the brokers gave it its id */
};

typedef void kafka_stats_fn(void *context,
                            const struct kafka_stats_partition *partition);

/**
 * Read one statistics text (librdkafka, STATISTICS.md).
 *
 * @param topic         Whose partitions to tell; null: none.
 * @param on_partition  Called before this returns, once for each.
 */
struct kafka_stats kafka_stats_read(const char *text, const char *topic,
                                    kafka_stats_fn *on_partition,
                                    void *context);

#endif
