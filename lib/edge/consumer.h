#ifndef EDGE_CONSUMER_H
#define EDGE_CONSUMER_H

#include "base/err.h"
#include "base/str.h"
#include "edge/loop.h"

/**
 * Reads one topic as a member of a group, at least once. An offset is stored
 * only when its message and all before it in that partition are done.
 */
struct consumer;

struct message_header {
    struct str name;
    struct str value; /* absent: null */
};

/** Owned by whoever was handed it, until consumer_done(). */
struct message {
    struct str topic;
    int32_t partition;
    int64_t offset;
    int64_t produced_ms; /* as the producer or the broker says; 0: not known */
    struct str key;      /* absent: null */
    struct str value;    /* absent: null (a tombstone) */
    const struct message_header *headers;
    size_t headers_len;
    void *inside; /* the edge's */
};

/** One librdkafka property; or "tokens.from", which is ours: where tokens for
 * SASL OAUTHBEARER come from, as KAFKA_TOKENS_FROM says. */
struct kafka_property {
    const char *name;
    const char *value;
};

struct consumer_options {
    const char *brokers;
    const char *group;
    const char *topic;
    const struct kafka_property *properties;
    size_t properties_len;
    /* read ahead and not yet handed out: 1 MiB to 16 MiB, what is beyond
     * counts as that; 0: 16 MiB */
    int64_t ahead_bytes;
    /* only what comes from now on, nothing committed: an onlooker in a group
     * of its own */
    bool tail;
};

typedef void consumer_message_fn(void *context, struct message *message);
/**
 * Called on change, of the words too.
 *
 * @param connected  The brokers answer; a consumer's group has taken it in,
 *                   if only with no partition; a producer has its id.
 * @param why        In words when not.
 */
typedef void consumer_state_fn(void *context, bool connected, const char *why);

struct consumer *consumer_open(struct loop *loop,
                               const struct consumer_options *options,
                               consumer_message_fn *on_message,
                               consumer_state_fn *on_state, void *context,
                               struct err *err);

/** Stop handing out messages; membership is kept. Idempotent. */
void consumer_pause(struct consumer *consumer);
void consumer_resume(struct consumer *consumer);

/** Dealt with for good (committed, or its rejection acknowledged): frees it. */
void consumer_done(struct consumer *consumer, struct message *message);

/** Given back unread, as on shutdown: frees it, its offset is never passed. */
void consumer_drop(struct consumer *consumer, struct message *message);

/** Given back because there was no memory for it: handed out again in a
 * second, or by whoever reads its partition then. */
void consumer_again(struct consumer *consumer, struct message *message);

/** Messages handed out and neither done nor dropped. */
size_t consumer_out(const struct consumer *consumer);

/**
 * Sum over assigned partitions of (end - position), as last told; -1: unknown.
 * What is no message (markers of transactions, gaps) and has nothing unread
 * before it doesn't count.
 */
int64_t consumer_lag(const struct consumer *consumer);

/** Commits what is stored and leaves the group; on_closed exactly once, with
 * the consumer gone. All messages must be done or dropped. */
void consumer_close(struct consumer *consumer, int64_t timeout_ms,
                    loop_fn *on_closed, void *context);

#endif
