#ifndef BASE_SETTINGS_KAFKA_H
#define BASE_SETTINGS_KAFKA_H

#include "base/buf.h"
#include "base/settings_check.h"

/** One librdkafka property, from KAFKA_CONF_*, or one that another setting
 * stands for. */
struct settings_property {
    const char *name; /* as librdkafka writes it: security.protocol */
    const char *value;
};

/** Ours among them: where OAUTHBEARER's tokens come from (KAFKA_TOKENS_FROM).
 */
#define SETTINGS_TOKENS_PROPERTY "tokens.from"

/** Properties that KAFKA_TOKENS_FROM adds at most. */
#define SETTINGS_TOKENS_MORE 3

/**
 * What is wrong with setting one of librdkafka's properties: one that a promise
 * depends on may only have the value that it has anyway.
 *
 * @param name  As librdkafka writes it, its other names too.
 * @param host  This machine's name: all workers read the same settings, so what
 *              must differ between them has to hold it.
 * @return      Without fault where it can be set.
 */
struct setting_verdict settings_kafka_check(struct str name, struct str value,
                                            struct str host);

/**
 * Add what KAFKA_TOKENS_FROM stands for: itself, the mechanism OAUTHBEARER, and
 * SASL_SSL where no protocol is set.
 *
 * @param properties  Has room for SETTINGS_TOKENS_MORE more.
 * @param tokens      Its value; "": nothing is added.
 * @return            How many there are now.
 */
size_t settings_kafka_tokens(struct settings_property *properties, size_t len,
                             const char *tokens);

/**
 * What is wrong with the properties of a login together: half of one, or one
 * that would not take place.
 *
 * @param faults    Gets a line for each, like those of settings_read(), by the
 *                  names of settings. No value is in it but a protocol's or a
 *                  mechanism's.
 * @param warnings  The same of what works, but guards less than it seems to.
 */
void settings_kafka_judge(const struct settings_property *properties,
                          size_t len, struct buf *faults, struct buf *warnings);

/** The setting of a property: KAFKA_CONF_SASL_PASSWORD for sasl.password;
 * KAFKA_TOKENS_FROM for SETTINGS_TOKENS_PROPERTY. */
void settings_kafka_name(const char *property, char *out, size_t out_bytes);

#endif
