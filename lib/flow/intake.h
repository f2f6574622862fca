#ifndef FLOW_INTAKE_H
#define FLOW_INTAKE_H

#include "edge/consumer.h"
#include "flow/batch.h"
#include "flow/engine.h"
#include "flow/reject.h"

/**
 * From the request topic into the store: read and judge, have a turn insert a
 * batch in one commit, only then let the offset pass. What names no request
 * goes to the rejected topic, and its offset passes with the broker's
 * acknowledgement.
 *
 * While one batch is in the store, the next is read; once that is full, it goes
 * after the first, so that neither side waits for the other. No request id is
 * in both: which of two is the request, their order says, however often a batch
 * has to go again. (Offsets pass in order, whichever batch ends first.)
 * One that extends what is not finished is put aside, five seconds at most, and
 * others of its id with it, behind it.
 *
 * Whatever waits here (messages as they came, those of the batch, rejections)
 * has one budget of bytes, beyond which nothing more is read from the topic;
 * what a turn of the loop reads has one of bytes and of time.
 */

struct intake_options {
    const struct price_book *book;
    const char *rejected_topic;
    int64_t backlog_max; /* BACKLOG_MAX */
    int64_t bytes_max;   /* of all that waits here; above 0 */
};

struct intake {
    struct engine *engine; /* for its edges, clock and claims */
    struct intake_options options;
    struct consumer *consumer; /* null once a drain has closed it */
    struct list waiting;       /* as they came, not yet in a batch */
    size_t waiting_len;
    uint64_t came;      /* messages, so far */
    struct aside aside; /* read; what they extend is asked for again soon */
    struct loop_timer *ask_again;
    struct batch batches[2];
    struct batch *filling; /* takes what comes; null: both are on their way */
    int64_t bytes;         /* of all items */
    struct loop_timer *next_turn; /* goes on reading */
    int64_t turn_ms;              /* the turn in which turn_bytes were read */
    size_t turn_bytes;
    int64_t turn_us; /* that this took, so far */
    struct rejects rejects;
    bool paused;
    bool stopped;    /* draining */
    int64_t backlog; /* the fleet's waiting rows, as last told and since */
    int64_t blocked; /* those that nobody may claim yet */
    loop_fn *on_new; /* good requests were stored; null: nobody asks */
    void *new_context;
    struct metric *received;
    struct metric *repeated;
    struct metric *paused_gauge;
    struct metric *bytes_gauge;
    loop_fn *on_idle;
    void *idle_context;
};

MUST_CHECK bool intake_init(struct intake *intake, struct engine *engine,
                            struct consumer *consumer,
                            const struct intake_options *options,
                            struct err *err);
void intake_done(struct intake *intake);

/** A consumer_message_fn; context is the intake. */
void intake_message(void *intake, struct message *message);

/** Rows that wait for another request, a budget or an account that is held have
 * a bound of their own: so many times BACKLOG_MAX, which counts those that
 * could be claimed. */
#define BLOCKED_FACTOR 10

/** The fleet's waiting rows, counted: pauses and resumes consumption. */
void intake_backlog(struct intake *intake, int64_t queued, int64_t blocked);

/** How much of INTAKE_BYTES_MAX the consumer may read ahead of us: a quarter,
 * 16 MiB at most. The rest is options.bytes_max. */
int64_t intake_ahead_bytes(int64_t bytes_max);

/** The store is there again. */
void intake_store_is_back(struct intake *intake);

/** Take nothing more in; on_idle once nothing is under way. What was read and
 * not stored is given back. */
void intake_stop(struct intake *intake, loop_fn *on_idle, void *context);

#endif
