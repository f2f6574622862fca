#include "edge/properties.h"

#include "base/settings_kafka.h"
#include "edge/kafka/tokens.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static void add_fault(struct buf *faults, const char *property,
                      const char *text)
{
    char name[128];
    settings_kafka_name(property, name, sizeof name);
    buf_printf(faults, "%s: %s\n", name, text);
}

/** Some of librdkafka's sentences quote the value. */
static bool quotes(const char *text, const char *value)
{
    return !value[0] || strstr(text, value) != NULL;
}

static bool quotes_any(const char *text,
                       const struct kafka_property *properties, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const char *name = properties[i].name;
        const bool secret = strstr(name, "password") ||
                            strstr(name, "secret") || strstr(name, ".pem") ||
                            strstr(name, "oauthbearer.config");
        if (secret && quotes(text, properties[i].value)) {
            return true;
        }
    }
    return false;
}

/** What to do about a value that librdkafka refuses with that text. */
static void add_advice(const struct kafka_property *property, const char *text,
                       struct buf *line)
{
    if (!strstr(text, "not supported in this build")) {
        buf_printf(line, "what its CONFIGURATION.md says of %s",
                   property->name);
        return;
    }
    buf_add_text(line, "unset, or a librdkafka built with it (OIDC: Debian "
                       "13's is, Debian 12's isn't)");
    if (strcmp(property->name, "sasl.oauthbearer.method") == 0) {
        buf_add_text(line, "; without OIDC something else fetches the token, "
                           "and KAFKA_TOKENS_FROM=file:///path reads it");
    }
}

static bool set(rd_kafka_conf_t *conf, const struct kafka_property *property,
                struct buf *faults)
{
    char text[512] = "";
    struct buf line;
    struct err err = {0};
    if (strcmp(property->name, SETTINGS_TOKENS_PROPERTY) == 0) {
        if (!kafka_tokens_use(conf, property->value, NULL, &err)) {
            add_fault(faults, property->name, err.text);
            return false;
        }
        return true;
    }
    rd_kafka_conf_res_t end = rd_kafka_conf_set(
        conf, property->name, property->value, text, sizeof text);
    if (end == RD_KAFKA_CONF_OK) {
        return true;
    }
    buf_init(&line, 0);
    if (end == RD_KAFKA_CONF_UNKNOWN) {
        buf_printf(&line,
                   "librdkafka %s knows no property %s, allowed: those of its "
                   "CONFIGURATION.md",
                   rd_kafka_version_str(), property->name);
    } else {
        const bool tells = !quotes(text, property->value);
        buf_printf(&line,
                   "value (not shown) is not what librdkafka %s takes%s%s, "
                   "allowed: ",
                   rd_kafka_version_str(), tells ? ": " : "",
                   tells ? text : "");
        add_advice(property, text, &line);
    }
    add_fault(faults, property->name, line.bytes ? line.bytes : "no memory");
    buf_done(&line);
    return false;
}

/** A file that TLS reads when the client is made; some read none at all. */
static bool is_readable(const struct kafka_property *property,
                        struct buf *faults)
{
    static const char *const files[] = {
        "ssl.ca.location",  "ssl.certificate.location", "ssl.key.location",
        "ssl.crl.location", "ssl.keystore.location",
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (strcmp(property->name, files[i]) != 0 ||
            strcmp(property->value, "probe") == 0) {
            continue;
        }
        FILE *file = fopen(property->value, "re");
        if (!file) {
            const char *why = strerror(errno);
            const bool is_path = property->value[0] == '/';
            char line[600];
            snprintf(line, sizeof line,
                     "file %s%.300s%s can't be read (%s), allowed: the path of "
                     "a PEM file",
                     is_path ? "\"" : "",
                     is_path ? property->value : "(not shown)",
                     is_path ? "\"" : "", why);
            add_fault(faults, property->name, line);
            return false;
        }
        fclose(file);
    }
    return true;
}

static const char *value_of(const struct kafka_property *properties, size_t len,
                            const char *name)
{
    for (size_t i = 0; i < len; i++) {
        if (strcmp(properties[i].name, name) == 0) {
            return properties[i].value;
        }
    }
    return NULL;
}

/** GSSAPI's client would run kinit. */
static bool can_be_tried(const struct kafka_property *properties, size_t len)
{
    const char *mechanism = value_of(properties, len, "sasl.mechanism");
    mechanism =
        mechanism ? mechanism : value_of(properties, len, "sasl.mechanisms");
    return value_of(properties, len, "security.protocol") &&
           !(mechanism && strcmp(mechanism, "GSSAPI") == 0);
}

/** A client without brokers: it reads the keys and knows the mechanism. */
static bool try(rd_kafka_conf_t *conf, const struct kafka_property *properties,
                size_t len, struct buf *faults)
{
    char text[512] = "";
    rd_kafka_t *client =
        rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (client) {
        rd_kafka_destroy(client);
        return true;
    }
    rd_kafka_conf_destroy(conf);
    buf_printf(faults,
               "KAFKA_CONF_*: librdkafka %s makes no client of them: %s, "
               "allowed: a certificate, its key and CAs in PEM, and what the "
               "mechanism needs\n",
               rd_kafka_version_str(),
               quotes_any(text, properties, len) ? "its reason holds a secret"
                                                 : text);
    return false;
}

bool properties_judge(const struct kafka_property *properties, size_t len,
                      struct buf *faults)
{
    assert(properties || !len);
    bool good = true;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < len; i++) {
        if (strcmp(properties[i].name, "debug") != 0) {
            good = set(conf, &properties[i], faults) &&
                   is_readable(&properties[i], faults) && good;
        }
    }
    if (!good || !can_be_tried(properties, len)) {
        rd_kafka_conf_destroy(conf);
        return good;
    }
    rd_kafka_conf_set_log_cb(conf, NULL);
    return try(conf, properties, len, faults);
}
