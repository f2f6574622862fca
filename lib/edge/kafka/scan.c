#include "edge/scan.h"

#include "edge/kafka/ask.h"
#include "edge/kafka/message.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLL_MS 500

/** One partition: [from, end) is handed out. */
struct part {
    int64_t from;
    int64_t end;
    bool over;
};

struct reader {
    const struct topics_options *options;
    const struct scan *scan;
    rd_kafka_t *rk;
    rd_kafka_topic_partition_list_t *list;
    struct part *parts; /* as list */
    size_t left;        /* not over */
    int64_t older;
};

/** The bounds of one partition. */
static bool find_part(struct reader *reader, int i, int64_t each_max,
                      struct err *err)
{
    const struct scan *scan = reader->scan;
    const rd_kafka_topic_partition_t *at = &reader->list->elems[i];
    struct part *part = &reader->parts[i];
    int64_t low = 0;
    int64_t high = 0;
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
        reader->rk, scan->topic, at->partition, &low, &high, ASK_MS);
    if (code) {
        return ask_err(err, reader->options, code, "looking at a topic");
    }
    int64_t from = scan->offset >= 0 ? scan->offset : at->offset;
    if (scan->offset >= 0 && (from < low || from >= high)) {
        char held[64];
        snprintf(held, sizeof held, "%" PRId64 " to %" PRId64, low, high - 1);
        return err_set(err, ERR_PERMANENT,
                       "%s has no %" PRId32 ":%" PRId64
                       ": its partition %" PRId32 " holds %s (what was before "
                       "is deleted by its retention)",
                       scan->topic, at->partition, from, at->partition,
                       low < high ? held : "nothing");
    }
    from = from < 0 || from > high ? high : from < low ? low : from;
    part->from = from;
    part->end = high;
    if (scan->offset >= 0 && high - from > each_max) {
        part->end = from + each_max;
    } else if (high - from > each_max) {
        part->from = high - each_max;
        reader->older += part->from - from;
    }
    part->over = part->from >= part->end;
    reader->left += !part->over;
    return true;
}

/** Only the partition that is asked for. */
static bool choose(struct reader *reader, struct err *err)
{
    int32_t wanted = reader->scan->partition;
    rd_kafka_topic_partition_list_t *list = reader->list;
    int count = list->cnt;
    for (int i = list->cnt - 1; wanted >= 0 && i >= 0; i--) {
        if (list->elems[i].partition != wanted) {
            rd_kafka_topic_partition_list_del_by_idx(list, i);
        }
    }
    return list->cnt > 0 ||
           err_set(err, ERR_PERMANENT,
                   "%s has no partition %" PRId32 ", but 0 to %d",
                   reader->scan->topic, wanted, count - 1);
}

static bool find(struct reader *reader, struct err *err)
{
    const struct scan *scan = reader->scan;
    reader->list =
        ask_partitions(reader->rk, reader->options, scan->topic, err);
    if (!reader->list || !choose(reader, err)) {
        return false;
    }
    rd_kafka_topic_partition_list_t *timed = ask_by_time(
        reader->rk, reader->options, reader->list, scan->since_ms, err);
    if (!timed) {
        return false;
    }
    rd_kafka_topic_partition_list_destroy(reader->list);
    reader->list = timed;
    reader->parts = calloc((size_t)timed->cnt, sizeof *reader->parts);
    if (!reader->parts) {
        return err_set(err, ERR_FATAL, "no memory");
    }
    int64_t each_max = (scan->messages_max + timed->cnt - 1) / timed->cnt;
    for (int i = 0; i < timed->cnt; i++) {
        if (!find_part(reader, i, each_max, err)) {
            return false;
        }
    }
    return true;
}

static struct part *part_of(struct reader *reader, int32_t partition)
{
    for (int i = 0; i < reader->list->cnt; i++) {
        if (reader->list->elems[i].partition == partition) {
            return &reader->parts[i];
        }
    }
    return NULL;
}

static void put_over(struct reader *reader, struct part *part)
{
    reader->left -= !part->over;
    part->over = true;
}

/** One message, or the end of a partition. */
static bool take(struct reader *reader, const rd_kafka_message_t *from,
                 scan_fn *on_message, void *context, struct err *err)
{
    struct part *part = part_of(reader, from->partition);
    if (from->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && part) {
        put_over(reader, part);
        return true;
    }
    if (from->err) {
        return ask_err(err, reader->options, from->err, "reading a topic");
    }
    if (!part || part->over) {
        return true;
    }
    if (from->offset < part->end) {
        struct kafka_message *message =
            kafka_message_new(from, str_of(reader->scan->topic), 0);
        if (!message) {
            return err_set(err, ERR_FATAL, "no memory");
        }
        on_message(context, &message->message);
        kafka_message_free(message);
    }
    if (from->offset >= part->end - 1) {
        put_over(reader, part);
    }
    return true;
}

static bool read_all(struct reader *reader, scan_fn *on_message, void *context,
                     struct err *err)
{
    rd_kafka_topic_partition_list_t *open =
        rd_kafka_topic_partition_list_new(reader->list->cnt);
    for (int i = 0; i < reader->list->cnt; i++) {
        if (!reader->parts[i].over) {
            rd_kafka_topic_partition_list_add(open, reader->scan->topic,
                                              reader->list->elems[i].partition)
                ->offset = reader->parts[i].from;
        }
    }
    rd_kafka_resp_err_t code =
        open->cnt ? rd_kafka_assign(reader->rk, open) : 0;
    rd_kafka_topic_partition_list_destroy(open);
    bool good = !code || ask_err(err, reader->options, code, "reading a topic");
    for (int silent_ms = 0; good && reader->left > 0;) {
        rd_kafka_message_t *message =
            rd_kafka_consumer_poll(reader->rk, POLL_MS);
        silent_ms = message ? 0 : silent_ms + POLL_MS;
        if (message) {
            good = take(reader, message, on_message, context, err);
            rd_kafka_message_destroy(message);
        } else if (silent_ms >= ASK_MS) {
            good = ask_err(err, reader->options, RD_KAFKA_RESP_ERR__TIMED_OUT,
                           "reading a topic");
        }
    }
    return good;
}

bool scan_topic(const struct topics_options *options, const struct scan *scan,
                scan_fn *on_message, void *context, int64_t *older,
                struct err *err)
{
    assert(scan->topic && scan->messages_max > 0 && on_message && older);
    assert(scan->offset < 0 || scan->partition >= 0);
    struct reader reader = {.options = options, .scan = scan};
    reader.rk = ask_open(options, RD_KAFKA_CONSUMER, err);
    bool good = reader.rk != NULL;
    if (good) {
        rd_kafka_poll_set_consumer(reader.rk);
        good =
            find(&reader, err) && read_all(&reader, on_message, context, err);
    }
    *older = reader.older;
    free(reader.parts);
    if (reader.list) {
        rd_kafka_topic_partition_list_destroy(reader.list);
    }
    if (reader.rk) {
        rd_kafka_assign(reader.rk, NULL);
        rd_kafka_consumer_close(reader.rk);
        rd_kafka_destroy(reader.rk);
    }
    return good;
}
