#ifndef EDGE_PROPERTIES_H
#define EDGE_PROPERTIES_H

#include "base/buf.h"
#include "base/err.h"
#include "edge/consumer.h"

/**
 * Judges librdkafka's properties before any client is made: each by itself,
 * the files that they name, and those of a login together. Nothing is
 * connected, and no token is fetched.
 *
 * @return false: *faults got a line for each, beside those of settings_read():
 *         the setting's name, what is wrong and what is allowed. No value is in
 *         it but a file's path.
 */
MUST_CHECK bool properties_judge(const struct kafka_property *properties,
                                 size_t len, struct buf *faults);

#endif
