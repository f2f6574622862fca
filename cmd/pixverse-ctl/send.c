#include "send.h"

#include "edge/producer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define GIVE_UP_MS 30000 /* without any acknowledgement */
#define AGAIN_MS 20

struct sending {
    struct ctl *ctl;
    struct loop *loop;
    struct producer *producer;
    struct loop_timer *timer;
    const struct submissions *submissions;
    size_t next; /* to be sent */
    size_t acknowledged;
    size_t failed;
    int64_t heard_ms; /* the last acknowledgement, or the beginning */
    bool closing;
    char why[256];
};

static void on_state(void *context, bool connected, const char *why)
{
    struct sending *sending = context;
    snprintf(sending->why, sizeof sending->why, "%s", connected ? "" : why);
    if (!connected && !sending->closing) {
        fprintf(stderr, "pixverse-ctl submit: waiting for Kafka at %s: %s\n",
                sending->ctl->settings.kafka_brokers, why);
    }
}

static void on_closed(void *context)
{
    loop_stop(((struct sending *)context)->loop);
}

static void on_sent(void *context, const struct err *err)
{
    struct sending *sending = context;
    if (!err) {
        sending->acknowledged++;
        sending->heard_ms = loop_boot_ms(sending->loop);
        return;
    }
    if (sending->failed++ == 0) {
        fprintf(stderr, "pixverse-ctl submit: %s\n", err->text);
    }
}

static bool send_next(struct sending *sending)
{
    const struct submission *submission =
        &sending->submissions->all[sending->next];
    struct outgoing outgoing = {
        .topic = sending->ctl->settings.kafka_request_topic,
        .key = submission->request.request_id,
        .value = submission->value,
    };
    struct err err;
    if (producer_send(sending->producer, &outgoing, on_sent, sending, &err)) {
        sending->next++;
        return true;
    }
    if (err.kind != ERR_TRANSIENT) {
        on_sent(sending, &err);
        sending->next++;
        return true;
    }
    return false; /* the window is full, or the producer begins afresh */
}

static void turn(void *context)
{
    struct sending *sending = context;
    size_t len = sending->submissions->len;
    while (sending->next < len && send_next(sending)) {
    }
    bool answered =
        sending->next == len && sending->acknowledged + sending->failed == len;
    bool hopeless =
        loop_boot_ms(sending->loop) - sending->heard_ms > GIVE_UP_MS;
    if (answered || hopeless) {
        sending->closing = true;
        producer_close(sending->producer, 0, on_closed, sending);
        return;
    }
    loop_timer_set(sending->timer, AGAIN_MS);
}

static bool report(const struct sending *sending)
{
    size_t len = sending->submissions->len;
    if (sending->acknowledged == len) {
        return true;
    }
    fprintf(stderr,
            "pixverse-ctl submit: Kafka at %s acknowledged %zu of %zu%s%s\nOne "
            "without an acknowledgement may have arrived all the same: to send "
            "it again under the same --id is safe, under a new one it may be "
            "paid for twice.\n",
            sending->ctl->settings.kafka_brokers, sending->acknowledged, len,
            sending->why[0] ? ": " : "", sending->why);
    for (size_t i = 0; len - sending->acknowledged <= 10 && i < len; i++) {
        const struct request *request = &sending->submissions->all[i].request;
        fprintf(stderr, "  %.*s\n", (int)request->request_id.len,
                request->request_id.at);
    }
    return false;
}

bool send_all(struct ctl *ctl, struct loop *loop,
              const struct submissions *submissions)
{
    struct sending sending = {.ctl = ctl,
                              .loop = loop,
                              .submissions = submissions,
                              .heard_ms = loop_boot_ms(loop)};
    struct err err = {0};
    sending.producer =
        producer_open(loop, ctl->settings.kafka_brokers, ctl->properties,
                      ctl->settings.kafka_conf_len, on_state, &sending, &err);
    sending.timer = loop_timer_new(loop, turn, &sending);
    if (!sending.producer || !sending.timer) {
        fprintf(stderr, "pixverse-ctl submit: %s\n", err.text);
        loop_timer_free(sending.timer);
        return false;
    }
    loop_timer_set(sending.timer, 0);
    loop_run(loop);
    loop_timer_free(sending.timer);
    return report(&sending);
}
