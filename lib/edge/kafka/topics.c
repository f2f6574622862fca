#include "edge/topics.h"

#include "core/login.h"
#include "edge/kafka/ask.h"
#include "edge/kafka/conf.h"
#include "edge/kafka/client.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 15000
#define STEP_MS 100
#define TOPICS_MAX 8

/** One client of librdkafka's, and what it complains of. */
struct asker {
    rd_kafka_t *rk;
    rd_kafka_queue_t *events; /* its own */
    rd_kafka_resp_err_t code; /* the last error; 0: none */
    char why[300];            /* its words */
};

/* ---- a client ---- */

static bool asker_open(struct asker *asker, rd_kafka_type_t type,
                       rd_kafka_conf_t *conf, int events, struct err *err)
{
    if (!conf) {
        return false; /* its error is told */
    }
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_ERROR | events);
    *asker = (struct asker){.rk = kafka_client_new(type, conf, err)};
    if (!asker->rk) {
        return false;
    }
    asker->events = rd_kafka_queue_get_main(asker->rk);
    return true;
}

static void asker_close(struct asker *asker)
{
    rd_kafka_queue_destroy(asker->events);
    rd_kafka_destroy_flags(asker->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

static void note_error(struct asker *asker, rd_kafka_event_t *event)
{
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) { /* it comes after why */
        asker->code = code;
        snprintf(asker->why, sizeof asker->why, "%s",
                 rd_kafka_event_error_string(event));
    }
}

static void note_errors(struct asker *asker)
{
    rd_kafka_event_t *event;
    while ((event = rd_kafka_queue_poll(asker->events, 0))) {
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR) {
            note_error(asker, event);
        }
        rd_kafka_event_destroy(event);
    }
}

static rd_kafka_conf_t *plain_conf(const struct topics_options *options,
                                   struct err *err)
{
    const struct kafka_rule rules[] = {
        {"bootstrap.servers", options->brokers, true},
        {"client.id", "pixverse-worker", false},
        {"socket.keepalive.enable", "true", false},
    };
    return kafka_conf_new(rules, sizeof rules / sizeof rules[0],
                          options->properties, options->properties_len, err);
}

/** All topics; null: no broker answers. */
static const struct rd_kafka_metadata *
look(struct asker *asker, const char *brokers, struct err *err)
{
    rd_kafka_resp_err_t code = 0;
    char why[ASK_WORDS_BYTES];
    const struct rd_kafka_metadata *found =
        ask_topics(asker->rk, ANSWER_MS, &code, why);
    if (!found) {
        err_set(err, ERR_TRANSIENT, "Kafka at %s: %s", brokers, why);
    }
    return found;
}

/** How many partitions it has; 0: it isn't there, or we may not see it. */
static int partitions_of(const struct rd_kafka_metadata *found,
                         const char *name)
{
    assert(name[0]);
    for (int i = 0; i < found->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *topic = &found->topics[i];
        if (strcmp(topic->topic, name) == 0 && !topic->err) {
            return topic->partition_cnt;
        }
    }
    return 0;
}

/* ---- making ---- */

static rd_kafka_NewTopic_t *new_topic(const char *name,
                                      const struct topic_shape *shape,
                                      char *why, size_t why_bytes)
{
    int replication = shape->replication ? shape->replication : -1;
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(
        name, shape->partitions, replication, why, why_bytes);
    if (topic && shape->retention_ms) {
        char text[24];
        snprintf(text, sizeof text, "%lld", (long long)shape->retention_ms);
        (void)rd_kafka_NewTopic_set_config(topic, "retention.ms", text);
    }
    return topic;
}

/** What the brokers say of one that was asked for. */
static void tell_made(rd_kafka_event_t *event, const struct topic_wish *wish,
                      topic_fn *on_topic, void *context)
{
    size_t len = 0;
    const rd_kafka_CreateTopics_result_t *result =
        rd_kafka_event_CreateTopics_result(event);
    const rd_kafka_topic_result_t **topics =
        result ? rd_kafka_CreateTopics_result_topics(result, &len) : NULL;
    for (size_t i = 0; i < len; i++) {
        if (strcmp(rd_kafka_topic_result_name(topics[i]), wish->name) != 0) {
            continue;
        }
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(topics[i]);
        const char *why = rd_kafka_topic_result_error_string(topics[i]);
        if (!code) {
            on_topic(context, wish, TOPIC_MADE, "");
        } else if (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
            on_topic(context, wish, TOPIC_THERE, "");
        } else {
            on_topic(context, wish, TOPIC_FAULT,
                     why ? why : rd_kafka_err2str(code));
        }
        return;
    }
    on_topic(context, wish, TOPIC_FAULT,
             event ? rd_kafka_event_error_string(event)
                   : "the brokers gave no answer");
}

static void make_one(struct asker *asker, const struct topic_wish *wish,
                     const struct topic_shape *shape, topic_fn *on_topic,
                     void *context)
{
    char why[256] = "";
    rd_kafka_NewTopic_t *topic = new_topic(wish->name, shape, why, sizeof why);
    if (!topic) {
        on_topic(context, wish, TOPIC_FAULT, why);
        return;
    }
    rd_kafka_queue_t *queue = rd_kafka_queue_new(asker->rk);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(asker->rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    /* Not before the brokers know it: who begins next must find it. */
    (void)rd_kafka_AdminOptions_set_operation_timeout(options, ANSWER_MS, why,
                                                      sizeof why);
    rd_kafka_CreateTopics(asker->rk, &topic, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 2 * ANSWER_MS);
    tell_made(event, wish, on_topic, context);
    if (event) {
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
}

bool topics_make(const struct topics_options *options,
                 const struct topic_wish *wishes, size_t len,
                 const struct topic_shape *shape, topic_fn *on_topic,
                 void *context, struct err *err)
{
    assert(wishes && on_topic);
    struct asker asker;
    assert(shape->partitions > 0);
    if (!asker_open(&asker, RD_KAFKA_PRODUCER, plain_conf(options, err), 0,
                    err)) {
        return false;
    }
    const struct rd_kafka_metadata *found = look(&asker, options->brokers, err);
    for (size_t i = 0; found && i < len; i++) {
        if (partitions_of(found, wishes[i].name) > 0) {
            on_topic(context, &wishes[i], TOPIC_THERE, "");
        } else {
            make_one(&asker, &wishes[i], shape, on_topic, context);
        }
    }
    bool fine = found != NULL;
    if (found) {
        rd_kafka_metadata_destroy(found);
    }
    asker_close(&asker);
    return fine;
}

/* ---- reading ---- */

static bool is_about_rights(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
}

/** What there is to do about a right that is missing; "" about all else. */
static const char *advice_of(rd_kafka_resp_err_t code)
{
    const struct login_step step = login_step_of(
        str_of(is_about_rights(code) ? rd_kafka_err2str(code) : ""));
    return step.name ? step.advice : "";
}

/** The answer to a commit: that of its one partition, or to the whole. */
static rd_kafka_resp_err_t committed(rd_kafka_event_t *event)
{
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    const rd_kafka_topic_partition_list_t *list =
        rd_kafka_event_topic_partition_list(event);
    return list && list->cnt > 0 && list->elems[0].err ? list->elems[0].err
                                                       : code;
}

/** Commits for the partition behind the last one. */
static rd_kafka_resp_err_t try_commit(struct asker *asker, const char *topic,
                                      int partitions)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(asker->rk);
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partitions)->offset = 0;
    rd_kafka_resp_err_t code =
        rd_kafka_commit_queue(asker->rk, list, queue, NULL, NULL);
    rd_kafka_topic_partition_list_destroy(list);
    bool answered = code != 0;
    for (int ms = 0; !answered && ms < ANSWER_MS; ms += STEP_MS) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, STEP_MS);
        note_errors(asker);
        if (event) {
            code = committed(event);
            rd_kafka_event_destroy(event);
            answered = true;
        } else if (is_about_rights(asker->code)) {
            code = asker->code; /* without it there is no coordinator to ask */
            answered = true;
        }
    }
    rd_kafka_queue_destroy(queue);
    return answered ? code : RD_KAFKA_RESP_ERR__TIMED_OUT;
}

static void check_read(const struct topics_options *options,
                       const struct topic_wish *wish, int partitions,
                       topic_fn *on_topic, void *context)
{
    struct err err = {0};
    struct asker asker;
    struct consumer_setup setup;
    const struct consumer_options consumer = {
        .brokers = options->brokers,
        .group = options->group,
        .topic = wish->name,
        .properties = options->properties,
        .properties_len = options->properties_len,
    };
    if (!consumer_setup_copy(&setup, &consumer) ||
        !asker_open(&asker, RD_KAFKA_CONSUMER, consumer_conf_new(&setup, &err),
                    RD_KAFKA_EVENT_OFFSET_COMMIT, &err)) {
        on_topic(context, wish, TOPIC_FAULT,
                 err.text[0] ? err.text : "no memory");
        consumer_setup_free(&setup);
        return;
    }
    rd_kafka_poll_set_consumer(asker.rk);
    rd_kafka_queue_destroy(asker.events);
    asker.events = rd_kafka_queue_get_consumer(asker.rk);
    rd_kafka_resp_err_t code = try_commit(&asker, wish->name, partitions);
    char why[700];
    const char *advice = advice_of(code);
    snprintf(why, sizeof why, "it can't be read by the group %s: %s%s%s",
             options->group, rd_kafka_err2str(code), advice[0] ? "; " : "",
             advice);
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        on_topic(context, wish, TOPIC_THERE, "");
    } else if (is_about_rights(code) || code == RD_KAFKA_RESP_ERR__TIMED_OUT) {
        on_topic(context, wish, TOPIC_FAULT, why);
    } else {
        on_topic(context, wish, TOPIC_DOUBTFUL, why);
    }
    asker_close(&asker);
    consumer_setup_free(&setup);
}

/* ---- writing ---- */

/** 0: the broker took it, which none should. */
static rd_kafka_resp_err_t try_produce(struct asker *asker, const char *topic)
{
    rd_kafka_resp_err_t code = rd_kafka_producev(
        asker->rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_VALUE("pixverse-worker check", 21), RD_KAFKA_V_END);
    bool answered = code != 0;
    for (int ms = 0; !answered && ms < 2 * ANSWER_MS; ms += STEP_MS) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(asker->events, STEP_MS);
        if (event && rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) {
            const rd_kafka_message_t *message =
                rd_kafka_event_message_next(event);
            code = message ? message->err : RD_KAFKA_RESP_ERR__FAIL;
            answered = true;
        } else if (event) {
            note_error(asker, event);
        }
        if (event) {
            rd_kafka_event_destroy(event);
        }
    }
    return answered ? code : RD_KAFKA_RESP_ERR__TIMED_OUT;
}

static void check_write(const struct topics_options *options,
                        const struct topic_wish *wish, topic_fn *on_topic,
                        void *context)
{
    struct err err = {0};
    struct asker asker;
    char text[256] = "";
    rd_kafka_conf_t *conf = plain_conf(options, &err);
    if (conf) {
        /* Over what the user has set: they are the point of this client. */
        (void)rd_kafka_conf_set(conf, "enable.idempotence", "false", NULL, 0);
        (void)rd_kafka_conf_set(conf, "acks", "2", text, sizeof text);
        (void)rd_kafka_conf_set(conf, "retries", "0", NULL, 0);
        (void)rd_kafka_conf_set(conf, "message.timeout.ms", "15000", NULL, 0);
    }
    if (!asker_open(&asker, RD_KAFKA_PRODUCER, conf, RD_KAFKA_EVENT_DR, &err)) {
        on_topic(context, wish, TOPIC_FAULT, err.text);
        return;
    }
    rd_kafka_resp_err_t code = try_produce(&asker, wish->name);
    char why[700];
    const char *advice = advice_of(code);
    snprintf(why, sizeof why, "it can't be written to: %s%s%s",
             rd_kafka_err2str(code), advice[0] ? "; " : "", advice);
    if (code == RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS) {
        on_topic(context, wish, TOPIC_THERE, "");
    } else if (!code) {
        on_topic(context, wish, TOPIC_DOUBTFUL,
                 "the broker took a message of the check, which no Kafka does");
    } else {
        on_topic(context, wish, TOPIC_FAULT, why);
    }
    asker_close(&asker);
}

/* ---- checking ---- */

/** librdkafka's own broker for tests knows no rights, and takes all. */
static bool has_rights(struct asker *asker)
{
    static const char mock[] = "mockCluster";
    char *id = rd_kafka_clusterid(asker->rk, 1000);
    bool is_mock = id && strncmp(id, mock, sizeof mock - 1) == 0;
    if (id) {
        rd_kafka_mem_free(asker->rk, id);
    }
    return !is_mock;
}

bool topics_check(const struct topics_options *options,
                  const struct topic_wish *wishes, size_t len,
                  topic_fn *on_topic, void *context, struct err *err)
{
    assert(wishes && on_topic);
    struct asker asker;
    int partitions[TOPICS_MAX] = {0};
    assert(len <= TOPICS_MAX);
    if (!asker_open(&asker, RD_KAFKA_PRODUCER, plain_conf(options, err), 0,
                    err)) {
        return false;
    }
    const struct rd_kafka_metadata *found = look(&asker, options->brokers, err);
    if (!found) {
        asker_close(&asker);
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        partitions[i] = partitions_of(found, wishes[i].name);
    }
    bool rights = has_rights(&asker);
    rd_kafka_metadata_destroy(found);
    asker_close(&asker);
    for (size_t i = 0; i < len; i++) {
        const struct topic_wish *wish = &wishes[i];
        if (partitions[i] == 0) {
            on_topic(context, wish, TOPIC_FAULT,
                     "it is not there, or may not be seen: pixverse-worker "
                     "migrate makes it");
        } else if (!rights) {
            on_topic(context, wish, TOPIC_THERE, "");
        } else if (wish->use == TOPIC_READ) {
            check_read(options, wish, partitions[i], on_topic, context);
        } else {
            check_write(options, wish, on_topic, context);
        }
    }
    return true;
}
