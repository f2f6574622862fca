#include "core/login.h"

#include <stddef.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* clang-format off */

#define STEP(id, text, what, stays) \
    static const struct login_step id = \
        {.name = (text), .advice = (what), .lasting = (stays)};

STEP(resolve, "name resolution",
     "correct the name in KAFKA_BROKERS, or what the broker advertises "
     "(advertised.listeners): this machine must be able to resolve both", false)
STEP(connecting, "TCP connection",
     "nothing listens there, or something on the way drops it: look at the "
     "port in KAFKA_BROKERS, at advertised.listeners, firewalls and network "
     "policies", false)
STEP(no_tls, "TLS handshake",
     "that listener seems to speak without TLS: another port, or "
     "KAFKA_CONF_SECURITY_PROTOCOL without SSL", true)
STEP(not_ours, "security protocol",
     "the listener wants another KAFKA_CONF_SECURITY_PROTOCOL: SSL or SASL_SSL "
     "where it speaks TLS, SASL_… where it wants a login", true)
STEP(own_certificate, "client certificate",
     "the broker wants one, or doesn't trust this one: "
     "KAFKA_CONF_SSL_CERTIFICATE_LOCATION and KAFKA_CONF_SSL_KEY_LOCATION, "
     "issued by a CA in the broker's truststore", true)
STEP(name_of_certificate, "broker's certificate",
     "it is issued for another name: use one of its names in KAFKA_BROKERS and "
     "advertised.listeners, or have it issued for this one", true)
STEP(certificate, "broker's certificate",
     "KAFKA_CONF_SSL_CA_LOCATION must be the CA that issued it (PEM), and it "
     "must not have expired", true)
STEP(handshake, "TLS handshake",
     "the broker and this machine agree on no TLS: look at the broker's log, "
     "ssl.enabled.protocols and ssl.cipher.suites", true)
STEP(slow_handshake, "TLS handshake",
     "the connection stands, but no TLS answer comes: another port, a proxy on "
     "the way, or an overloaded broker", false)
STEP(mechanism, "SASL mechanism",
     "set KAFKA_CONF_SASL_MECHANISM to one that the broker offers on this "
     "listener (sasl.enabled.mechanisms)", true)
STEP(token, "token",
     "nothing was sent to Kafka: see to the source that KAFKA_TOKENS_FROM "
     "names", true)
STEP(bearer, "credentials",
     "the broker refuses the token: its issuer, audience and end must be what "
     "the listener's sasl.oauthbearer.* expects (MSK: kafka-cluster:Connect "
     "allowed, the cluster's region, this machine's clock right)", true)
STEP(credentials, "credentials",
     "the broker refuses them: user and password "
     "(KAFKA_CONF_SASL_USERNAME, KAFKA_CONF_SASL_PASSWORD_FILE)", true)
STEP(scram, "credentials",
     "the broker refuses them: user and password "
     "(KAFKA_CONF_SASL_USERNAME, KAFKA_CONF_SASL_PASSWORD_FILE), and the user "
     "must have this very mechanism's. With librdkafka before 2.6.1 (Debian "
     "12; pixverse-worker version tells) no password is right for Kafka 4: its "
     "SCRAM is at fault, and PLAIN, certificates, tokens or Debian 13 work",
     true)
STEP(rights, "authorisation",
     "the login is good, but this user lacks the right: kafka-acls.sh --add "
     "--allow-principal User:NAME (a worker needs READ on the request topic "
     "and its group, WRITE and DESCRIBE on the others)", true)

/* The first that fits counts. */
static const struct {
    const char *words;
    const struct login_step *step;
} signs[] = {
    {"Failed to acquire SASL OAUTHBEARER token", &token},
    {"mechanism handshake failed", &mechanism},
    {"Unsupported SASL mechanism", &mechanism},
    {"with SASL mechanism SCRAM", &scram},
    {"invalid_token", &bearer},
    {"OAUTHBEARER authentication failed", &bearer},
    {"mechanism OAUTHBEARER", &bearer},
    {"SASL authentication", &credentials},
    {"SASL Authentication", &credentials},
    {"Authentication failed", &credentials},
    {"in state AUTH", &credentials},
    {"authorization failed", &rights},
    {"Failed to resolve", &resolve},
    {"Host resolution failure", &resolve},
    {"connecting to a PLAINTEXT broker", &no_tls},
    {"wrong version number", &no_tls},
    {"unexpected eof while reading", &no_tls},
    {"hostname mismatch", &name_of_certificate},
    {"IP address mismatch", &name_of_certificate},
    {"certificate required", &own_certificate},
    {"client SSL authentication might be required", &own_certificate},
    {"alert unknown ca", &own_certificate},
    {"alert bad certificate", &own_certificate},
    {"alert certificate", &own_certificate},
    {"alert handshake failure", &handshake},
    {"certificate verify failed", &certificate},
    {"certificate could not be verified", &certificate},
    {"Failed to verify broker certificate", &certificate},
    {"did not provide a certificate", &certificate},
    {"timed out in state SSL_HANDSHAKE", &slow_handshake},
    {"SSL handshake failed", &handshake},
    {"connecting to a SSL listener", &not_ours},
    {"might require SASL authentication", &not_ours},
    {"while requesting ApiVersion", &not_ours},
    {"in state APIVERSION_QUERY", &not_ours},
    {"timed out in state CONNECT", &connecting},
    {"in state CONNECT", &connecting},
    {"Connect to ", &connecting},
};

/* clang-format on */

struct login_step login_step_of(struct str words)
{
    for (size_t i = 0; i < COUNT(signs); i++) {
        if (str_find_nocase(words, str_of(signs[i].words)) >= 0) {
            return *signs[i].step;
        }
    }
    return (struct login_step){0};
}
