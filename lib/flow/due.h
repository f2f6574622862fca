#ifndef FLOW_DUE_H
#define FLOW_DUE_H

#include "base/heap.h"
#include "flow/clock.h"
#include "flow/job.h"

/** How long a transfer runs before a takeover had better know of it. */
#define TRANSFER_UNSAVED_MS 2000

/**
 * Jobs that wait: for their time, and then, some, for a slot. It knows when;
 * what is owed then is the engine's to say.
 */
struct due {
    const struct clock *clock;
    struct heap waiting;   /* JOB_WAITING, by the boot clock */
    struct heap transfers; /* JOB_LINED_UP in READY, most urgent first */
    struct list replays;   /* doubts in JOB_WAITING that want a slot */
    struct list fresh;     /* transfers of rows that are not saved, as begun */
    struct loop_timer *timer;
    struct loop_timer *fresh_timer;
};

/**
 * @param jobs_max  Never more jobs than that.
 * @param on_time   Called when something is due: take all with due_pop().
 * @param on_long   The same of due_pop_long().
 * @return          false: no memory; due_done() is still allowed.
 */
MUST_CHECK bool due_init(struct due *due, const struct clock *clock,
                         size_t jobs_max, loop_fn *on_time, loop_fn *on_long,
                         void *context);
void due_done(struct due *due);

/** The job waits until due_ms of PostgreSQL's clock. */
void due_from(struct due *due, struct job *job, int64_t due_ms);

/** A job whose time has come by boot_ms of the boot clock, out of every line;
 * null: none, and the timer is set for the next one. */
struct job *due_pop(struct due *due, int64_t boot_ms);

/** The job waits for a slot of the transfers; the smallest rank is first. */
void due_line_up(struct due *due, struct job *job, int64_t rank_ms);
struct job *due_pop_transfer(struct due *due);
bool due_has_transfer(const struct due *due);

/** A job that waits for its time also stands in line for a replay: whichever
 * comes first. */
void due_line_up_replay(struct due *due, struct job *job);
/** The first that `fits`, out of the line; null: none. */
struct job *due_pop_replay(struct due *due,
                           bool (*fits)(void *context, const struct job *job),
                           void *context);

/** A transfer of what is READY in memory alone has begun, at its began_ms. */
void due_begun(struct due *due, struct job *job);

/** One that began TRANSFER_UNSAVED_MS before boot_ms or earlier, out of the
 * line; null: none, and the timer is set for the next one. */
struct job *due_pop_long(struct due *due, int64_t boot_ms);

/** Out of whatever it waits in, here or in another's list. */
void due_remove(struct due *due, struct job *job);

#endif
