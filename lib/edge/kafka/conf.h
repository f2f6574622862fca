#ifndef EDGE_KAFKA_CONF_H
#define EDGE_KAFKA_CONF_H

#include "edge/consumer.h"

#include <librdkafka/rdkafka.h>

/** A consumer's options, kept for every client that it will have. For the
 * consumer's edge only. */
struct consumer_setup {
    char *brokers;
    char *group;
    char *topic;
    bool tail;
    int64_t ahead_bytes;
    struct kafka_property *properties;
    size_t properties_len;
};

/** false: no memory; consumer_setup_free() in any case. */
bool consumer_setup_copy(struct consumer_setup *setup,
                         const struct consumer_options *options);
void consumer_setup_free(struct consumer_setup *setup);

/**
 * librdkafka's settings for a consumer: ours, and the user's over those that no
 * promise depends on. An onlooker (tail) begins at the end and commits nothing.
 *
 * @return  null, with *err set: ERR_PERMANENT as kafka_conf_new() says
 */
rd_kafka_conf_t *consumer_conf_new(const struct consumer_setup *setup,
                                   struct err *err);

/** @return  false, with *err set: ERR_PERMANENT a name that no topic has. */
bool consumer_subscribe(const struct consumer_setup *setup, rd_kafka_t *client,
                        struct err *err);

#endif
