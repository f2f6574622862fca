#include <string.h>

#include "lib/check.h"
#include "base/metric.h"

TEST_CASE(metrics_write__all_types__is_the_prometheus_text)
{
    struct metrics *metrics = metrics_new();
    struct metric *a =
        metric_get(metrics, METRIC_GAUGE, "tasks", "state=\"a\"", "By\nstate.");
    struct metric *b = metric_get(metrics, METRIC_COUNTER, "sends", NULL, "S.");
    struct metric *c =
        metric_get(metrics, METRIC_GAUGE, "tasks", "state=\"b\"", "By\nstate.");
    assert_ptr_equal(a, metric_get(metrics, METRIC_GAUGE, "tasks",
                                   "state=\"a\"", "other words"));
    metric_set(a, 2.5);
    metric_add(b, 1);
    metric_add(b, 2);
    metric_set(c, -1);
    assert_true(metric_value(b) == 3);
    struct buf out;
    buf_init(&out, 0);
    metrics_write(metrics, &out);
    assert_string_equal(out.bytes, "# HELP tasks By\\nstate.\n"
                                   "# TYPE tasks gauge\n"
                                   "tasks{state=\"a\"} 2.5\n"
                                   "tasks{state=\"b\"} -1\n"
                                   "# HELP sends S.\n"
                                   "# TYPE sends counter\n"
                                   "sends 3\n");
    buf_done(&out);
    metrics_free(metrics);
    metrics_free(NULL);
}

TEST_CASE(metric_observe__values__land_in_growing_buckets)
{
    struct metrics *metrics = metrics_new();
    struct metric *h =
        metric_get(metrics, METRIC_HISTOGRAM, "wait", "a=\"b\"", "W.");
    metric_observe(h, 0.001);
    metric_observe(h, 0.5);
    metric_observe(h, 100000);
    struct buf out;
    buf_init(&out, 0);
    metrics_write(metrics, &out);
    assert_non_null(strstr(out.bytes, "wait_bucket{a=\"b\",le=\"0.001\"} 1\n"));
    assert_non_null(strstr(out.bytes, "wait_bucket{a=\"b\",le=\"0.25\"} 1\n"));
    assert_non_null(strstr(out.bytes, "wait_bucket{a=\"b\",le=\"0.5\"} 2\n"));
    assert_non_null(strstr(out.bytes, "wait_bucket{a=\"b\",le=\"60\"} 2\n"));
    assert_non_null(strstr(out.bytes, "wait_bucket{a=\"b\",le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(out.bytes, "wait_sum{a=\"b\"} 100000.501\n"));
    assert_non_null(strstr(out.bytes, "wait_count{a=\"b\"} 3\n"));
    buf_done(&out);
    metrics_free(metrics);
}

TEST_CASE(metric_observe__minutes__have_buckets_up_to_a_day)
{
    struct metrics *metrics = metrics_new();
    struct metric *h =
        metric_get(metrics, METRIC_HISTOGRAM_MINUTES, "job", NULL, "J.");
    metric_observe(h, 1);
    metric_observe(h, 91);
    metric_observe(h, 86400);
    struct buf out;
    buf_init(&out, 0);
    metrics_write(metrics, &out);
    assert_non_null(strstr(out.bytes, "# TYPE job histogram\n"));
    assert_non_null(strstr(out.bytes, "job_bucket{le=\"1\"} 1\n"));
    assert_non_null(strstr(out.bytes, "job_bucket{le=\"90\"} 1\n"));
    assert_non_null(strstr(out.bytes, "job_bucket{le=\"120\"} 2\n"));
    assert_non_null(strstr(out.bytes, "job_bucket{le=\"86400\"} 3\n"));
    buf_done(&out);
    metrics_free(metrics);
}

TEST_CASE(metric_label_add__quotes_and_breaks__are_escaped)
{
    struct buf out;
    buf_init(&out, 0);
    metric_label_add(&out, "a\"b\\c\nd");
    assert_string_equal(out.bytes, "a\\\"b\\\\c\\nd");
    buf_done(&out);
}

TESTS_RUN(NULL, NULL)
