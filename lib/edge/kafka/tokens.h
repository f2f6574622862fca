#ifndef EDGE_KAFKA_TOKENS_H
#define EDGE_KAFKA_TOKENS_H

#include "base/err.h"

#include <librdkafka/rdkafka.h>

/**
 * Tokens for SASL OAUTHBEARER: librdkafka asks for one when a client begins,
 * and again when four fifths of its life are over. It is fetched on a thread of
 * that client's, which may wait for a file or a server; no loop does.
 */

/**
 * Before the client is made.
 *
 * @param from     KAFKA_TOKENS_FROM.
 * @param brokers  Their names tell MSK's region where `from` doesn't.
 */
bool kafka_tokens_use(rd_kafka_conf_t *conf, const char *from,
                      const char *brokers, struct err *err);

/** Once the client is made; does nothing for one that uses none. */
bool kafka_tokens_serve(rd_kafka_t *client, struct err *err);

#endif
