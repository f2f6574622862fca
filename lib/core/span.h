#ifndef CORE_SPAN_H
#define CORE_SPAN_H

#include "base/buf.h"
#include "core/task.h"

/**
 * A request's way as spans of OpenTelemetry, in OTLP's JSON. All is in the row
 * when it is closed, so that whoever closes it tells the whole, whoever worked
 * on it before; ids are hashes of the request's, so that it is told the same
 * twice.
 *
 * Source: opentelemetry-proto, trace/v1/trace.proto, and its JSON mapping (ids
 * in hex, 64-bit numbers as texts).
 */

/** OTEL_TRACES_SAMPLER, in the order of its words. */
enum span_sampler {
    SAMPLER_PARENT_ALWAYS_ON,
    SAMPLER_PARENT_ALWAYS_OFF,
    SAMPLER_PARENT_RATIO,
    SAMPLER_ALWAYS_ON,
    SAMPLER_ALWAYS_OFF,
    SAMPLER_RATIO,
};

struct span_request {
    const struct task_row *row; /* closed */
    struct str request_id;
    struct str tenant;
    struct str traceparent; /* one that fits, or empty */
    struct str tracestate;
    int64_t now_ms;
};

/**
 * Append its spans, each behind a comma but for the first in `out`: the whole
 * request, and those of its stages that it went through.
 *
 * @param ratio  0..1.
 * @return       How many; 0: it isn't sampled.
 */
int span_write(const struct span_request *request, enum span_sampler sampler,
               double ratio, struct buf *out);

/** What stands before all spans of a message, and behind them.
 *
 * @param attributes  OTEL_RESOURCE_ATTRIBUTES: key=value pairs separated by
 *                    commas, percent-encoded; what can't be read is left out.
 */
void span_begin(const char *service, struct str attributes, struct buf *out);
void span_end(struct buf *out);

/**
 * OTEL_EXPORTER_OTLP_HEADERS: the next "key=value" of *list as "key: value",
 * percent-decoded; false: there are no more. One that can't be a header is left
 * out.
 */
bool span_next_header(struct str *list, char *out, size_t out_bytes);

#endif
