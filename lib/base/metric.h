#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include "base/buf.h"

#include <stdint.h>

/**
 * Counters, gauges and histograms of one worker, written in the Prometheus
 * text format. Used from the loop thread only; the text is handed to the
 * admin edge, which serves it. Nothing here allocates after the registry is
 * made but labelled series, whose number is bounded by the code.
 */
struct metrics;
struct metric;

enum metric_type {
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_HISTOGRAM,         /* of round trips: 1 ms to 1 min */
    METRIC_HISTOGRAM_MINUTES, /* of whole jobs: 1 s to 1 day */
};

struct metrics *metrics_new(void); /* null: no memory */
void metrics_free(struct metrics *metrics);

/**
 * The series of that name and labels, made at the first call.
 *
 * @param name    Full name, such as "pixverse_tasks".
 * @param labels  Rendered label pairs such as "state=\"running\"", or null.
 * @param help    One sentence.
 * @return        Never null: without memory a series that nobody prints.
 */
struct metric *metric_get(struct metrics *metrics, enum metric_type type,
                          const char *name, const char *labels,
                          const char *help);

void metric_add(struct metric *metric, double value);
void metric_set(struct metric *metric, double value);

/** Into the fixed buckets of its type. */
void metric_observe(struct metric *metric, double seconds);
double metric_value(const struct metric *metric);

/** `text` as it may stand between the quotes of a label's value. */
void metric_label_add(struct buf *out, const char *text);

void metrics_write(const struct metrics *metrics, struct buf *out);

#endif
