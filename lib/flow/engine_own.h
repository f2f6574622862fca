#ifndef FLOW_ENGINE_OWN_H
#define FLOW_ENGINE_OWN_H

#include "flow/engine.h"

/** What the engine's own files share; nobody else includes this. */

/** What it hears of turns and of stages (engine.c). */
extern const struct turn_hooks engine_turn_hooks;
extern const struct stage_hooks engine_stage_hooks;

/** A loop_fn: whatever is due by now. */
void engine_look(void *context);

/** A loop_fn: whoever is in line for a slot, as far as the gate is open. */
void engine_fill_slots(void *context);

/** The job is over; context: the engine. */
void engine_forget(void *context, struct job *job);

#endif
