#ifndef FLOW_SAVES_H
#define FLOW_SAVES_H

#include "core/commits.h"
#include "flow/reads.h"

/**
 * Rows to write, as a part of a turn. What was sent and not answered is neither
 * written nor not: its jobs stay in JOB_SAVING, marked as unsure, until all
 * that is ours was read (mine.h).
 */
struct saves {
    const struct ties *ties;
    struct reads *reads;      /* who sees rows again that were fenced off */
    struct list dirty;        /* JOB_SAVING, not yet under way */
    struct list put_back;     /* JOB_SAVING: the store does not take it now */
    struct loop_timer *timer; /* what was put back: again */
    struct job_ref *sent;     /* in the flight's arena */
    size_t sent_len;
    struct metric *rows;
    struct metric *fenced;
};

/** false: no memory; saves_done() is still allowed. */
MUST_CHECK bool saves_init(struct saves *saves, const struct ties *ties,
                           struct reads *reads);
void saves_done(struct saves *saves);

/** The job's row is written; then_ms: when its next effect is due; rides:
 * nothing waits for it, and with this process it may be lost. */
void saves_add(struct saves *saves, struct job *job, int64_t then_ms,
               bool rides);

/** Adds what waits here. slots_wanted: what the rows hold is asked for. */
void saves_want(const struct saves *saves, bool slots_wanted,
                struct commits_wanted *wanted);

/** Nothing waits. */
bool saves_is_idle(const struct saves *saves);

void saves_gather(struct saves *saves, struct turn *turn, struct arena *arena);
void saves_came(struct saves *saves, const struct turn_result *result);
void saves_lost(struct saves *saves);

#endif
