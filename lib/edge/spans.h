#ifndef EDGE_SPANS_H
#define EDGE_SPANS_H

#include "base/err.h"
#include "core/span.h"
#include "edge/loop.h"

/**
 * Where traces go: a collector of OpenTelemetry, by OTLP over HTTP, in JSON.
 * Bounded: what finds no room, and what a collector doesn't take, is dropped
 * and counted, never tried again.
 */
struct spans;

struct spans_options {
    const char *url;     /* of OTLP's traces, whole; texts are copied */
    const char *headers; /* OTEL_EXPORTER_OTLP_HEADERS; may be secret */
    const char *service;
    const char *attributes; /* OTEL_RESOURCE_ATTRIBUTES */
    enum span_sampler sampler;
    double ratio;
    int64_t every_ms; /* between two messages, if there is something to say */
};

/** Spans that went, or were dropped, since the last time; `why`: null if they
 * went. */
typedef void spans_told_fn(void *context, int64_t spans, const char *why);

/** @param on_told  From the loop, or from spans_add(). */
struct spans *spans_open(struct loop *loop, const struct spans_options *options,
                         spans_told_fn *on_told, void *context,
                         struct err *err);

void spans_add(struct spans *spans, const struct span_request *request);

/**
 * What is left goes now.
 *
 * @param on_end  Once, after this has returned, within `limit_ms`.
 */
void spans_flush(struct spans *spans, int64_t limit_ms, loop_fn *on_end,
                 void *context);

void spans_close(struct spans *spans); /* null: accepted */

#endif
