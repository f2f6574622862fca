#ifndef FLOW_OWE_H
#define FLOW_OWE_H

#include "flow/engine.h"

/**
 * What is owed, and when: jobs that wait, the timer that wakes them, the slots
 * that limit what runs at once. Inside of the engine; stages use engine.h.
 */

/** Begin what the job's state owes, or line it up for a slot. */
void owe_now(struct engine *engine, struct job *job);

/** Have a stage begin its effect. */
void owe_act(struct engine *engine, struct job *job,
             void (*begin)(struct engine *engine, struct job *job));

/** A loop_fn: whatever is due by now. */
void owe_timer(void *engine);

/** A loop_fn: whoever is in line for a slot, as far as the gate is open. */
void owe_fill_slots(void *engine);

#endif
