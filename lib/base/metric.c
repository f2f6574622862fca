#include "base/metric.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 16

/* Seconds, upper ends. */
static const double ends_short[BUCKETS] = {
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
    0.5,   1,      2.5,   5,    10,    20,   30,  60,
};
static const double ends_minutes[BUCKETS] = {
    1, 5, 15, 30, 60, 90, 120, 180, 240, 300, 420, 600, 1800, 3600, 7200, 86400,
};

static bool has_buckets(enum metric_type type)
{
    return type == METRIC_HISTOGRAM || type == METRIC_HISTOGRAM_MINUTES;
}

static const double *ends_of(enum metric_type type)
{
    assert(has_buckets(type));
    return type == METRIC_HISTOGRAM ? ends_short : ends_minutes;
}

/** One series; the series of a name stand behind one another in its family. */
struct metric {
    struct metric *next; /* of the same name */
    char *labels;        /* never null; "" for none */
    double value;        /* a histogram's sum */
    uint64_t *counts;    /* histograms: per bucket, the last for +Inf */
    const double *ends;  /* and their upper ends */
};

struct family {
    struct family *next;
    enum metric_type type;
    char *name;
    char *help;
    struct metric *first;
    struct metric **last;
};

struct metrics {
    struct family *first;
    struct family **last;
    struct metric lost; /* given out when memory is short; never printed */
};

struct metrics *metrics_new(void)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics) {
        metrics->last = &metrics->first;
    }
    return metrics;
}

static void metric_free(struct metric *metric)
{
    free(metric->labels);
    free(metric->counts);
    free(metric);
}

static void family_free(struct family *family)
{
    for (struct metric *m = family->first; m;) {
        struct metric *next = m->next;
        metric_free(m);
        m = next;
    }
    free(family->name);
    free(family->help);
    free(family);
}

void metrics_free(struct metrics *metrics)
{
    if (!metrics) {
        return;
    }
    for (struct family *f = metrics->first; f;) {
        struct family *next = f->next;
        family_free(f);
        f = next;
    }
    free(metrics);
}

static struct family *family_get(struct metrics *metrics, enum metric_type type,
                                 const char *name, const char *help)
{
    for (struct family *f = metrics->first; f; f = f->next) {
        if (strcmp(f->name, name) == 0) {
            assert(f->type == type);
            return f;
        }
    }
    struct family *family = calloc(1, sizeof *family);
    if (!family) {
        return NULL;
    }
    family->type = type;
    family->name = strdup(name);
    family->help = strdup(help ? help : "");
    family->last = &family->first;
    if (!family->name || !family->help) {
        family_free(family);
        return NULL;
    }
    *metrics->last = family;
    metrics->last = &family->next;
    return family;
}

struct metric *metric_get(struct metrics *metrics, enum metric_type type,
                          const char *name, const char *labels,
                          const char *help)
{
    labels = labels ? labels : "";
    struct family *family = family_get(metrics, type, name, help);
    if (!family) {
        return &metrics->lost;
    }
    for (struct metric *m = family->first; m; m = m->next) {
        if (strcmp(m->labels, labels) == 0) {
            return m;
        }
    }
    struct metric *metric = calloc(1, sizeof *metric);
    if (!metric) {
        return &metrics->lost;
    }
    metric->labels = strdup(labels);
    if (has_buckets(type)) {
        metric->counts = calloc(BUCKETS + 1, sizeof *metric->counts);
        metric->ends = ends_of(type);
    }
    if (!metric->labels || (has_buckets(type) && !metric->counts)) {
        metric_free(metric);
        return &metrics->lost;
    }
    *family->last = metric;
    family->last = &metric->next;
    return metric;
}

void metric_add(struct metric *metric, double value)
{
    metric->value += value;
}

void metric_set(struct metric *metric, double value)
{
    metric->value = value;
}

void metric_observe(struct metric *metric, double seconds)
{
    metric->value += seconds;
    if (!metric->counts) {
        return;
    }
    size_t bucket = 0;
    while (bucket < BUCKETS && seconds > metric->ends[bucket]) {
        bucket++;
    }
    metric->counts[bucket]++;
}

double metric_value(const struct metric *metric)
{
    return metric->value;
}

static void add_value(struct buf *out, double value)
{
    if (isnan(value)) {
        buf_add_text(out, "NaN");
    } else if (isinf(value)) {
        buf_add_text(out, value > 0 ? "+Inf" : "-Inf");
    } else {
        buf_add_double(out, value);
    }
    buf_add_char(out, '\n');
}

static void write_name(struct buf *out, const struct family *family,
                       const char *ending, const char *labels)
{
    buf_add_text(out, family->name);
    buf_add_text(out, ending);
    if (*labels) {
        buf_add_char(out, '{');
        buf_add_text(out, labels);
        buf_add_char(out, '}');
    }
    buf_add_char(out, ' ');
}

static void write_histogram(struct buf *out, const struct family *family,
                            const struct metric *metric)
{
    uint64_t sum = 0;
    for (size_t i = 0; i <= BUCKETS; i++) {
        sum += metric->counts[i];
        buf_add_text(out, family->name);
        buf_add_text(out, "_bucket{");
        if (*metric->labels) {
            buf_add_text(out, metric->labels);
            buf_add_char(out, ',');
        }
        buf_add_text(out, "le=\"");
        if (i < BUCKETS) {
            buf_add_double(out, metric->ends[i]);
        } else {
            buf_add_text(out, "+Inf");
        }
        buf_printf(out, "\"} %llu\n", (unsigned long long)sum);
    }
    write_name(out, family, "_sum", metric->labels);
    add_value(out, metric->value);
    write_name(out, family, "_count", metric->labels);
    buf_printf(out, "%llu\n", (unsigned long long)sum);
}

void metric_label_add(struct buf *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c == '\\' || *c == '"' || *c == '\n') {
            buf_add_char(out, '\\');
        }
        buf_add_char(out, (char)(*c == '\n' ? 'n' : *c));
    }
}

/** Help texts are one line; a backslash or line break is written escaped. */
static void write_help(struct buf *out, const struct family *family)
{
    static const char *const types[] = {
        [METRIC_COUNTER] = "counter",
        [METRIC_GAUGE] = "gauge",
        [METRIC_HISTOGRAM] = "histogram",
        [METRIC_HISTOGRAM_MINUTES] = "histogram",
    };
    buf_printf(out, "# HELP %s ", family->name);
    for (const char *c = family->help; *c; c++) {
        if (*c == '\\' || *c == '\n') {
            buf_add_text(out, *c == '\n' ? "\\n" : "\\\\");
        } else {
            buf_add_char(out, *c);
        }
    }
    buf_printf(out, "\n# TYPE %s %s\n", family->name, types[family->type]);
}

void metrics_write(const struct metrics *metrics, struct buf *out)
{
    for (const struct family *f = metrics->first; f; f = f->next) {
        write_help(out, f);
        for (const struct metric *m = f->first; m; m = m->next) {
            if (has_buckets(f->type)) {
                write_histogram(out, f, m);
            } else {
                write_name(out, f, "", m->labels);
                add_value(out, m->value);
            }
        }
    }
}
