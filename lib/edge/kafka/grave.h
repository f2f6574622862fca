#ifndef EDGE_KAFKA_GRAVE_H
#define EDGE_KAFKA_GRAVE_H

#include "edge/loop.h"

#include <librdkafka/rdkafka.h>

/**
 * Where a client of librdkafka ends: destroying waits for the client's threads,
 * for ever if one of them hangs. So it gets a thread of its own: one of the
 * loop's would be missed by the transfers. Made before the client, so that
 * there is always one.
 */
struct kafka_grave;

/**
 * @param on_filled  Called on the loop once the client is gone; the grave is
 *                   then too.
 * @return           null: no memory. kafka_grave_free() while it is empty.
 */
struct kafka_grave *kafka_grave_new(struct loop *loop, loop_fn *on_filled,
                                    void *context);
void kafka_grave_free(struct kafka_grave *grave); /* null is accepted */

/** What the client's member may still do, it has done by now. */
void kafka_grave_fill(struct kafka_grave *grave, rd_kafka_t *client);

#endif
