#ifndef EDGE_CONSUMER_CONF_H
#define EDGE_CONSUMER_CONF_H

#include "edge/consumer.h"

#include <librdkafka/rdkafka.h>

/**
 * librdkafka's settings for a consumer: ours, and the user's over those that no
 * promise depends on. For the consumer's edge only.
 *
 * @param tail  An onlooker: from the end, nothing committed.
 * @return      null, with *err set: ERR_PERMANENT as kafka_conf_new() says
 */
rd_kafka_conf_t *consumer_conf_new(const char *brokers, const char *group,
                                   bool tail,
                                   const struct kafka_property *properties,
                                   size_t properties_len, struct err *err);

#endif
