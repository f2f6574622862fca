#ifndef FLOW_LEARN_H
#define FLOW_LEARN_H

#include "flow/job.h"
#include "flow/keys.h"

/**
 * Provider ids that could not be written through their job: the job is gone
 * with its lease, or the store is away. Each is kept, retried and named in an
 * ERROR line, because a lost id is a paid video lost.
 */

struct learn {
    struct loop *loop;
    struct store *store;
    struct list learnts; /* ids that could not be written yet */
    struct loop_timer *timer;
    struct metric *waiting;
    loop_fn *on_written;
    void *context;
};

/**
 * @param on_written  Called after each that the store has: a task may have
 *                    opened again, and be nobody's.
 * @return            false: no memory; learn_done() is still allowed.
 */
MUST_CHECK bool learn_init(struct learn *learn, struct loop *loop,
                           struct store *store, struct metrics *metrics,
                           loop_fn *on_written, void *context);
void learn_done(struct learn *learn);

/** A provider id that can't be written through its job; keys: of the account
 * that it was sent to, null: not ours. Copies all else. */
void learn_id(struct learn *learn, struct keys *keys, int64_t task,
              int32_t submission, struct str request_id,
              struct str provider_task_id);

/** A loop_fn: try all of them. */
void learn_retry(void *learn);

/** The ERROR line: an id that only this process knows so far. */
void learn_warn(int64_t task, struct str request_id,
                struct str provider_task_id);

/** The same of a job whose row can't be written now; nothing without an id. */
void learn_tell(const struct job *job);

/** How many are kept. */
size_t learn_waiting(const struct learn *learn);

#endif
