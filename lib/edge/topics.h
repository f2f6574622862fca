#ifndef EDGE_TOPICS_H
#define EDGE_TOPICS_H

#include "edge/consumer.h"

/**
 * The topics themselves: made, looked for, and tried for the rights that a
 * worker needs on them. Blocks for seconds: for commands, never for a loop.
 */
struct topics_options {
    const char *brokers;
    const char *group; /* of the workers */
    const struct kafka_property *properties;
    size_t properties_len;
};

/** What a worker does with a topic. */
enum topic_use { TOPIC_READ, TOPIC_WRITE };

struct topic_wish {
    const char *name;
    enum topic_use use;
};

/** How a new topic is to be; one that is there stays as it is. */
struct topic_shape {
    int partitions;
    int replication;      /* 0: the brokers' default */
    int64_t retention_ms; /* 0: the brokers' default; -1: for ever */
};

enum topic_end {
    TOPIC_THERE, /* nothing to make; or all that is needed is allowed */
    TOPIC_MADE,
    TOPIC_DOUBTFUL, /* nobody could tell */
    TOPIC_FAULT,
};

/** @param why  In words, with TOPIC_DOUBTFUL and TOPIC_FAULT. */
typedef void topic_fn(void *context, const struct topic_wish *wish,
                      enum topic_end end, const char *why);

/**
 * Make those that are missing.
 *
 * @param on_topic  Called once for each, before this returns.
 * @return          false, with *err set, if none could be asked for:
 *                  ERR_TRANSIENT no broker answers, ERR_PERMANENT a property.
 */
bool topics_make(const struct topics_options *options,
                 const struct topic_wish *wishes, size_t len,
                 const struct topic_shape *shape, topic_fn *on_topic,
                 void *context, struct err *err);

/**
 * Whether each is there and may be used so, by asking for what changes nothing:
 * reading, to commit for a partition that isn't there (Kafka looks at the
 * rights on group and topic first); writing, with a number of acknowledgements
 * that no broker takes. The group doesn't notice: no member joins.
 *
 * As topics_make().
 */
bool topics_check(const struct topics_options *options,
                  const struct topic_wish *wishes, size_t len,
                  topic_fn *on_topic, void *context, struct err *err);

#endif
