#ifndef FLOW_ENGINE_H
#define FLOW_ENGINE_H

#include "core/burst.h"
#include "flow/stage.h"
#include "flow/tally.h"
#include "flow/turn.h"

/**
 * The engine: claim, do what is owed, step, save.
 *
 * It keeps the jobs of one worker. A job that is due has its stage begin the
 * effect that its state owes; the stage ends in an outcome; the step makes the
 * next row; rows that changed in a turn of the loop are written in one round
 * trip and one commit, and only then is the next effect owed.
 */

struct engine {
    struct stage_options options;
    struct stage_edges edges;
    struct clock clock;
    struct jobs jobs;
    struct due due; /* jobs that wait */
    struct gate gate;
    struct account_list accounts;
    struct learn learn;
    struct reasons reasons; /* why tasks of ours wait */
    struct turns turns;     /* with the store */
    struct stage stage;     /* what the stages get: all of the above */
    struct tally tally;
    struct burst burst; /* of rows; after one, memory is given back */
    loop_fn *on_idle;   /* draining: nothing is under way any more */
    void *idle_context;
    /** Others' part in what the engine learns; set by the fleet. */
    void (*on_hold)(void *context, enum hold_reason reason, struct str scope,
                    struct str message);
    void (*on_lease_dead)(void *context);
    void *fleet_context;
};

MUST_CHECK bool engine_init(struct engine *engine,
                            const struct stage_options *options,
                            const struct stage_edges *edges, struct err *err);

/** Every effect must have ended or its edge be closed. */
void engine_done(struct engine *engine);

/** Submissions should stop; the fleet is told. Reasons that stop only one task,
 * or none, are passed over, and so is what an old key was told: nothing new
 * goes under it. account: whose reason it is, as rows name it; empty: none's.
 */
void engine_hold(struct engine *engine, const char *account,
                 enum hold_reason reason, struct str message);

/** Whether GENERATIONS_MAX is reached, or the slots of an account, while
 * something waits. */
void engine_generations(struct engine *engine, const struct account *of,
                        bool full);

/** PostgreSQL's clock. */
int64_t engine_now_ms(const struct engine *engine);

/** Not ours any more. What only we know of it is kept. context: the engine. */
void engine_drop(void *context, struct job *job);

/** Ends what the job does, if that is a transfer. */
void engine_hurry_job(void *context, struct job *job);

/** What came of a job that is in no line. Slices are used before it returns. */
void engine_outcome(struct engine *engine, struct job *job,
                    const struct outcome *outcome);

/* ---- what engine_life.c ties together ---- */

extern const struct turn_hooks engine_turn_hooks;
extern const struct stage_hooks engine_stage_hooks;

/** A loop_fn: whatever is due by now. */
void engine_look(void *context);

/** A loop_fn: transfers that have begun some time ago, of unsaved rows. */
void engine_look_long(void *context);

/** A loop_fn: whoever is in line for a slot, as far as the gate is open. */
void engine_fill_slots(void *context);

/** The job is over; context: the engine. */
void engine_forget(void *context, struct job *job);

#endif
