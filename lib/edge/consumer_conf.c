#include "edge/consumer_conf.h"

#include "edge/kafka_rd.h"

rd_kafka_conf_t *consumer_conf_new(const char *brokers, const char *group,
                                   bool tail,
                                   const struct kafka_property *properties,
                                   size_t properties_len, struct err *err)
{
    const struct kafka_rule rules[] = {
        {"bootstrap.servers", brokers, true},
        {"group.id", group, true},
        {"client.id", "pixverse-worker", false},
        {"enable.auto.offset.store", "false", true},
        {"enable.auto.commit", tail ? "false" : "true", true},
        {"auto.offset.reset", tail ? "latest" : "earliest", true},
        {"auto.commit.interval.ms", "1000", false},
        /* librdkafka 2.0 loses assignments with cooperative-sticky. */
        {"partition.assignment.strategy", "range,roundrobin", true},
        {"group.protocol", NULL, true},
        {"enable.partition.eof", "false", true},
        {"statistics.interval.ms", KAFKA_STATS_MS, true},
        {"allow.auto.create.topics", "true", false},
        {"topic.metadata.refresh.interval.ms", "5000", false},
        {"session.timeout.ms", "10000", false},
        {"heartbeat.interval.ms", "2000", false},
        /* What is read ahead has to last a second: librdkafka fetches nothing
         * for that long once there is so much (its issue 2879). */
        {"queued.min.messages", "50000", false},
        {"queued.max.messages.kbytes", "16384", false},
        {"fetch.message.max.bytes", "2097152", false},
        {"fetch.wait.max.ms", "500", false},
        {"reconnect.backoff.max.ms", "2000", false},
        {"socket.nagle.disable", "true", false},
        {"socket.keepalive.enable", "true", false},
    };
    rd_kafka_conf_t *conf = kafka_conf_new(
        rules, sizeof rules / sizeof rules[0], properties, properties_len, err);
    if (conf) {
        rd_kafka_conf_set_events(
            conf, RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_FETCH |
                      RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_STATS |
                      RD_KAFKA_EVENT_OFFSET_COMMIT);
    }
    return conf;
}
