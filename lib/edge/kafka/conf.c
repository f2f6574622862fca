#include "edge/kafka/conf.h"

#include "edge/kafka/client.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AHEAD_BYTES INT64_C(16777216) /* where nobody says how much */
#define AHEAD_LEAST_BYTES INT64_C(1048576)

bool consumer_setup_copy(struct consumer_setup *setup,
                         const struct consumer_options *options)
{
    assert(options->brokers && options->group && options->topic);
    *setup = (struct consumer_setup){
        .brokers = strdup(options->brokers),
        .group = strdup(options->group),
        .topic = strdup(options->topic),
        .tail = options->tail,
        .ahead_bytes =
            options->ahead_bytes ? options->ahead_bytes : AHEAD_BYTES,
        .properties =
            kafka_properties_copy(options->properties, options->properties_len),
        .properties_len = options->properties_len,
    };
    return setup->brokers && setup->group && setup->topic && setup->properties;
}

void consumer_setup_free(struct consumer_setup *setup)
{
    kafka_properties_free(setup->properties, setup->properties_len);
    free(setup->topic);
    free(setup->group);
    free(setup->brokers);
}

bool consumer_subscribe(const struct consumer_setup *setup, rd_kafka_t *client,
                        struct err *err)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, setup->topic,
                                      RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(client, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code == 0 || err_set(err, ERR_PERMANENT, "can't subscribe to %s: %s",
                                setup->topic, rd_kafka_err2str(code));
}

rd_kafka_conf_t *consumer_conf_new(const struct consumer_setup *setup,
                                   struct err *err)
{
    bool tail = setup->tail;
    char ahead_kbytes[24];
    char fetch_bytes[24];
    int64_t ahead_bytes = setup->ahead_bytes > AHEAD_LEAST_BYTES
                              ? setup->ahead_bytes
                              : AHEAD_LEAST_BYTES;
    ahead_bytes = ahead_bytes < AHEAD_BYTES ? ahead_bytes : AHEAD_BYTES;
    snprintf(ahead_kbytes, sizeof ahead_kbytes, "%lld",
             (long long)(ahead_bytes / 1024));
    /* One answer may go over what is read ahead: 50 MB, if nobody says so. */
    snprintf(fetch_bytes, sizeof fetch_bytes, "%lld", (long long)ahead_bytes);
    const struct kafka_rule rules[] = {
        {"bootstrap.servers", setup->brokers, true},
        {"group.id", setup->group, true},
        {"client.id", "pixverse-worker", false},
        {"enable.auto.offset.store", "false", true},
        {"enable.auto.commit", tail ? "false" : "true", true},
        {"auto.offset.reset", tail ? "latest" : "earliest", true},
        {"auto.commit.interval.ms", "1000", false},
        /* librdkafka 2.0 loses assignments with cooperative-sticky. */
        {"partition.assignment.strategy", "range,roundrobin", true},
        {"group.protocol", NULL, true},
        {"isolation.level", "read_committed", true},
        {"offset.store.method", "broker", true},
        {"enable.partition.eof", "false", true},
        {"statistics.interval.ms", KAFKA_STATS_MS, true},
        {"allow.auto.create.topics", "true", false},
        {"topic.metadata.refresh.interval.ms", "5000", false},
        {"session.timeout.ms", "10000", false},
        {"heartbeat.interval.ms", "2000", false},
        /* What is read ahead has to last a second: librdkafka fetches nothing
         * for that long once there is so much (its issue 2879). */
        {"queued.min.messages", "50000", false},
        {"queued.max.messages.kbytes", ahead_kbytes, false},
        {"fetch.max.bytes", fetch_bytes, false},
        {"fetch.message.max.bytes", "2097152", false},
        {"fetch.wait.max.ms", "500", false},
        {"reconnect.backoff.max.ms", "2000", false},
        {"socket.nagle.disable", "true", false},
        {"socket.keepalive.enable", "true", false},
    };
    rd_kafka_conf_t *conf =
        kafka_conf_new(rules, sizeof rules / sizeof rules[0], setup->properties,
                       setup->properties_len, err);
    if (conf) {
        rd_kafka_conf_set_events(
            conf, RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_FETCH |
                      RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_STATS |
                      RD_KAFKA_EVENT_OFFSET_COMMIT);
    }
    return conf;
}
