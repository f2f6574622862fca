#include "core/login.h"
#include "lib/check.h"

/* What librdkafka 2.0.2 and 2.8.0 said of a real Kafka's listeners. */

static void check_step(const char *words, const char *name, bool lasting)
{
    const struct login_step step = login_step_of(str_of(words));
    assert_string_equal(step.name ? step.name : "", name);
    assert_int_equal(step.lasting, lasting);
    assert_int_equal(step.advice != NULL, name[0] != '\0');
}

TEST_CASE(login_step_of__what_librdkafka_says__is_a_step)
{
    check_step("sasl_ssl://nowhere:9093/bootstrap: Failed to resolve "
               "'nowhere:9093': Name or service not known (after 2ms in state "
               "CONNECT)",
               "name resolution", false);
    check_step("sasl_ssl://127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 "
               "failed: Connection refused (after 0ms in state CONNECT)",
               "TCP connection", false);
    check_step("ssl://10.0.0.1:9093/bootstrap: Connection setup timed out in "
               "state CONNECT (after 30028ms in state CONNECT)",
               "TCP connection", false);
    check_step(
        "ssl://127.0.0.1:9092/bootstrap: SSL handshake failed: "
        "Disconnected: connecting to a PLAINTEXT broker listener? (after "
        "1ms in state SSL_HANDSHAKE)",
        "TLS handshake", true);
    check_step("sasl_ssl://127.0.0.1:20245/bootstrap: SSL handshake failed: "
               "error:0A000126:SSL routines::unexpected eof while reading "
               "(after 0ms in state SSL_HANDSHAKE)",
               "TLS handshake", true);
    check_step("ssl://127.0.0.1:9092/bootstrap: Connection setup timed out in "
               "state SSL_HANDSHAKE (after 29ms in state SSL_HANDSHAKE)",
               "TLS handshake", false);
    check_step("ssl://127.0.0.1:9093/bootstrap: SSL handshake failed: "
               "error:0A00010B:SSL routines::wrong version number (after 1ms)",
               "TLS handshake", true);
    check_step("ssl://127.0.0.1:9093/bootstrap: SSL handshake failed: "
               "error:0A000086:SSL routines::certificate verify failed: broker "
               "certificate could not be verified, verify that ssl.ca.location "
               "is correctly configured (after 4ms in state SSL_HANDSHAKE)",
               "broker's certificate", true);
    check_step("ssl://localhost:9093/bootstrap: SSL handshake failed: "
               "error:0A000086:SSL routines::certificate verify failed "
               "(hostname mismatch)",
               "broker's certificate", true);
    check_step("ssl://127.0.0.1:9093/bootstrap: Receive failed: SSL transport "
               "error: error:0A00045C:SSL routines::tlsv13 alert certificate "
               "required: SSL alert number 116 (after 1ms in state "
               "APIVERSION_QUERY)",
               "client certificate", true);
    check_step("127.0.0.1:9093/bootstrap: Disconnected while requesting "
               "ApiVersion: might be caused by incorrect security.protocol "
               "configuration (connecting to a SSL listener?)",
               "security protocol", true);
    check_step(
        "sasl_ssl://127.0.0.1:9093/bootstrap: SASL SCRAM-SHA-512 "
        "mechanism handshake failed: Broker: Unsupported SASL mechanism: "
        "broker's supported mechanisms: PLAIN (after 1ms in state "
        "AUTH_HANDSHAKE)",
        "SASL mechanism", true);
    check_step(
        "sasl_ssl://127.0.0.1:9093/bootstrap: SASL authentication error: "
        "Authentication failed during authentication due to invalid "
        "credentials with SASL mechanism SCRAM-SHA-256 (after 312ms in "
        "state AUTH_REQ)",
        "credentials", true);
    check_step("Failed to acquire SASL OAUTHBEARER token: /token can't be read",
               "token", true);
    check_step(
        "sasl_ssl://127.0.0.1:9093/bootstrap: SASL authentication error: "
        "{\"status\":\"invalid_token\"} (after 1ms in state AUTH_REQ)",
        "credentials", true);
    check_step("Broker: Topic authorization failed", "authorisation", true);
    check_step("no broker has given the producer an id", "", false);
    check_step("", "", false);
}

TEST_CASE(login_step_of__an_old_librdkafkas_scram__is_named)
{
    const struct login_step step = login_step_of(
        STR("SASL authentication error: Authentication failed during "
            "authentication due to invalid credentials with SASL mechanism "
            "SCRAM-SHA-512"));
    assert_non_null(strstr(step.advice, "2.6.1"));
    assert_non_null(strstr(step.advice, "KAFKA_CONF_SASL_PASSWORD_FILE"));
}

TEST_CASE(login_step_of__a_token_and_a_password__want_other_advice)
{
    assert_non_null(strstr(login_step_of(STR("SASL authentication error: "
                                             "{\"status\":\"invalid_token\"}"))
                               .advice,
                           "token"));
    assert_non_null(
        strstr(login_step_of(STR("SASL authentication error: Authentication "
                                 "failed: Invalid username or password"))
                   .advice,
               "password"));
}

TESTS_RUN(NULL, NULL)
