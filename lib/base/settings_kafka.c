#include "base/settings_kafka.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct row {
    const char *name;
    const char *values; /* allowed, a space between two; null: none */
    const char *fault;
    const char *allowed;
};

/* clang-format off */
static const struct row rows[] = {
    {"bootstrap.servers", NULL, "has a setting of its own", "KAFKA_BROKERS"},
    {"metadata.broker.list", NULL, "has a setting of its own",
     "KAFKA_BROKERS"},
    {"group.id", NULL, "has a setting of its own", "KAFKA_GROUP"},
    {"enable.auto.offset.store", "false",
     "would pass requests that are not stored", "false, or unset"},
    {"enable.auto.commit", "true",
     "would have every request read again and again", "true, or unset"},
    {"auto.commit.enable", "true",
     "would have every request read again and again", "true, or unset"},
    {"offset.store.method", "broker",
     "would leave this machine alone to know what was read",
     "broker, or unset"},
    {"auto.offset.reset", "earliest smallest beginning",
     "would pass requests that nobody has read", "earliest, or unset"},
    {"isolation.level", "read_committed",
     "would buy for requests whose transaction was taken back",
     "read_committed, or unset"},
    {"group.protocol", NULL, "is not supported", "unset"},
    {"partition.assignment.strategy", "range,roundrobin",
     "can't join the workers of a running fleet",
     "range,roundrobin, or unset"},
    {"enable.partition.eof", "false", "is of no use here", "false, or unset"},
    {"statistics.interval.ms", "1000",
     "would take lag and readiness from the probes", "1000, or unset"},
    {"enable.idempotence", "true", "could tell an end twice or in disorder",
     "true, or unset"},
    {"acks", "all -1", "could lose an end that was called told",
     "all, or unset"},
    {"request.required.acks", "all -1",
     "could lose an end that was called told", "all, or unset"},
    {"transactional.id", NULL, "is not supported: events need none", "unset"},
    {"enable.gapless.guarantee", "false",
     "would end the producer for one message that is late",
     "false, or unset"},
    {"sasl.jaas.config", NULL, "is for Java's clients",
     "KAFKA_CONF_SASL_MECHANISM, KAFKA_CONF_SASL_USERNAME and "
     "KAFKA_CONF_SASL_PASSWORD_FILE"},
    {"sasl.client.callback.handler.class", NULL, "is for Java's clients",
     "KAFKA_TOKENS_FROM, or KAFKA_CONF_SASL_OAUTHBEARER_METHOD=oidc"},
    {"sasl.login.callback.handler.class", NULL, "is for Java's clients",
     "KAFKA_TOKENS_FROM, or KAFKA_CONF_SASL_OAUTHBEARER_METHOD=oidc"},
    {"ssl.truststore.location", NULL, "is for Java's clients",
     "KAFKA_CONF_SSL_CA_LOCATION, a PEM file"},
    {"ssl.truststore.password", NULL, "is for Java's clients",
     "KAFKA_CONF_SSL_CA_LOCATION, a PEM file, which needs none"},
    {"ssl.keystore.type", NULL, "is for Java's clients",
     "KAFKA_CONF_SSL_CERTIFICATE_LOCATION and KAFKA_CONF_SSL_KEY_LOCATION (PEM), "
     "or KAFKA_CONF_SSL_KEYSTORE_LOCATION (PKCS#12)"},
    {"partitioner", "murmur2_random",
     "would put a request's ends where Java's clients don't look for them",
     "murmur2_random, or unset"},
};
/* clang-format on */

static bool is_one_of(const char *values, struct str value)
{
    while (values && *values) {
        size_t len = strcspn(values, " ");
        if (str_eq_nocase(value, (struct str){values, len})) {
            return true;
        }
        values += len + strspn(values + len, " ");
    }
    return false;
}

struct setting_verdict settings_kafka_check(struct str name, struct str value,
                                            struct str host)
{
    if (str_eq(name, STR("group.instance.id")) &&
        (host.len == 0 || str_find_nocase(value, host) < 0)) {
        return (struct setting_verdict){
            .fault = "is the same for all workers, who would push each other "
                     "out of the group",
            .allowed = "a text that holds the name of the worker's host (its "
                       "pod's or container's), or unset",
        };
    }
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (str_eq(name, str_of(rows[i].name)) &&
            !is_one_of(rows[i].values, value)) {
            return (struct setting_verdict){.fault = rows[i].fault,
                                            .allowed = rows[i].allowed};
        }
    }
    return (struct setting_verdict){0};
}

/* ---- logins ---- */

static const char tokens_setting[] = "KAFKA_TOKENS_FROM";

/** The properties of one reading. */
struct login {
    const struct settings_property *properties;
    size_t len;
    struct buf *faults;
    struct buf *warnings;
};

void settings_kafka_name(const char *property, char *out, size_t out_bytes)
{
    if (strcmp(property, SETTINGS_TOKENS_PROPERTY) == 0) {
        snprintf(out, out_bytes, "%s", tokens_setting);
        return;
    }
    struct buf text;
    buf_init(&text, 0);
    buf_add_text(&text, "KAFKA_CONF_");
    for (const char *c = property; *c; c++) {
        if (*c == '_') {
            buf_add_text(&text, "__");
        } else {
            buf_add_char(&text, *c == '.'                ? '_'
                                : *c >= 'a' && *c <= 'z' ? (char)(*c & ~0x20)
                                                         : *c);
        }
    }
    snprintf(out, out_bytes, "%s", text.bytes ? text.bytes : property);
    buf_done(&text);
}

/** Its value; null: it isn't set. */
static const char *value_of(const struct login *login, const char *name)
{
    for (size_t i = 0; i < login->len; i++) {
        if (strcmp(login->properties[i].name, name) == 0) {
            return login->properties[i].value;
        }
    }
    return NULL;
}

static bool is_set(const struct login *login, const char *name)
{
    return value_of(login, name) != NULL;
}

/** librdkafka's two names of one. */
static const char *mechanism_of(const struct login *login)
{
    const char *value = value_of(login, "sasl.mechanism");
    return value ? value : value_of(login, "sasl.mechanisms");
}

static bool says(const char *value, const char *word)
{
    return value && str_eq_nocase(str_of(value), str_of(word));
}

/** "NAME: TEXT" */
static void tell(struct buf *out, const char *property, const char *text)
{
    char name[128];
    settings_kafka_name(property, name, sizeof name);
    buf_printf(out, "%s: %s\n", name, text);
}

/** What was set for a login or for TLS, and comes to nothing. */
static void judge_idle(const struct login *login, const char *start,
                       const char *text)
{
    for (size_t i = 0; i < login->len; i++) {
        if (str_starts(str_of(login->properties[i].name), str_of(start))) {
            tell(login->faults, login->properties[i].name, text);
        }
    }
}

static void judge_password(const struct login *login)
{
    static const char *const needed[] = {"sasl.username", "sasl.password"};
    for (size_t i = 0; i < COUNT(needed); i++) {
        if (!is_set(login, needed[i])) {
            tell(login->faults, needed[i],
                 "is not set, and the mechanism logs in with it, allowed: the "
                 "user's (the password's best by ..._FILE)");
        }
    }
}

/** One source of tokens, and not two. */
static void judge_tokens(const struct login *login)
{
    const bool ours = is_set(login, SETTINGS_TOKENS_PROPERTY);
    const bool oidc = says(value_of(login, "sasl.oauthbearer.method"), "oidc");
    const bool unsecured =
        says(value_of(login, "enable.sasl.oauthbearer.unsecure.jwt"), "true");
    if (!ours && !oidc && !unsecured) {
        tell(login->faults, SETTINGS_TOKENS_PROPERTY,
             "is not set, and OAUTHBEARER needs tokens, allowed: file:///path, "
             "aws-msk-iam, or KAFKA_CONF_SASL_OAUTHBEARER_METHOD=oidc with "
             "what it needs");
    } else if (ours && (oidc || unsecured ||
                        is_set(login, "sasl.oauthbearer.config"))) {
        tell(login->faults, SETTINGS_TOKENS_PROPERTY,
             "is set, and KAFKA_CONF_SASL_OAUTHBEARER_* names another source, "
             "allowed: one of them");
    }
}

static void judge_mechanism(const struct login *login)
{
    const char *mechanism = mechanism_of(login);
    const bool ours = is_set(login, SETTINGS_TOKENS_PROPERTY);
    const bool bearer = says(mechanism, "OAUTHBEARER");
    if (!mechanism) {
        tell(login->faults, "sasl.mechanism",
             "is not set, and the protocol logs in, allowed: PLAIN, "
             "SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER, GSSAPI");
    } else if (says(mechanism, "AWS_MSK_IAM")) {
        tell(login->faults, "sasl.mechanism",
             "AWS_MSK_IAM is what Java's clients call it, allowed: unset, with "
             "KAFKA_TOKENS_FROM=aws-msk-iam");
    } else if (ours && !bearer) {
        tell(login->faults, "sasl.mechanism",
             "takes no tokens, and KAFKA_TOKENS_FROM is set, allowed: unset, "
             "or OAUTHBEARER");
    } else if (bearer) {
        judge_tokens(login);
    } else if (str_eq(str_of(mechanism), STR("PLAIN")) ||
               str_eq(str_of(mechanism), STR("SCRAM-SHA-256")) ||
               str_eq(str_of(mechanism), STR("SCRAM-SHA-512"))) {
        judge_password(login);
    } else if (!str_eq(str_of(mechanism), STR("GSSAPI"))) {
        tell(login->faults, "sasl.mechanism",
             "is none of the mechanisms (in capitals), allowed: PLAIN, "
             "SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER, GSSAPI");
    }
}

/** A client's certificate and its key go together. */
static void judge_pair(const struct login *login)
{
    const bool certificate = is_set(login, "ssl.certificate.location") ||
                             is_set(login, "ssl.certificate.pem");
    const bool key =
        is_set(login, "ssl.key.location") || is_set(login, "ssl.key.pem");
    if (certificate && !key) {
        tell(login->faults, "ssl.key.location",
             "is not set, and a certificate is, allowed: its key (PEM)");
    } else if (key && !certificate) {
        tell(login->faults, "ssl.certificate.location",
             "is not set, and a key is, allowed: its certificate (PEM)");
    }
}

static void warn(const struct login *login, bool tls)
{
    const char *mechanism = mechanism_of(login);
    if (!tls && (says(mechanism, "PLAIN") || says(mechanism, "OAUTHBEARER"))) {
        tell(login->warnings, "security.protocol",
             "without TLS the password or token travels in clear");
    }
    if (tls &&
        says(value_of(login, "enable.ssl.certificate.verification"), "false")) {
        tell(login->warnings, "enable.ssl.certificate.verification",
             "anybody may answer in the brokers' place");
    }
    if (tls && says(value_of(login, "ssl.endpoint.identification.algorithm"),
                    "none")) {
        tell(login->warnings, "ssl.endpoint.identification.algorithm",
             "whoever has any certificate of the CA may answer in the brokers' "
             "place");
    }
}

size_t settings_kafka_tokens(struct settings_property *properties, size_t len,
                             const char *tokens)
{
    const struct login login = {.properties = properties, .len = len};
    const bool mechanism = mechanism_of(&login) != NULL;
    const bool protocol = is_set(&login, "security.protocol");
    if (!tokens[0]) {
        return len;
    }
    properties[len++] =
        (struct settings_property){SETTINGS_TOKENS_PROPERTY, tokens};
    if (!mechanism) {
        properties[len++] =
            (struct settings_property){"sasl.mechanism", "OAUTHBEARER"};
    }
    if (!protocol) {
        properties[len++] =
            (struct settings_property){"security.protocol", "SASL_SSL"};
    }
    return len;
}

void settings_kafka_judge(const struct settings_property *properties,
                          size_t len, struct buf *faults, struct buf *warnings)
{
    const struct login login = {.properties = properties,
                                .len = len,
                                .faults = faults,
                                .warnings = warnings};
    const char *said = value_of(&login, "security.protocol");
    const char *protocol = said ? said : "PLAINTEXT";
    const bool sasl =
        says(protocol, "SASL_SSL") || says(protocol, "SASL_PLAINTEXT");
    const bool tls = says(protocol, "SASL_SSL") || says(protocol, "SSL");
    if (!sasl && !tls && !says(protocol, "PLAINTEXT")) {
        tell(faults, "security.protocol",
             "is none of the words, allowed: PLAINTEXT, SSL, SASL_PLAINTEXT, "
             "SASL_SSL");
        return;
    }
    if (sasl) {
        judge_mechanism(&login);
    } else {
        judge_idle(&login, "sasl.",
                   "is set, and KAFKA_CONF_SECURITY_PROTOCOL logs nobody in, "
                   "allowed: SASL_SSL there, or this unset");
    }
    if (tls) {
        judge_pair(&login);
    } else {
        judge_idle(&login, "ssl.",
                   "is set, and KAFKA_CONF_SECURITY_PROTOCOL has no TLS, "
                   "allowed: SSL or SASL_SSL there, or this unset");
    }
    warn(&login, tls);
}
