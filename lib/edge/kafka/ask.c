#include "edge/kafka/ask.h"

#include "core/login.h"
#include "edge/kafka/client.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define SLICE_MS 2000

rd_kafka_t *ask_open(const struct topics_options *options, rd_kafka_type_t type,
                     struct err *err)
{
    bool reads = type == RD_KAFKA_CONSUMER;
    const struct kafka_rule rules[] = {
        {"bootstrap.servers", options->brokers, true},
        {"client.id", "pixverse-ctl", false},
        {"socket.keepalive.enable", "true", false},
        /* No consumer without a group; the workers' is the one that rights are
         * given for. Nothing joins it, and nothing is committed. */
        {"group.id", options->group, true},
        {"enable.auto.commit", "false", true},
        {"enable.auto.offset.store", "false", true},
        {"enable.partition.eof", "true", true},
        {"auto.offset.reset", "error", true},
        {"isolation.level", "read_committed", true},
    };
    assert(!reads || options->group);
    rd_kafka_conf_t *conf =
        kafka_conf_new(rules, reads ? sizeof rules / sizeof rules[0] : 3,
                       options->properties, options->properties_len, err);
    if (!conf) {
        return NULL;
    }
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_ERROR);
    return kafka_client_new(type, conf, err);
}

/** The last that the client complained of, if it did. */
static void note_words(rd_kafka_t *rk, char words[static 512])
{
    rd_kafka_event_t *event;
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);
    queue = queue ? queue : rd_kafka_queue_get_main(rk);
    while ((event = rd_kafka_queue_poll(queue, 0))) {
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR &&
            rd_kafka_event_error(event) !=
                RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) { /* it comes after why */
            snprintf(words, 512, "%s", rd_kafka_event_error_string(event));
        }
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
}

static void explain(char why[static ASK_WORDS_BYTES], const char *words)
{
    const struct login_step step = login_step_of(str_of(words));
    snprintf(why, ASK_WORDS_BYTES, "%s%s%s%s%s", step.name ? step.name : "",
             step.name ? ": " : "", words, step.name ? "; " : "",
             step.name ? step.advice : "");
}

const struct rd_kafka_metadata *ask_topics(rd_kafka_t *rk, int limit_ms,
                                           rd_kafka_resp_err_t *code,
                                           char why[static ASK_WORDS_BYTES])
{
    char words[512] = "";
    const struct rd_kafka_metadata *found = NULL;
    assert(limit_ms > 0);
    for (int left_ms = limit_ms; left_ms > 0; left_ms -= SLICE_MS) {
        *code = rd_kafka_metadata(rk, 1, NULL, &found,
                                  left_ms < SLICE_MS ? left_ms : SLICE_MS);
        if (!*code) {
            return found;
        }
        note_words(rk, words);
        if (login_step_of(str_of(words)).lasting) {
            break;
        }
    }
    explain(why, words[0] ? words : rd_kafka_err2str(*code));
    return NULL;
}

bool ask_err(struct err *err, const struct topics_options *options,
             rd_kafka_resp_err_t code, const char *what)
{
    bool away = code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
                code == RD_KAFKA_RESP_ERR__TRANSPORT ||
                code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
    char why[ASK_WORDS_BYTES];
    explain(why, rd_kafka_err2str(code));
    return err_set(err, away ? ERR_TRANSIENT : ERR_PERMANENT,
                   "Kafka at %s: %s: %s", options->brokers, what, why);
}

rd_kafka_topic_partition_list_t *
ask_partitions(rd_kafka_t *rk, const struct topics_options *options,
               const char *topic, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    rd_kafka_resp_err_t code = 0;
    char why[ASK_WORDS_BYTES];
    const struct rd_kafka_metadata *found = ask_topics(rk, ASK_MS, &code, why);
    if (!found) {
        err_set(err, ERR_TRANSIENT, "Kafka at %s: %s", options->brokers, why);
        return NULL;
    }
    for (int i = 0; i < found->topic_cnt && !list; i++) {
        const struct rd_kafka_metadata_topic *at = &found->topics[i];
        if (strcmp(at->topic, topic) == 0 && at->partition_cnt > 0) {
            list = rd_kafka_topic_partition_list_new(at->partition_cnt);
            for (int p = 0; p < at->partition_cnt; p++) {
                rd_kafka_topic_partition_list_add(list, topic, p);
            }
        }
    }
    rd_kafka_metadata_destroy(found);
    if (!list) {
        err_set(err, ERR_PERMANENT,
                "Kafka at %s has no topic %s, or we may not see it",
                options->brokers, topic);
    }
    return list;
}

rd_kafka_topic_partition_list_t *
ask_by_time(rd_kafka_t *rk, const struct topics_options *options,
            const rd_kafka_topic_partition_list_t *all, int64_t time_ms,
            struct err *err)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_copy(all);
    for (int i = 0; i < list->cnt; i++) {
        list->elems[i].offset = time_ms;
    }
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(rk, list, ASK_MS);
    for (int i = 0; i < list->cnt && !code; i++) {
        code = list->elems[i].err;
    }
    if (code) {
        ask_err(err, options, code, "finding offsets by time");
        rd_kafka_topic_partition_list_destroy(list);
        return NULL;
    }
    return list;
}
