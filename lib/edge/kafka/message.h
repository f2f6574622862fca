#ifndef EDGE_KAFKA_MESSAGE_H
#define EDGE_KAFKA_MESSAGE_H

#include "base/list.h"
#include "edge/consumer.h"

#include <librdkafka/rdkafka.h>

/** A message with everything behind it, in one piece of memory. */
struct kafka_message {
    struct message message; /* its `inside` leads back here */
    struct list link;       /* the consumer's, or alone */
    uint32_t epoch;         /* of the assignment under which it was read */
    struct message_header headers[];
};

/**
 * A copy, so that no message keeps librdkafka's fetch buffers alive nor stands
 * in the way of the end of a client.
 *
 * @param topic  Outlives the message.
 * @return       null: no memory. Freed with kafka_message_free().
 */
struct kafka_message *kafka_message_new(const rd_kafka_message_t *from,
                                        struct str topic, uint32_t epoch);
void kafka_message_free(struct kafka_message *message);

#endif
