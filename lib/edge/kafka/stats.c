#include "edge/kafka/stats.h"

#include <assert.h>
#include <string.h>

#include <jansson.h>

static bool any_broker_up(json_t *stats)
{
    const char *name;
    json_t *broker;
    json_object_foreach(json_object_get(stats, "brokers"), name, broker)
    {
        const char *state = json_string_value(json_object_get(broker, "state"));
        if (state && strcmp(state, "UP") == 0) {
            return true;
        }
    }
    return false;
}

static bool has_producer_id(json_t *stats)
{
    const char *state = json_string_value(
        json_object_get(json_object_get(stats, "eos"), "idemp_state"));
    return state && strcmp(state, "Assigned") == 0;
}

/** Negative numbers are librdkafka's signs for "unknown", of several kinds. */
static int64_t offset_of(json_t *entry, const char *name)
{
    int64_t offset = json_integer_value(json_object_get(entry, name));
    return offset < 0 ? -1 : offset;
}

struct kafka_stats kafka_stats_read(const char *text, const char *topic,
                                    kafka_stats_fn *on_partition, void *context)
{
    assert(text);
    json_t *stats = json_loads(text, 0, NULL);
    const struct kafka_stats told = {.up = any_broker_up(stats),
                                     .has_id = has_producer_id(stats)};
    json_t *entries = json_object_get(
        json_object_get(json_object_get(stats, "topics"), topic ? topic : ""),
        "partitions");
    const char *name;
    json_t *entry;
    json_object_foreach(entries, name, entry)
    {
        struct kafka_stats_partition partition = {
            .id = (int32_t)json_integer_value(
                json_object_get(entry, "partition")),
            .end = offset_of(entry, "hi_offset"),
            .next = offset_of(entry, "next_offset"),
            .queued = offset_of(entry, "fetchq_cnt"),
        };
        if (partition.id >= 0) {
            on_partition(context, &partition);
        }
    }
    json_decref(stats);
    return told;
}
