#ifndef FLOW_INTAKE_H
#define FLOW_INTAKE_H

#include "edge/consumer.h"
#include "flow/engine.h"

/**
 * From the request topic into the store: read and judge, insert a batch in one
 * commit, only then let the offset pass. What names no request goes to the
 * rejected topic, and its offset passes with the broker's acknowledgement.
 */

struct intake_options {
    const char *rejected_topic;
    int64_t backlog_max; /* BACKLOG_MAX */
};

struct intake {
    struct engine *engine; /* for its edges, clock and claims */
    struct intake_options options;
    struct consumer *consumer; /* set by the worker once it is open */
    struct list waiting;   /* read, not yet in a batch */
    size_t waiting_len;
    struct list batch;     /* under way to the store */
    size_t batch_len;
    struct arena arena;    /* of the batch's rows */
    struct loop_timer *retry;
    int retries;
    bool storing;          /* a batch is under way or waits for its retry */
    bool asked;            /* the store has it: its answer is to come */
    size_t rejecting;      /* rejections not yet acknowledged */
    bool paused;
    bool stopped;          /* draining */
    int64_t backlog;       /* the fleet's waiting rows, as last told and since */
    struct metric *received;
    struct metric *rejected;
    struct metric *repeated;
    struct metric *invalid;
    struct metric *paused_gauge;
    loop_fn *on_idle;
    void *idle_context;
};

MUST_CHECK bool intake_init(struct intake *intake, struct engine *engine,
                            const struct intake_options *options,
                            struct err *err);
void intake_done(struct intake *intake);

/** A consumer_message_fn; context is the intake. */
void intake_message(void *intake, struct message *message);

/** The fleet's waiting rows, counted: pauses and resumes consumption. */
void intake_backlog(struct intake *intake, int64_t queued);

/** The store is there again. */
void intake_store_is_back(struct intake *intake);

/** Take nothing more in; on_idle once nothing is under way. What was read and
 * not stored is given back. */
void intake_stop(struct intake *intake, loop_fn *on_idle, void *context);

#endif
