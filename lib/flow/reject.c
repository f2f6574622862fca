#include "flow/reject.h"

#include "base/crashpoint.h"
#include "base/log.h"
#include "core/event.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define REJECT_RETRY_MS 1000
#define OWN_HEADERS 7 /* at most, of ours */

static void send_rejection(struct item *item);

void rejects_init(struct rejects *rejects,
                  const struct rejects_options *options,
                  struct metrics *metrics)
{
    assert(options->loop && options->producer && options->clock);
    assert(options->topic && options->on_end);
    *rejects = (struct rejects){.options = *options};
    list_init(&rejects->later);
    rejects->rejected =
        metric_get(metrics, METRIC_COUNTER, "pixverse_rejected_total", NULL,
                   "Messages that went to the rejected topic.");
}

/** It is rejected no more. */
static void put_down(struct item *item)
{
    struct rejects *rejects = item->rejects;
    assert(rejects->under_way > 0);
    assert(rejects->bytes >= (int64_t)item->bytes);
    rejects->under_way--;
    rejects->bytes -= (int64_t)item->bytes;
    item_free(item);
}

static void end(struct item *item)
{
    const struct rejects_options *options = &item->rejects->options;
    put_down(item);
    options->on_end(options->context);
}

static void give_back(struct item *item)
{
    consumer_drop(item->rejects->options.consumer, item->message);
    put_down(item);
}

void rejects_stop(struct rejects *rejects)
{
    assert(!rejects->stopped);
    rejects->stopped = true;
    while (!list_is_empty(&rejects->later)) {
        give_back(LIST_OWNER(list_pop(&rejects->later), struct item, link));
    }
}

/** What fails while it drains comes to another worker. */
static void try_later(struct item *item)
{
    struct rejects *rejects = item->rejects;
    if (rejects->stopped) {
        const struct rejects_options *options = &rejects->options;
        give_back(item);
        options->on_end(options->context);
        return;
    }
    list_add_tail(&rejects->later, &item->link);
    loop_timer_set(item->retry, REJECT_RETRY_MS);
}

/** What the broker takes from nobody may be too large. false: there is nothing
 * more to leave out. */
static bool send_less(struct item *item, const struct err *err)
{
    if (err->kind != ERR_PERMANENT || item->cut >= CUT_KEY) {
        return false;
    }
    item->cut++;
    send_rejection(item);
    return true;
}

static void on_rejected(void *context, const struct err *err)
{
    struct item *item = context;
    struct rejects *rejects = item->rejects;
    struct consumer *consumer = rejects->options.consumer;
    if (!err) {
        CRASHPOINT("reject_acknowledged");
        metric_add(rejects->rejected, 1);
        consumer_done(consumer, item->message);
        end(item);
        return;
    }
    if (!rejects->stopped && send_less(item, err)) {
        return;
    }
    log_at(LOG_WARN, "a rejection was not taken by the broker; again later",
           LOG_TEXT("why", err->text));
    try_later(item);
}

/** The message's and room for ours, to be freed. null: no memory. */
static struct event_header *headers_of(const struct item *item, size_t *len)
{
    const struct message *message = item->message;
    *len = item->cut >= CUT_KEY ? 0 : message->headers_len;
    struct event_header *headers = calloc(*len + OWN_HEADERS, sizeof *headers);
    for (size_t i = 0; headers && i < *len; i++) {
        headers[i] = (struct event_header){message->headers[i].name,
                                           message->headers[i].value};
    }
    return headers;
}

static void send_rejection(struct item *item)
{
    const struct rejects_options *options = &item->rejects->options;
    const struct message *message = item->message;
    char partition[24];
    char offset[24];
    char value_bytes[24];
    char key_bytes[24];
    snprintf(partition, sizeof partition, "%d", (int)message->partition);
    snprintf(offset, sizeof offset, "%lld", (long long)message->offset);
    size_t n;
    struct event_header *headers = headers_of(item, &n);
    if (!headers) {
        try_later(item);
        return;
    }
    headers[n++] = (struct event_header){STR("error"), str_of(item->error)};
    headers[n] = (struct event_header){STR("error_detail"), item->request.why};
    n += item->request.why.len > 0;
    headers[n++] = (struct event_header){STR("source_topic"), message->topic};
    headers[n++] =
        (struct event_header){STR("source_partition"), str_of(partition)};
    headers[n++] = (struct event_header){STR("source_offset"), str_of(offset)};
    if (item->cut >= CUT_VALUE) {
        snprintf(value_bytes, sizeof value_bytes, "%zu", message->value.len);
        headers[n++] =
            (struct event_header){STR("value_dropped"), str_of(value_bytes)};
    }
    if (item->cut >= CUT_KEY) {
        snprintf(key_bytes, sizeof key_bytes, "%zu", message->key.len);
        headers[n++] =
            (struct event_header){STR("key_dropped"), str_of(key_bytes)};
    }
    const struct outgoing outgoing = {
        .topic = options->topic,
        .key = item->cut >= CUT_KEY ? (struct str){0} : message->key,
        .value = item->cut >= CUT_VALUE ? (struct str){0} : message->value,
        .headers = headers,
        .headers_len = n,
        .at_ms = clock_now_ms(options->clock),
    };
    struct err err = {0};
    CRASHPOINT("reject_before");
    const bool sent =
        producer_send(options->producer, &outgoing, on_rejected, item, &err);
    free(headers);
    if (sent) {
        CRASHPOINT("reject_sent");
        return;
    }
    if (!send_less(item, &err)) {
        try_later(item);
    }
}

static void on_retry(void *context)
{
    struct item *item = context;
    list_remove(&item->link);
    send_rejection(item);
}

void reject(struct rejects *rejects, struct item *item,
            enum request_reject reason)
{
    assert(!item->rejects && !item->retry && reason != REQUEST_NAMED);
    item->rejects = rejects;
    item->error = request_reject_name(reason);
    log_at(LOG_WARN, "a message was rejected", LOG_TEXT("error", item->error),
           LOG_STR("request_id", item->request.request_id),
           LOG_I64("partition", item->message->partition),
           LOG_I64("offset", item->message->offset),
           LOG_LAST("why", item->request.why));
    list_remove(&item->link);
    rejects->under_way++;
    rejects->bytes += (int64_t)item->bytes;
    item->retry = loop_timer_new(rejects->options.loop, on_retry, item);
    if (!item->retry) {
        consumer_again(rejects->options.consumer, item->message);
        put_down(item);
        return;
    }
    send_rejection(item);
}
