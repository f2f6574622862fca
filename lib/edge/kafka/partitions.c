#include "edge/kafka/partitions.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct kafka_partition *
kafka_partition_get(const struct kafka_partitions *partitions, int32_t id)
{
    if (id < 0 || (size_t)id >= partitions->len ||
        !partitions->all[id].assigned) {
        return NULL;
    }
    return &partitions->all[id];
}

static bool make_room(struct kafka_partitions *partitions, size_t len)
{
    assert(len > 0);
    if (len <= partitions->len) {
        return true;
    }
    struct kafka_partition *grown =
        realloc(partitions->all, len * sizeof *grown);
    if (!grown) {
        return false;
    }
    memset(grown + partitions->len, 0, (len - partitions->len) * sizeof *grown);
    partitions->all = grown;
    partitions->len = len;
    return true;
}

bool kafka_partition_begin(struct kafka_partitions *partitions, int32_t id)
{
    assert(id >= 0);
    if (id < 0 || !make_room(partitions, (size_t)id + 1)) {
        return false;
    }
    struct kafka_partition *partition = &partitions->all[id];
    offsets_done(&partition->offsets);
    *partition = (struct kafka_partition){.assigned = true,
                                          .epoch = ++partitions->epoch,
                                          .stored = -1,
                                          .next = -1,
                                          .lag = -1};
    offsets_init(&partition->offsets);
    return true;
}

bool kafka_partition_read(struct kafka_partitions *partitions,
                          struct kafka_partition *partition, int64_t offset)
{
    assert(partition->assigned && offset >= 0);
    if (offset <= partition->offsets.last) {
        offsets_rewind(&partition->offsets, offset);
        partition->epoch = ++partitions->epoch;
    }
    (void)offsets_add(&partition->offsets, offset, partition->epoch);
    partition->next = offset + 1;
    return !partition->offsets.failed;
}

void kafka_partitions_end(struct kafka_partitions *partitions)
{
    for (size_t i = 0; i < partitions->len; i++) {
        offsets_done(&partitions->all[i].offsets);
        partitions->all[i].assigned = false;
    }
}

int64_t kafka_partitions_lag(const struct kafka_partitions *partitions)
{
    int64_t sum = 0;
    for (size_t i = 0; i < partitions->len; i++) {
        const struct kafka_partition *partition = &partitions->all[i];
        if (!partition->assigned) {
            continue;
        }
        if (partition->lag < 0) {
            return -1;
        }
        sum += partition->lag;
    }
    return sum;
}

void kafka_partitions_done(struct kafka_partitions *partitions)
{
    kafka_partitions_end(partitions);
    free(partitions->all);
    *partitions = (struct kafka_partitions){0};
}

rd_kafka_topic_partition_list_t *
kafka_partitions_assigned(const struct kafka_partitions *partitions,
                          const char *topic)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new(8);
    for (size_t i = 0; i < partitions->len; i++) {
        if (partitions->all[i].assigned) {
            rd_kafka_topic_partition_list_add(list, topic, (int32_t)i);
        }
    }
    return list;
}

rd_kafka_topic_partition_list_t *
kafka_partitions_unstored(struct kafka_partitions *partitions,
                          const char *topic)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    for (size_t i = 0; i < partitions->len; i++) {
        struct kafka_partition *partition = &partitions->all[i];
        if (!partition->assigned ||
            partition->offsets.prefix == partition->stored) {
            continue;
        }
        if (!list) {
            list = rd_kafka_topic_partition_list_new(8);
        }
        partition->stored = partition->offsets.prefix;
        rd_kafka_topic_partition_list_add(list, topic, (int32_t)i)->offset =
            partition->stored;
    }
    return list;
}
