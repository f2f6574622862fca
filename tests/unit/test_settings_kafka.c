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

/* ---- logins ---- */

struct judged {
    struct buf faults;
    struct buf warnings;
};

static struct judged judge(const struct settings_property *properties,
                           size_t len)
{
    struct judged got;
    buf_init(&got.faults, 0);
    buf_init(&got.warnings, 0);
    settings_kafka_judge(properties, len, &got.faults, &got.warnings);
    return got;
}

#define JUDGE(...)                                                             \
    judge((const struct settings_property[]){__VA_ARGS__},                     \
          sizeof((const struct settings_property[]){__VA_ARGS__}) /            \
              sizeof(struct settings_property))

/** Faults and warnings name it; null: there are none. No value is in them. */
static void check_told(struct judged got, const char *fault,
                       const char *warning)
{
    const char *texts[] = {got.faults.bytes, got.warnings.bytes};
    const char *wants[] = {fault, warning};
    for (size_t i = 0; i < 2; i++) {
        if (!wants[i]) {
            assert_string_equal(texts[i] ? texts[i] : "", "");
            continue;
        }
        assert_non_null(texts[i]);
        if (!strstr(texts[i], wants[i])) {
            fail_msg("\"%s\" lacks \"%s\"", texts[i], wants[i]);
        }
        assert_null(strstr(texts[i], "CANARY"));
    }
    buf_done(&got.faults);
    buf_done(&got.warnings);
}

#define USER                                                                   \
    {                                                                          \
        "sasl.username", "CANARY"                                              \
    }
#define PASSWORD                                                               \
    {                                                                          \
        "sasl.password", "CANARY"                                              \
    }
#define SASL_SSL                                                               \
    {                                                                          \
        "security.protocol", "SASL_SSL"                                        \
    }
#define TOKENS                                                                 \
    {                                                                          \
        SETTINGS_TOKENS_PROPERTY, "file:///CANARY"                             \
    }

TEST_CASE(settings_kafka_judge__a_whole_login__is_taken)
{
    check_told(judge(NULL, 0), NULL, NULL);
    check_told(JUDGE({"client.id", "x"}), NULL, NULL);
    check_told(JUDGE(SASL_SSL, {"sasl.mechanism", "PLAIN"}, USER, PASSWORD),
               NULL, NULL);
    check_told(JUDGE({"security.protocol", "sasl_ssl"},
                     {"sasl.mechanisms", "SCRAM-SHA-512"}, USER, PASSWORD),
               NULL, NULL);
    check_told(JUDGE({"security.protocol", "ssl"}, {"ssl.ca.location", "/a"},
                     {"ssl.certificate.location", "/b"},
                     {"ssl.key.location", "/c"}),
               NULL, NULL);
    check_told(JUDGE({"security.protocol", "ssl"}, {"ssl.key.pem", "CANARY"},
                     {"ssl.certificate.pem", "CANARY"}),
               NULL, NULL);
    check_told(JUDGE(SASL_SSL, {"sasl.mechanism", "GSSAPI"}), NULL, NULL);
    check_told(JUDGE(SASL_SSL, TOKENS, {"sasl.mechanism", "OAUTHBEARER"}), NULL,
               NULL);
    check_told(JUDGE(SASL_SSL, {"sasl.mechanism", "OAUTHBEARER"},
                     {"sasl.oauthbearer.method", "oidc"}),
               NULL, NULL);
}

TEST_CASE(settings_kafka_judge__half_a_login__is_named)
{
    check_told(JUDGE({"security.protocol", "SASL"}),
               "KAFKA_CONF_SECURITY_PROTOCOL: is none of the words", NULL);
    check_told(JUDGE(USER), "KAFKA_CONF_SASL_USERNAME: is set, and", NULL);
    check_told(JUDGE({"security.protocol", "SSL"}, PASSWORD),
               "KAFKA_CONF_SASL_PASSWORD: is set, and", NULL);
    check_told(JUDGE(TOKENS, {"security.protocol", "SSL"},
                     {"sasl.mechanism", "OAUTHBEARER"}),
               "KAFKA_CONF_SASL_MECHANISM: is set, and", NULL);
    check_told(JUDGE({"ssl.ca.location", "/ca"}),
               "KAFKA_CONF_SSL_CA_LOCATION: is set, and", NULL);
    check_told(JUDGE(SASL_SSL), "KAFKA_CONF_SASL_MECHANISM: is not set", NULL);
    check_told(JUDGE(SASL_SSL, {"sasl.mechanism", "scram-sha-256"}),
               "KAFKA_CONF_SASL_MECHANISM: is none of the mechanisms", NULL);
    check_told(JUDGE(SASL_SSL, {"sasl.mechanism", "AWS_MSK_IAM"}),
               "KAFKA_TOKENS_FROM=aws-msk-iam", NULL);
    check_told(JUDGE(SASL_SSL, {"sasl.mechanism", "PLAIN"}, PASSWORD),
               "KAFKA_CONF_SASL_USERNAME: is not set", NULL);
    check_told(JUDGE(SASL_SSL, {"sasl.mechanism", "SCRAM-SHA-256"}, USER),
               "KAFKA_CONF_SASL_PASSWORD: is not set", NULL);
    check_told(JUDGE(SASL_SSL, {"sasl.mechanism", "OAUTHBEARER"}),
               "KAFKA_TOKENS_FROM: is not set", NULL);
    check_told(JUDGE(SASL_SSL, TOKENS, {"sasl.mechanism", "OAUTHBEARER"},
                     {"sasl.oauthbearer.method", "OIDC"}),
               "KAFKA_TOKENS_FROM: is set, and", NULL);
    check_told(JUDGE(SASL_SSL, TOKENS, {"sasl.mechanism", "PLAIN"}),
               "KAFKA_CONF_SASL_MECHANISM: takes no tokens", NULL);
    check_told(JUDGE({"security.protocol", "SSL"}, {"ssl.key.location", "/k"}),
               "KAFKA_CONF_SSL_CERTIFICATE_LOCATION: is not set", NULL);
    check_told(
        JUDGE({"security.protocol", "SSL"}, {"ssl.certificate.pem", "CANARY"}),
        "KAFKA_CONF_SSL_KEY_LOCATION: is not set", NULL);
}

TEST_CASE(settings_kafka_judge__less_guarded_than_it_seems__is_warned_of)
{
    check_told(JUDGE({"security.protocol", "SASL_PLAINTEXT"},
                     {"sasl.mechanism", "PLAIN"}, USER, PASSWORD),
               NULL, "travels in clear");
    check_told(JUDGE({"security.protocol", "SASL_PLAINTEXT"},
                     {"sasl.mechanism", "SCRAM-SHA-256"}, USER, PASSWORD),
               NULL, NULL);
    check_told(JUDGE({"security.protocol", "SSL"},
                     {"enable.ssl.certificate.verification", "false"}),
               NULL, "KAFKA_CONF_ENABLE_SSL_CERTIFICATE_VERIFICATION: anybody");
    check_told(JUDGE({"security.protocol", "SSL"},
                     {"ssl.endpoint.identification.algorithm", "none"}),
               NULL, "any certificate of the CA");
}

TEST_CASE(settings_kafka_tokens__a_source__brings_what_it_needs)
{
    struct settings_property properties[5] = {{"client.id", "x"}};
    assert_int_equal(settings_kafka_tokens(properties, 1, ""), 1);
    assert_int_equal(settings_kafka_tokens(properties, 1, "aws-msk-iam"), 4);
    check_told(judge(properties, 4), NULL, NULL);
    properties[0] =
        (struct settings_property){"security.protocol", "SASL_PLAINTEXT"};
    properties[1] =
        (struct settings_property){"sasl.mechanisms", "OAUTHBEARER"};
    assert_int_equal(settings_kafka_tokens(properties, 2, "aws-msk-iam"), 3);
    check_told(judge(properties, 3), NULL, "in clear");
}

TEST_CASE(settings_kafka_name__a_property__is_its_setting)
{
    char name[128];
    settings_kafka_name("a_b.c1", name, sizeof name);
    assert_string_equal(name, "KAFKA_CONF_A__B_C1");
    settings_kafka_name(SETTINGS_TOKENS_PROPERTY, name, sizeof name);
    assert_string_equal(name, "KAFKA_TOKENS_FROM");
}

TEST_CASE(settings_kafka_check__javas_names__lead_to_ours)
{
    assert_false(may("sasl.jaas.config", "CANARY"));
    assert_false(may("ssl.truststore.location", "/a.jks"));
}

TESTS_RUN(NULL, NULL)
