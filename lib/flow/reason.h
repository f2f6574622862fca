#ifndef FLOW_REASON_H
#define FLOW_REASON_H

#include "core/reason.h"
#include "edge/store.h"
#include "flow/job.h"

/**
 * Why the tasks of one worker wait. What comes of each try is kept beside its
 * job; what lasts is logged, written in the next turn with the store, and shown
 * by the probes. At most REASONS_MAX tasks have a row of their own: beyond that
 * it is a trouble of many, and one row says so.
 */

#define REASONS_MAX 200

/** The reason of one job; exists from its first try that came to nothing. */
struct trouble {
    struct list link; /* in reasons->troubled */
    struct job *job;
    struct reason reason;
    bool told;       /* logged: it has waited for long */
    bool stored;     /* the store has its row, or gets it in this turn */
    bool changed;    /* the row is behind */
    int64_t told_ms; /* when the row was last given to the store */
};

/** A reason that many share; since_ms 0: none now. */
struct shared {
    int64_t since_ms;
    int64_t next_ms; /* 0: when room comes */
    int32_t tries;
    bool told;
    char answer[REASON_ANSWER_BYTES];
};

struct reasons {
    struct loop_timer *timer;
    struct list troubled;
    size_t stored;
    bool due;                /* some row is behind, as the last tick saw */
    struct reason_row *gone; /* rows to take away; words empty */
    size_t gone_len;
    size_t gone_size;
    size_t gone_sent; /* of these, in the turn under way */
    struct shared shared[SHARED_REASONS_LEN];
    bool shared_changed;
    bool shared_sent;
};

/**
 * @param on_tick  Called every few seconds, to end in reasons_tick().
 */
MUST_CHECK bool reasons_init(struct reasons *reasons, struct loop *loop,
                             loop_fn *on_tick, void *context);
void reasons_done(struct reasons *reasons);

/** What an outcome means for the reason of its job, whose row is still the one
 * before the step. next_ms: of the next try. */
void reasons_outcome(struct reasons *reasons, struct job *job,
                     const struct outcome *outcome, const struct step *step,
                     int64_t now_ms, int64_t next_ms);

/** The job goes, and its row is another's by now. */
void reasons_drop(struct reasons *reasons, struct job *job);

/** Another try met what many wait for. */
void reasons_shared(struct reasons *reasons, enum shared_reason reason,
                    const char *answer, int64_t now_ms, int64_t next_ms);
void reasons_shared_over(struct reasons *reasons, enum shared_reason reason);

/** What has lasted is told. Whether the store has something to write. */
bool reasons_tick(struct reasons *reasons, int64_t now_ms);

/** Whether there is something for a turn. */
bool reasons_are_due(const struct reasons *reasons);

/** Into the turn; texts live in the arena. */
void reasons_gather(struct reasons *reasons, struct turn *turn,
                    struct arena *arena, int64_t now_ms);

/** The turn is over; false: nobody knows whether it was written. */
void reasons_written(struct reasons *reasons, bool done);

/** A lease was lost: every row is another's. */
void reasons_reset(struct reasons *reasons);

/** The words of a job's reason; null: it has none. */
const struct reason *reasons_of(const struct job *job);

#endif
