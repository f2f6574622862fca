#ifndef FLOW_TURN_H
#define FLOW_TURN_H

#include "flow/engine.h"

/**
 * The engine's turn with the store: everything that changed goes out in one
 * round trip, and the next only when its answers are there. Between engine.c,
 * turn.c, take.c and mine.c; stages use engine.h.
 */

/** At the end of this turn of the loop, if there is something to ask. */
void turn_soon(struct engine *engine);

/** A row that is ours could not be taken in: all of ours are read again once
 * there may be memory. */
void turn_short_of_memory(struct engine *engine);
void turn_again(void *engine);

/** Ends the pause after an error, and the wait of rows that were put back. */
void turn_go_on(void *engine);
void turn_save_again(void *engine);

/** All that the store knows as ours, after answers were lost (mine.c). */
void turn_mine_came(struct engine *engine, const struct turn_result *result);

/* What the answers are for (engine.c). */
void engine_saved(struct engine *engine, struct job *job);
void engine_save_again(struct engine *engine, struct job *job);
void engine_facts_came(struct engine *engine, struct job *job);
void engine_row_came(struct engine *engine, struct job *job,
                     const struct task_row *row);
/** false: no memory, and nothing has changed. */
MUST_CHECK bool engine_replace_row(struct job *job, const struct task_row *row);
void engine_drop(struct engine *engine, struct job *job);
struct job *engine_take_in(struct engine *engine, const struct task_read *read,
                           bool fresh_claim);
void engine_start_claimed(struct engine *engine, struct job *job);
/** A row of ours that this program can't read: said, and nothing else. */
void take_leave_alone(int64_t task);

#endif
