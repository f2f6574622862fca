#ifndef FLOW_KEYS_H
#define FLOW_KEYS_H

#include "base/metric.h"
#include "core/apimart.h"
#include "core/keys.h"
#include "edge/poll.h"
#include "edge/loop.h"
#include "edge/store.h"
#include "flow/job.h"

/**
 * Does the provider honour idempotency keys? Asked at the start, hourly and at
 * a doubt; shared by the fleet through the store; and overruled by what is
 * seen: one key under which two videos were bought. One of each account.
 */

struct keys_options {
    struct loop *loop;
    struct store *store;
    struct poller *poller;         /* the provider is asked through it */
    const struct apimart *apimart; /* its key in use; outlives this */
    enum submit_doubt submit_doubt;
};

struct keys {
    struct keys_options options;
    enum keys_answer answer;
    int64_t lifetime_ms; /* the provider's, of a key */
    bool untold;         /* KEYS_BROKEN, which the store does not know yet */
    bool asking;         /* the provider's answer is to come */
    bool stopped;        /* draining: no questions any more */
    struct loop_timer *ask_timer;
    struct loop_timer *tell_timer;
    struct arena scratch; /* of one question */
    struct metric *broken;
};

/** false: no memory; keys_done() is still allowed. */
MUST_CHECK bool keys_init(struct keys *keys, const struct keys_options *options,
                          struct metrics *metrics);
void keys_done(struct keys *keys);

/** A loop_fn: asks the provider, unless that is under way or of no use. */
void keys_ask(void *keys);

/** Another worker's answer, as the store has it. */
void keys_told(struct keys *keys, enum keys_answer answer, int64_t lifetime_ms);

/** A loop_fn: what the store does not know yet; again when it is back. */
void keys_tell(void *keys);

/** No more questions. */
void keys_stop(struct keys *keys);

/** One key has bought two videos: nothing is replayed here any more. */
void keys_caught(struct keys *keys, const char *request_id,
                 const char *provider_task_id, const char *other);

/** The row of a job as the store has it: an id in it that is not the one that
 * our own send brought shows that the provider does not honour keys. */
void keys_compare(struct keys *keys, const struct job *job,
                  const struct task_row *row);

/** What was perhaps sent before the database was set back may be sent if that
 * was after this time; INT64_MAX: never (core/doubt.h). */
int64_t keys_resend_after_ms(const struct keys *keys, int64_t now_ms);

/** What a doubt comes to by setting and answer. */
enum submit_doubt keys_policy(const struct keys *keys);

#endif
