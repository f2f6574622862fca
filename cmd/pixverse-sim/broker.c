#include "broker.h"

#include "base/str.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PARTITIONS = 4, TOPICS_MAX = 32 };

static const char HELP[] =
    "pixverse-sim broker: an embedded Kafka for a first try on one machine\n"
    "\n"
    "  --brokers N          brokers of the cluster, 1..9 (1)\n"
    "  --topic NAME         a topic besides pixverse.requests, .events, "
    ".progress\n"
    "                       and .rejected; repeatable\n"
    "  --bootstrap-file F   write the address into this file too\n"
    "\n"
    "It is librdkafka's mock cluster: loopback only, on ports that the system\n"
    "picks, everything in memory (at most 5 MiB a partition, then the oldest\n"
    "messages go), no persistence, no security, no admin calls. Ready when\n"
    "stdout has the line `bootstrap HOST:PORT,…`. SIGTERM and SIGINT end it.\n";

static const char NOTICE[] =
    "pixverse-sim broker: librdkafka's mock cluster, not Apache Kafka: for a "
    "first try only.\n"
    "  Limits: 5 MiB a partition (older messages are dropped), nothing is "
    "kept on disk,\n"
    "  loopback only, new ports at every start.\n";

struct order {
    int brokers;
    const char *topics[TOPICS_MAX];
    size_t topics_count;
    const char *bootstrap_file;
};

/** --listen is taken and checked, but the mock picks its ports itself. */
static bool set_flag(struct order *order, const char *name, const char *value,
                     const char **allowed)
{
    int64_t number = 0;
    if (strcmp(name, "--brokers") == 0) {
        *allowed = "1..9";
        if (!str_to_i64(str_of(value), 1, 9, &number)) {
            return false;
        }
        order->brokers = (int)number;
        return true;
    }
    if (strcmp(name, "--topic") == 0) {
        *allowed = "a topic's name, at most 28 of them";
        if (value[0] == '\0' || order->topics_count == TOPICS_MAX) {
            return false;
        }
        order->topics[order->topics_count++] = value;
        return true;
    }
    if (strcmp(name, "--bootstrap-file") == 0) {
        *allowed = "a file's name";
        order->bootstrap_file = value;
        return value[0] != '\0';
    }
    if (strcmp(name, "--listen") == 0) {
        *allowed = "127.0.0.1:0 (the mock cluster picks its ports itself; see "
                   "--bootstrap-file)";
        return strcmp(value, "127.0.0.1:0") == 0;
    }
    *allowed = NULL;
    return false;
}

static bool read_flags(struct order *order, int count, char **args)
{
    for (int i = 0; i < count; i++) {
        char name[64];
        const char *equals = strchr(args[i], '=');
        const char *allowed = NULL;
        snprintf(name, sizeof(name), "%.*s",
                 (int)(equals ? equals - args[i] : (long)strlen(args[i])),
                 args[i]);
        const char *value = equals          ? equals + 1
                            : i + 1 < count ? args[++i]
                                            : NULL;
        if (value && set_flag(order, name, value, &allowed)) {
            continue;
        }
        if (!value) {
            (void)set_flag(order, name, "", &allowed);
        }
        if (!allowed) {
            fprintf(stderr,
                    "pixverse-sim broker: %s is no flag, allowed: --listen, "
                    "--brokers, --topic, --bootstrap-file, --help\n",
                    name);
        } else {
            fprintf(stderr, "pixverse-sim broker: %s is %s, allowed: %s\n",
                    name, value ? value : "without a value", allowed);
        }
        return false;
    }
    return true;
}

/** Written aside and renamed, so that a reader never sees half of it. */
static bool write_bootstrap(const char *file, const char *bootstraps)
{
    char aside[4096];
    snprintf(aside, sizeof(aside), "%s.new", file);
    FILE *out = fopen(aside, "w");
    bool written = out && fprintf(out, "%s\n", bootstraps) > 0;
    if (out) {
        written = fclose(out) == 0 && written;
    }
    if (!written || rename(aside, file) != 0) {
        fprintf(stderr, "pixverse-sim broker: can't write %s: %s\n", file,
                strerror(errno));
        return false;
    }
    return true;
}

static bool make_topics(rd_kafka_mock_cluster_t *cluster,
                        const struct order *order)
{
    const int copies = order->brokers < 3 ? order->brokers : 3;
    for (size_t i = 0; i < order->topics_count; i++) {
        rd_kafka_resp_err_t error = rd_kafka_mock_topic_create(
            cluster, order->topics[i], PARTITIONS, copies);
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
            fprintf(stderr, "pixverse-sim broker: topic %s: %s\n",
                    order->topics[i], rd_kafka_err2str(error));
            return false;
        }
    }
    return true;
}

static int serve(const struct order *order, const sigset_t *ends)
{
    char text[512];
    int status = 1;
    int number = 0;
    rd_kafka_mock_cluster_t *cluster = NULL;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    /* Without it the client that carries the cluster warns that it has no
     * broker to connect to. */
    (void)rd_kafka_conf_set(conf, "log_level", "4", NULL, 0);
    rd_kafka_t *client =
        rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (!client) {
        fprintf(stderr, "pixverse-sim broker: %s\n", text);
        rd_kafka_conf_destroy(conf);
        return 1;
    }
    cluster = rd_kafka_mock_cluster_new(client, order->brokers);
    if (!cluster) {
        fprintf(stderr, "pixverse-sim broker: no mock cluster\n");
        goto done;
    }
    if (!make_topics(cluster, order)) {
        goto done;
    }
    const char *bootstraps = rd_kafka_mock_cluster_bootstraps(cluster);
    if (order->bootstrap_file &&
        !write_bootstrap(order->bootstrap_file, bootstraps)) {
        goto done;
    }
    fputs(NOTICE, stderr);
    printf("bootstrap %s\n", bootstraps);
    fflush(stdout);
    while (sigwait(ends, &number) != 0) {
    }
    if (order->bootstrap_file) {
        unlink(order->bootstrap_file);
    }
    status = 0;
done:
    if (cluster) {
        rd_kafka_mock_cluster_destroy(cluster);
    }
    rd_kafka_destroy(client);
    return status;
}

int broker_run(int count, char **args)
{
    struct order order = {
        .brokers = 1,
        .topics = {"pixverse.requests", "pixverse.events", "pixverse.progress",
                   "pixverse.rejected"},
        .topics_count = 4,
    };
    for (int i = 0; i < count; i++) {
        if (strcmp(args[i], "--help") == 0 || strcmp(args[i], "-h") == 0) {
            fputs(HELP, stdout);
            return 0;
        }
    }
    if (!read_flags(&order, count, args)) {
        return 2;
    }
    /* Before librdkafka's threads exist, so that they inherit the mask. */
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    return serve(&order, &ends);
}
