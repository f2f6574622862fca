#include "base/settings_kafka.h"
#include "lib/check.h"

static bool may(const char *name, const char *value)
{
    const struct setting_verdict verdict =
        settings_kafka_check(str_of(name), str_of(value), STR("pod-7"));
    if (verdict.fault) {
        assert_non_null(verdict.allowed); /* a fault says what would do */
    }
    return !verdict.fault;
}

TEST_CASE(settings_kafka_check__what_a_promise_needs__stays)
{
    assert_false(may("bootstrap.servers", "elsewhere:9092"));
    assert_false(may("group.id", "mine"));
    assert_false(may("enable.auto.offset.store", "true"));
    assert_true(may("enable.auto.offset.store", "false"));
    assert_true(may("enable.auto.offset.store", "FALSE"));
    assert_false(may("auto.offset.reset", "latest"));
    assert_true(may("auto.offset.reset", "smallest"));
    assert_false(may("auto.offset.reset", "small")); /* a part of a word */
    assert_false(may("auto.offset.reset", ""));      /* none of them */
    assert_false(may("acks", "1"));
    assert_true(may("acks", "-1"));
    assert_false(may("transactional.id", "x"));
}

TEST_CASE(settings_kafka_check__all_else__is_free)
{
    assert_true(may("security.protocol", "sasl_ssl"));
    assert_true(may("sasl.password", "anything"));
    assert_true(may("group.ids", "mine")); /* librdkafka will know */
    assert_true(may("", ""));
}

TEST_CASE(settings_kafka_check__one_text_for_all__names_no_member)
{
    assert_true(may("group.instance.id", "worker-pod-7"));
    assert_false(may("group.instance.id", "worker"));
    assert_non_null(
        settings_kafka_check(STR("group.instance.id"), STR("worker"), STR(""))
            .fault);
}

TESTS_RUN(NULL, NULL)
