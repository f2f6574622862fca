#ifndef BASE_SETTINGS_KAFKA_H
#define BASE_SETTINGS_KAFKA_H

#include "base/settings_check.h"

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

#endif
