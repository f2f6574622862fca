#include "send.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GIVE_UP_MS 30000 /* without any acknowledgement */
#define AGAIN_MS 20

struct sending;

/** Whose answer it is. */
struct sent {
    struct sending *sending;
    size_t i;
};

struct sending {
    struct ctl *ctl;
    const char *command;
    struct loop *loop;
    struct producer *producer;
    struct loop_timer *timer;
    const struct outgoing *all;
    size_t len;
    struct sent *sent; /* as `all` */
    bool *acknowledged;
    size_t good;   /* acknowledged */
    size_t failed; /* refused */
    size_t next;   /* to be sent */
    /* the last acknowledgement, or the beginning */
    int64_t heard_ms;
    bool closing;
    char why[256];
};

static void on_state(void *context, bool connected, const char *why)
{
    struct sending *sending = context;
    snprintf(sending->why, sizeof sending->why, "%s", connected ? "" : why);
    if (!connected && !sending->closing) {
        fprintf(stderr, "pixverse-ctl %s: waiting for Kafka at %s: %s\n",
                sending->command, sending->ctl->settings.kafka_brokers, why);
    }
}

static void on_closed(void *context)
{
    loop_stop(((struct sending *)context)->loop);
}

static void on_sent(void *context, const struct err *err)
{
    const struct sent *sent = context;
    struct sending *sending = sent->sending;
    if (!err) {
        assert(!sending->acknowledged[sent->i]);
        sending->acknowledged[sent->i] = true;
        sending->good++;
        sending->heard_ms = loop_boot_ms(sending->loop);
        return;
    }
    if (sending->failed++ == 0) {
        fprintf(stderr, "pixverse-ctl %s: %s\n", sending->command, err->text);
    }
}

static bool send_next(struct sending *sending)
{
    struct sent *sent = &sending->sent[sending->next];
    struct err err;
    *sent = (struct sent){sending, sending->next};
    if (producer_send(sending->producer, &sending->all[sending->next], on_sent,
                      sent, &err)) {
        sending->next++;
        return true;
    }
    if (err.kind != ERR_TRANSIENT) {
        on_sent(sent, &err);
        sending->next++;
        return true;
    }
    return false; /* the window is full, or the producer begins afresh */
}

static void turn(void *context)
{
    struct sending *sending = context;
    while (sending->next < sending->len && send_next(sending)) {
    }
    bool answered = sending->next == sending->len &&
                    sending->good + sending->failed == sending->len;
    bool hopeless =
        loop_boot_ms(sending->loop) - sending->heard_ms > GIVE_UP_MS;
    if (answered || hopeless) {
        sending->closing = true;
        producer_close(sending->producer, 0, on_closed, sending);
        return;
    }
    loop_timer_set(sending->timer, AGAIN_MS);
}

static void send_on(struct sending *sending)
{
    struct err err = {0};
    sending->heard_ms = loop_boot_ms(sending->loop);
    sending->producer = producer_open(
        sending->loop, sending->ctl->settings.kafka_brokers,
        sending->ctl->properties, sending->ctl->settings.kafka_conf_len,
        on_state, sending, &err);
    sending->timer = loop_timer_new(sending->loop, turn, sending);
    if (!sending->producer || !sending->timer) {
        fprintf(stderr, "pixverse-ctl %s: %s\n", sending->command, err.text);
    } else {
        loop_timer_set(sending->timer, 0);
        loop_run(sending->loop);
    }
    loop_timer_free(sending->timer);
}

size_t send_messages(struct ctl *ctl, struct loop *loop, const char *command,
                     const struct outgoing *all, size_t len, bool *acknowledged)
{
    struct sending sending = {.ctl = ctl,
                              .command = command,
                              .loop = loop,
                              .all = all,
                              .len = len,
                              .acknowledged = acknowledged};
    struct err err = {0};
    memset(acknowledged, 0, len * sizeof *acknowledged);
    sending.sent = calloc(len + 1, sizeof *sending.sent);
    sending.loop = loop ? loop : loop_open(&err);
    if (!sending.loop || !sending.sent) {
        fprintf(stderr, "pixverse-ctl %s: %s\n", command,
                err.text[0] ? err.text : "no memory");
    } else {
        send_on(&sending);
    }
    if (sending.loop && !loop) {
        loop_close(sending.loop);
    }
    free(sending.sent);
    if (sending.good < len) {
        fprintf(stderr,
                "pixverse-ctl %s: Kafka at %s acknowledged %zu of %zu%s%s\n",
                command, ctl->settings.kafka_brokers, sending.good, len,
                sending.why[0] ? ": " : "", sending.why);
    }
    return sending.good;
}

bool send_all(struct ctl *ctl, struct loop *loop,
              const struct submissions *submissions)
{
    size_t len = submissions->len;
    struct outgoing *all = calloc(len + 1, sizeof *all);
    bool *acknowledged = calloc(len + 1, sizeof *acknowledged);
    for (size_t i = 0; all && i < len; i++) {
        all[i] = (struct outgoing){
            .topic = ctl->settings.kafka_request_topic,
            .key = submissions->all[i].request.request_id,
            .value = submissions->all[i].value,
        };
    }
    size_t good = 0;
    if (all && acknowledged) {
        good = send_messages(ctl, loop, "submit", all, len, acknowledged);
    }
    if (good < len) {
        fprintf(stderr,
                "One without an acknowledgement may have arrived all the same: "
                "to send it again under the same --id is safe, under a new one "
                "it may be paid for twice.\n");
    }
    for (size_t i = 0; good < len && len - good <= 10 && i < len; i++) {
        const struct request *request = &submissions->all[i].request;
        if (all && acknowledged && !acknowledged[i]) {
            fprintf(stderr, "  %.*s\n", (int)request->request_id.len,
                    request->request_id.at);
        }
    }
    free(all);
    free(acknowledged);
    return good == len;
}
