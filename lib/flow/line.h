#ifndef FLOW_LINE_H
#define FLOW_LINE_H

#include "flow/job.h"

/** A line of jobs, linked by job.link, that want something of a turn. */

/** How many stand in it, counted up to max. */
size_t line_len(const struct list *line, size_t max);

/**
 * Takes the head of the line, up to max jobs.
 *
 * @param refs  To know them by when the answer comes; in the arena.
 * @return      Their tasks, with room for so many more; in the arena. null: no
 *              memory, nothing was taken.
 */
int64_t *line_take(struct list *line, struct arena *arena,
                   struct job_ref **refs, size_t *refs_len, size_t max,
                   size_t room);

/** Those that are still in that phase stand in line again. */
void line_again(const struct jobs *jobs, struct list *line,
                const struct job_ref *refs, size_t len, enum job_phase phase);

#endif
