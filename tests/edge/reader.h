#ifndef TESTS_EDGE_READER_H
#define TESTS_EDGE_READER_H

#include "edge/kafka_trial.h"

#include <string.h>

#define SEEN_MAX 20000

/** Reads numbered messages; the number is the value. */
struct reader {
    struct consumer *consumer;
    struct message *kept[SEEN_MAX]; /* handed out, not done */
    size_t kept_len;
    int seen[SEEN_MAX];     /* by number: how often it was handed out */
    int finished[SEEN_MAX]; /* by number: how often it was done */
    int messages;
    int distinct;
    int want;
    bool keep;      /* don't do them at once */
    int pause_each; /* pause after so many; 0: never */
    bool paused;
    int while_paused; /* handed out although paused */
    bool connected;
    char why[256];
};

static inline int number_of(const struct message *message)
{
    int64_t number = -1;
    str_to_i64(message->value, 0, SEEN_MAX - 1, &number);
    return (int)number;
}

static inline void finish(struct reader *reader, struct message *message)
{
    int number = number_of(message);
    if (number >= 0) {
        reader->finished[number]++;
    }
    consumer_done(reader->consumer, message);
}

static inline void on_message(void *context, struct message *message)
{
    struct reader *reader = context;
    int number = number_of(message);
    reader->messages++;
    reader->while_paused += reader->paused;
    if (number >= 0 && reader->seen[number]++ == 0) {
        reader->distinct++;
    }
    if (reader->keep) {
        reader->kept[reader->kept_len++] = message;
    } else {
        finish(reader, message);
    }
    if (reader->pause_each && reader->messages % reader->pause_each == 0) {
        reader->paused = true;
        consumer_pause(reader->consumer);
    }
}

static inline void on_state(void *context, bool connected, const char *why)
{
    struct reader *reader = context;
    reader->connected = connected;
    snprintf(reader->why, sizeof reader->why, "%s", why);
}

static inline void reader_open(struct reader *reader, struct trial *trial,
                               const char *topic, const char *group)
{
    struct err err = {0};
    struct consumer_options options = {
        .brokers = trial_brokers(), .group = group, .topic = topic};
    reader->consumer = consumer_open(trial->loop, &options, on_message,
                                     on_state, reader, &err);
    assert_non_null(reader->consumer);
}

static inline struct reader *reader_new(struct trial *trial, const char *topic,
                                        const char *group)
{
    struct reader *reader = calloc(1, sizeof *reader);
    reader_open(reader, trial, topic, group);
    return reader;
}

static inline void reader_drop_all(struct reader *reader)
{
    while (reader->kept_len > 0) {
        consumer_drop(reader->consumer, reader->kept[--reader->kept_len]);
    }
}

static inline void reader_end(struct reader *reader, struct trial *trial)
{
    trial_close_consumer(trial, reader->consumer);
    free(reader);
}

static inline bool has_all(void *context)
{
    struct reader *reader = context;
    return reader->distinct >= reader->want;
}

static inline bool is_connected(void *context)
{
    return ((struct reader *)context)->connected;
}

static inline bool has_some(void *context)
{
    return ((struct reader *)context)->messages > 0;
}

static inline bool lag_is_0(void *context)
{
    return consumer_lag(((struct reader *)context)->consumer) == 0;
}

#endif
