#include "base/settings_kafka.h"

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
