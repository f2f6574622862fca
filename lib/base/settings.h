#ifndef BASE_SETTINGS_H
#define BASE_SETTINGS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/settings_check.h"
#include "base/settings_kafka.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/**
 * What an operator may set, from the environment (CONTRACT "Settings"). Each
 * NAME may come from the file that NAME_FILE names instead. One table holds
 * name, default, range and help of every one; settings_read() judges them all.
 * A name set to nothing counts as not set.
 */

/** What becomes of a submission without an answer. */
enum submit_doubt {
    DOUBT_AUTO, /* what the provider says of keys decides; until then: wait */
    DOUBT_REPLAY,
    DOUBT_SETTLE
};

/* clang-format off */

/* field, name, default, form, secret, help */
#define SETTINGS_TEXTS(X)                                                       \
    X(kafka_brokers, "KAFKA_BROKERS", "127.0.0.1:9092", FORM_BROKERS, false,    \
      "where Kafka is: host:port, several separated by commas")                 \
    X(kafka_group, "KAFKA_GROUP", "pixverse-worker", FORM_FILLED, false,        \
      "consumer group; a new one starts at the earliest offset")                \
    X(kafka_request_topic, "KAFKA_REQUEST_TOPIC", "pixverse.requests",          \
      FORM_TOPIC, false, "requests come in here")                               \
    X(kafka_event_topic, "KAFKA_EVENT_TOPIC", "pixverse.events", FORM_TOPIC,    \
      false, "the end of every request goes out here")                          \
    X(kafka_rejected_topic, "KAFKA_REJECTED_TOPIC", "pixverse.rejected",        \
      FORM_TOPIC, false, "messages that name no request, or reuse a name")      \
    X(kafka_progress_topic, "KAFKA_PROGRESS_TOPIC", "", FORM_TOPIC_OR_EMPTY,    \
      false, "progress goes out here; empty: none")                             \
    X(kafka_tokens_from, "KAFKA_TOKENS_FROM", "", FORM_TOKENS, true,            \
      "OAUTHBEARER: file:///token, or aws-msk-iam[:REGION]; empty: no tokens")  \
    X(database_url, "DATABASE_URL", "postgresql:///pixverse", FORM_FILLED,      \
      true, "libpq connection string; a pooler must be in session mode")        \
    X(database_urls, "DATABASE_URLS", "", FORM_CELLS, true,                     \
      "pixverse-ctl list, show, stats, top: databases of cells, as a=postgresql://... b=postgresql://...") \
    X(apimart_base_url, "APIMART_BASE_URL", "https://api.apimart.ai",           \
      FORM_BASE_URL, false,                                                     \
      "the provider; http:// only for loopback and private addresses")          \
    X(apimart_api_key, "APIMART_API_KEY", "", FORM_KEY, true,                   \
      "the provider's key; required, or APIMART_ACCOUNTS")                      \
    X(apimart_accounts, "APIMART_ACCOUNTS", "", FORM_FILLED, true,              \
      "several accounts there, as JSON: [{\"name\":..,\"key\":..},..]")         \
    X(apimart_ca_file, "APIMART_CA_FILE", "", FORM_FILE_OR_EMPTY, false,        \
      "certificates to trust of the provider; empty: the system's")             \
    X(asset_ca_file, "ASSET_CA_FILE", "", FORM_FILE_OR_EMPTY, false,            \
      "certificates to trust of videos' hosts; empty: the system's")            \
    X(proxy_url, "PROXY_URL", "", FORM_PROXY_OR_EMPTY, true,                    \
      "http[s]://[user:password@]host:port to provider and S3; empty: none")    \
    X(proxy_except, "PROXY_EXCEPT", "", FORM_HOSTS_OR_EMPTY, false,             \
      "hosts, addresses, ranges reached past the proxy; a name stands for all " \
      "below it")                                                               \
    X(proxy_ca_file, "PROXY_CA_FILE", "", FORM_FILE_OR_EMPTY, false,            \
      "certificates to trust of an https:// proxy; empty: the system's")        \
    X(storage_url, "STORAGE_URL", "file:///var/lib/pixverse/videos",            \
      FORM_STORAGE, false,                                                      \
      "file:///folder that all workers share, or s3://bucket/prefix?options")   \
    X(key_template, "KEY_TEMPLATE",                                             \
      "{tenant}/{yyyy}/{mm}/{dd}/{request_id}/{index}.mp4", FORM_TEMPLATE,      \
      false, "name of a video in storage")                                      \
    X(prices, "PRICES", "", FORM_FILLED, false,                                 \
      "JSON rules for estimates of what requests cost; none: what the like did") \
    X(admin_listen, "ADMIN_LISTEN", "127.0.0.1:9464", FORM_LISTEN, false,       \
      "host:port of /healthz /readyz /metrics /scale /task")                    \
    X(admin_advertise, "ADMIN_ADVERTISE", "", FORM_LISTEN_OR_EMPTY, false,      \
      "host:port under which pixverse-ctl reaches it; empty: as it listens")    \
    X(otel_endpoint, "OTEL_EXPORTER_OTLP_ENDPOINT", "", FORM_HTTP_OR_EMPTY,     \
      false,                                                                    \
      "collector of traces (OTLP over HTTP, JSON), behind it /v1/traces; "      \
      "empty: no traces")                                                       \
    X(otel_traces_endpoint, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "",           \
      FORM_HTTP_OR_EMPTY, false, "the same, whole, for traces alone")           \
    X(otel_headers, "OTEL_EXPORTER_OTLP_HEADERS", "", FORM_ANY, true,           \
      "headers for it: name=value,name=value")                                  \
    X(otel_service_name, "OTEL_SERVICE_NAME", "pixverse-worker", FORM_FILLED,   \
      false, "whose traces they are")                                           \
    X(otel_attributes, "OTEL_RESOURCE_ATTRIBUTES", "", FORM_ANY, false,         \
      "what else is said of it: name=value,name=value")                         \
    X(otel_sampler_arg, "OTEL_TRACES_SAMPLER_ARG", "", FORM_RATIO_OR_EMPTY,     \
      false, "the part that a ratio sampler takes; empty: all")

/* field, name, default, least, most, help */
#define SETTINGS_NUMBERS(X)                                                     \
    X(poll_interval_ms, "POLL_INTERVAL_MS", 5000, 10,  3600000,                 \
      "between two polls of a running task")                                    \
    X(tasks_max, "TASKS_MAX", 10000, 1, 1000000,                                \
      "tasks in flight in one worker")                                          \
    X(generations_max, "GENERATIONS_MAX", 0, 0, 1000000,                        \
      "tasks submitting and running in the whole fleet; 0: no limit")           \
    X(generations_min, "GENERATIONS_MIN", 0, 0, 1000000,                        \
      "1 or more: between that and GENERATIONS_MAX, as the provider's refusals " \
      "teach; 0: always GENERATIONS_MAX")                                       \
    X(submits_max, "SUBMITS_MAX", 32, 1, 1024,                                  \
      "submissions at once in one worker")                                      \
    X(poll_connections_max, "POLL_CONNECTIONS_MAX", 64, 1, 1024,                \
      "connections for polls to one host, as many as they need")                \
    X(transfers_max, "TRANSFERS_MAX", 8, 1, 1024,                               \
      "videos brought home at once in one worker")                              \
    X(backlog_max, "BACKLOG_MAX", 100000, 1, 1000000000,                        \
      "waiting rows above which consumption pauses")                            \
    X(topic_partitions, "TOPIC_PARTITIONS", 12, 1, 10000,                       \
      "migrate: partitions of a topic that it makes")                           \
    X(topic_replication, "TOPIC_REPLICATION", 0, 0, 100,                        \
      "migrate: copies of a topic that it makes; 0: the broker's default")      \
    X(topic_retention_ms, "TOPIC_RETENTION_MS", 0, -1, 31536000000000,          \
      "migrate: how long a topic that it makes keeps; 0: the broker's default") \
    X(intake_bytes_max, "INTAKE_BYTES_MAX", 67108864, 4194304, 1099511627776,   \
      "bytes of messages that wait in one worker to be stored or rejected")     \
    X(submit_timeout_ms, "SUBMIT_TIMEOUT_MS", 45000, 100, 600000,              \
      "how long one submission may take")                                       \
    X(deadline_ms, "DEADLINE_MS", 10800000, 1, 604800000,                    \
      "from acceptance upstream, where a request names no deadline")            \
    X(late_ms, "LATE_MS", 86400000, 1, 2592000000,                           \
      "from acceptance: how long a timed-out task is still polled")             \
    X(chain_wait_ms, "CHAIN_WAIT_MS", 86400000, 1, 2592000000,                  \
      "how long a request waits for the one that it extends")                   \
    X(resubmit_overloads, "RESUBMIT_OVERLOADS", 0, 0, 10,                       \
      "times that a task is submitted again which the provider failed unbilled " \
      "for want of room")                                                       \
    X(history_days, "HISTORY_DAYS", 0, 0, 36500,                                \
      "whole days (UTC) for which ended requests are kept; 0: for ever")        \
    X(ids_days, "IDS_DAYS", 0, 0, 36500,                                        \
      "days for which ids are known; HISTORY_DAYS at least; 0: for ever")       \
    X(lease_ms, "LEASE_MS", 5000, 100, 600000,                                  \
      "a worker that stands still for so long is taken for dead")               \
    X(drain_ms, "DRAIN_MS", 55000, 0, 3600000,                                  \
      "how long a stop may take")                                               \
    X(metrics_tenants_max, "METRICS_TENANTS_MAX", 0, 0, 1000,                  \
      "tenants that have metrics of their own; the others have one together")   \
    X(video_max_bytes, "VIDEO_MAX_BYTES", 4294967296, 1, 1099511627776,         \
      "the largest video that is taken")

/* field, type, name, default word, words in the order of the type's values, help */
#define SETTINGS_CHOICES(X)                                                     \
    X(submit_doubt, enum submit_doubt, "SUBMIT_DOUBT", "auto",                \
      "auto|replay|settle",                                                     \
      "what to do about a submission that may have been accepted")              \
    X(accepted_events, bool, "ACCEPTED_EVENTS", "0", "0|1",                     \
      "1: an event for each new request, once it is stored")                    \
    X(download_private, bool, "DOWNLOAD_PRIVATE", "0", "0|1",                   \
      "1: videos may come over http and from private addresses (local trials)") \
    X(proxy_assets, bool, "PROXY_ASSETS", "0", "0|1",                           \
      "1: videos come through the proxy too: which addresses they may come "    \
      "from, only the proxy checks then")                                       \
    X(tenant_fairness, bool, "TENANT_FAIRNESS", "0", "0|1",                     \
      "1: tenants share by weight from the start (pixverse-ctl tenant)")        \
    X(log_level, enum log_level, "LOG_LEVEL", "info", "debug|info|warn|error",  \
      "the least that is logged")                                               \
    X(log_text, bool, "LOG_FORMAT", "json", "json|text", "form of log lines")  \
    X(otel_sampler, int, "OTEL_TRACES_SAMPLER", "parentbased_always_on",        \
      "parentbased_always_on|parentbased_always_off|parentbased_traceidratio|"  \
      "always_on|always_off|traceidratio",                                      \
      "which requests are traced; parentbased: as their producer says")         \
    X(otel_disabled, bool, "OTEL_SDK_DISABLED", "false", "false|true",          \
      "true: no traces")

/* clang-format on */

struct settings {
#define X(field, name, value, form, secret, help) const char *field;
    SETTINGS_TEXTS(X)
#undef X
#define X(field, name, value, min, max, help) int64_t field;
    SETTINGS_NUMBERS(X)
#undef X
#define X(field, type, name, value, words, help) type field;
    SETTINGS_CHOICES(X)
#undef X
    const struct settings_property *kafka_conf; /* in order of their names */
    size_t kafka_conf_len;
    bool accounts_from_file; /* apimart_accounts: nothing of it is shown */
    struct arena memory;     /* holds every text above */
};

enum settings_need {
    SETTINGS_NEED_KEY, /* run, check: nothing goes without the provider's
                          key */
    SETTINGS_NEED_NONE,
};

/**
 * Read and judge all settings.
 *
 * @param env       As environ: "NAME=value" texts, the last null.
 * @param faults    Gets one line for each fault: name, value (never a
 *                  secret's), what is allowed.
 * @param warnings  Gets one line for each thing that is allowed yet odd,
 * such as a name that looks like a misspelt one of ours.
 * @return          true if there was no fault. On false *settings holds
 * what could be read, defaults elsewhere.
 */
bool settings_read(struct settings *settings, const char *const *env,
                   enum settings_need need, struct buf *faults,
                   struct buf *warnings);

/** Wipes the secrets from memory and gives it back. */
void settings_done(struct settings *settings);

/**
 * Overwrite the values of our secrets in this process's environment and
 * take them out of it, so that neither a child nor /proc/self/environ
 * shows them. PGPASSWORD and the AWS names stay: their libraries read
 * them later.
 */
void settings_hide_secrets(void);

/** Every name with its default, range and one line of help. */
void settings_print_help(FILE *out);

#endif
