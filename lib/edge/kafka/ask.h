#ifndef EDGE_KAFKA_ASK_H
#define EDGE_KAFKA_ASK_H

#include "edge/topics.h"

#include <librdkafka/rdkafka.h>

/**
 * Clients that ask and wait for the answer: what rewind, scan and topics share.
 * For those alone; never for a loop.
 */

#define ASK_MS 30000 /* at most for one answer */

/** A client of pixverse-ctl; a consumer commits nothing, and joins nothing as
 * long as it subscribes to nothing. The caller's; null with *err set. */
rd_kafka_t *ask_open(const struct topics_options *options, rd_kafka_type_t type,
                     struct err *err);

#define ASK_WORDS_BYTES 1000

/**
 * All topics, so that asking makes none. What no wait mends, such as a password
 * that is refused, ends it early.
 *
 * @param why  Where there is no answer: the step at which a login failed, the
 *             broker's own words, what to do; or what librdkafka says.
 * @return     The caller's; null with *code set.
 */
const struct rd_kafka_metadata *ask_topics(rd_kafka_t *rk, int limit_ms,
                                           rd_kafka_resp_err_t *code,
                                           char why[static ASK_WORDS_BYTES]);

/** What a code means for who asked; returns false. */
bool ask_err(struct err *err, const struct topics_options *options,
             rd_kafka_resp_err_t code, const char *what);

/** The topic's partitions, the caller's; null with *err set: ERR_TRANSIENT no
 * broker answers, ERR_PERMANENT no such topic. Makes no topic. */
rd_kafka_topic_partition_list_t *
ask_partitions(rd_kafka_t *rk, const struct topics_options *options,
               const char *topic, struct err *err);

/** A copy of `all` with the offset of what was produced at time_ms or later;
 * the end where there is none. Null with *err set. */
rd_kafka_topic_partition_list_t *
ask_by_time(rd_kafka_t *rk, const struct topics_options *options,
            const rd_kafka_topic_partition_list_t *all, int64_t time_ms,
            struct err *err);

#endif
