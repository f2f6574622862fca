#ifndef FLOW_TAKE_H
#define FLOW_TAKE_H

#include "edge/loop.h"
#include "edge/store.h"
#include "flow/job.h"

/**
 * A row that was read becomes a job. No outcome is applied here: what is to be
 * done with it is the engine's.
 */

/**
 * A fresh job of that row, which this program can read.
 *
 * @return  null: no memory or slot, or it is a job already.
 */
struct job *take_in(struct jobs *jobs, const struct task_read *read);

/** The job's row as the store has it. false: no memory, nothing has changed. */
MUST_CHECK bool take_row(struct job *job, const struct task_row *row);

/** Into the job's effect; without memory it has none, and asks again. */
void take_facts(const struct facts_row *row, struct job *job);

/** A row of ours that this program can't read: said, and nothing else. */
void take_leave_alone(int64_t task);

/** How long a row waits that took worker after worker with it: it is tried late
 * and rarely, and named. 0: it is none of these. */
int64_t take_suspect_ms(const struct job *job, struct loop *loop);

#endif
