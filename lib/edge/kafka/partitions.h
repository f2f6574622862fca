#ifndef EDGE_KAFKA_PARTITIONS_H
#define EDGE_KAFKA_PARTITIONS_H

#include "core/offsets.h"

#include <librdkafka/rdkafka.h>

/** A partition that may be ours, and how far we are in it. */
struct kafka_partition {
    bool assigned;
    /* Of this assignment and since it was last wound back: what was read under
     * an earlier one may be another message of the same offset. */
    uint32_t epoch;
    struct offsets offsets;
    int64_t stored; /* as given to librdkafka; -1: nothing */
    /* after the last message read, or behind what is no message (markers,
     * gaps); -1: unknown */
    int64_t next;
    int64_t lag; /* as last told; -1: unknown */
};

/** A zeroed struct is an empty table. */
struct kafka_partitions {
    struct kafka_partition *all; /* by id; not all are assigned */
    size_t len;
    uint32_t epoch; /* the newest */
};

/** null: not assigned. Valid until the next one begins. */
struct kafka_partition *
kafka_partition_get(const struct kafka_partitions *partitions, int32_t id);

/** Assigned to us. false: no memory, nothing changed. */
bool kafka_partition_begin(struct kafka_partitions *partitions, int32_t id);

/**
 * A message of it has come. An offset that isn't above the last one means that
 * the partition was wound back (a topic made anew, a reset).
 *
 * @return  false: no memory to remember it; nothing behind it may pass.
 */
bool kafka_partition_read(struct kafka_partitions *partitions,
                          struct kafka_partition *partition, int64_t offset);

/** None is ours any more. */
void kafka_partitions_end(struct kafka_partitions *partitions);

/** Sum of what is left to read; -1 where that of any partition is unknown. */
int64_t kafka_partitions_lag(const struct kafka_partitions *partitions);

/** Gives all memory back. */
void kafka_partitions_done(struct kafka_partitions *partitions);

/** Those that are assigned, for librdkafka; the caller destroys it. */
rd_kafka_topic_partition_list_t *
kafka_partitions_assigned(const struct kafka_partitions *partitions,
                          const char *topic);

/** How far those may be committed that have come on since the last call; null:
 * none has. The caller destroys it. */
rd_kafka_topic_partition_list_t *
kafka_partitions_unstored(struct kafka_partitions *partitions,
                          const char *topic);

#endif
