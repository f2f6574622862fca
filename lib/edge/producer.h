#ifndef EDGE_PRODUCER_H
#define EDGE_PRODUCER_H

#include "base/err.h"
#include "core/event.h"
#include "edge/consumer.h"
#include "edge/loop.h"

/**
 * Puts messages on topics, idempotent, acknowledged by all in-sync replicas.
 * One that turned fatal is replaced inside; what it had not delivered comes
 * back to its callbacks as ERR_TRANSIENT. A broker refuses a batch for one
 * message in it: what was refused so is tried again alone before it is judged.
 */
struct producer;

struct outgoing {
    const char *topic;
    struct str key;   /* absent: null key */
    struct str value; /* absent: null value */
    const struct event_header *headers;
    size_t headers_len;
    /* the message's time; 0: this machine's, which may be wrong */
    int64_t at_ms;
};

/**
 * @param err  null: acknowledged. ERR_TRANSIENT: send it again, however long it
 *             takes (forbidden, too few replicas, no such topic).
 *             ERR_PERMANENT: it is itself larger than its topic takes.
 */
typedef void producer_fn(void *context, const struct err *err);

struct producer *producer_open(struct loop *loop, const char *brokers,
                               const struct kafka_property *properties,
                               size_t properties_len,
                               consumer_state_fn *on_state, void *state_context,
                               struct err *err);

/**
 * @param outgoing  Copied.
 * @param on_end    Exactly once, after this has returned.
 * @return          false, with *err set, if nothing was started: ERR_TRANSIENT
 *                  the window (5,000 messages) is full, ERR_PERMANENT too
 * large.
 */
MUST_CHECK bool producer_send(struct producer *producer,
                              const struct outgoing *outgoing,
                              producer_fn *on_end, void *context,
                              struct err *err);

size_t producer_under_way(const struct producer *producer);

/** Waits for what is under way, at most timeout_ms, ends the rest as
 * transient. */
void producer_close(struct producer *producer, int64_t timeout_ms,
                    loop_fn *on_closed, void *context);

#endif
