#include "commands.h"

#include "edge/schema.h"
#include "topics.h"

#include <stdlib.h>
#include <string.h>

static void on_step(void *context, int number, const char *name)
{
    (void)context;
    printf("applied %04d (%s)\n", number, name);
}

static bool migrate_schema(const struct settings *settings, struct err *err)
{
    struct schema_state state;
    if (!schema_migrate(settings->database_url, on_step, NULL, err) ||
        !schema_read(settings->database_url, &state, err)) {
        return false;
    }
    printf("the schema is at %d\n", state.number);
    return true;
}

static void on_topic(void *context, const struct topic_wish *wish,
                     enum topic_end end, const char *why)
{
    bool *fine = context;
    switch (end) {
    case TOPIC_THERE:
        printf("topic %s is there\n", wish->name);
        break;
    case TOPIC_MADE:
        printf("topic %s is made\n", wish->name);
        break;
    case TOPIC_DOUBTFUL:
    case TOPIC_FAULT:
        *fine = false;
        fflush(stdout);
        fprintf(stderr,
                "migrate: topic %s is missing and can't be made: %s; have it "
                "made by who may, or grant KAFKA_BROKERS' user Create on it\n",
                wish->name, why);
        break;
    }
}

static bool migrate_topics(const struct settings *settings, struct err *err)
{
    struct topic_wish wishes[WISHES_MAX];
    size_t len = topics_of(settings, wishes);
    struct kafka_property *properties = properties_of(settings);
    const struct topics_options options = {
        .brokers = settings->kafka_brokers,
        .group = settings->kafka_group,
        .properties = properties,
        .properties_len = settings->kafka_conf_len,
    };
    const struct topic_shape shape = {
        .partitions = (int)settings->topic_partitions,
        .replication = (int)settings->topic_replication,
        .retention_ms = settings->topic_retention_ms,
    };
    bool fine = true;
    bool asked = properties ? topics_make(&options, wishes, len, &shape,
                                          on_topic, &fine, err)
                            : err_set(err, ERR_FATAL, "no memory");
    free(properties);
    if (asked && !fine) {
        err->text[0] = '\0'; /* each is named already */
    }
    return asked && fine;
}

static int migrate(const struct settings *settings, bool topics)
{
    struct err err = {0};
    if (migrate_schema(settings, &err) &&
        (!topics || migrate_topics(settings, &err))) {
        return EXIT_DONE;
    }
    if (err.text[0]) {
        fprintf(stderr, "migrate: %s\n", err.text);
    }
    return EXIT_FAILED;
}

int command_migrate(const struct settings *settings)
{
    return migrate(settings, true);
}

int command_migrate_schema(const struct settings *settings)
{
    return migrate(settings, false);
}

/* ---- a copy for trials ---- */

static const char copy_words[] =
    "migrate --copy makes the database \"%s\" a copy for trials, for good:\n"
    "  - it gets another salt, so that what it sends is never taken for what\n"
    "    the original has sent; on the original itself that would pay twice;\n"
    "  - %lld requests that have not ended are taken out of it: the original\n"
    "    finishes them.\n"
    "Give its workers a group, topics and a storage of their own.\n";

int command_migrate_copy(const struct settings *settings, const char *confirm)
{
    struct schema_copy copy;
    struct err err = {0};
    struct schema_state state;
    /* No step of a migration: the name that is to be confirmed may be that of
     * the original. */
    bool good = schema_read(settings->database_url, &state, &err) &&
                schema_fits(&state, &err) &&
                schema_copy_look(settings->database_url, &copy, &err);
    if (!good) {
        fprintf(stderr, "migrate: %s\n", err.text);
        return EXIT_FAILED;
    }
    printf(copy_words, copy.database, (long long)copy.open);
    if (!confirm || strcmp(confirm, copy.database) != 0) {
        fflush(stdout);
        fprintf(stderr,
                "migrate: nothing was done; to have it done: pixverse-worker "
                "migrate --copy --confirm=%s\n",
                copy.database);
        return EXIT_USAGE;
    }
    if (!schema_copy(settings->database_url, &copy, &err)) {
        fprintf(stderr, "migrate: %s\n", err.text);
        return EXIT_FAILED;
    }
    puts("done");
    return EXIT_DONE;
}
