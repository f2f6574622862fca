#include "flow/why.h"

#include "flow/turn.h"

#include <stdio.h>

/* ---- what one task meets ---- */

/** In doubt it is not the next look at the row that people wait for. */
static int64_t next_try_ms(struct engine *engine, const struct step *step)
{
    int64_t due_ms = step->due_ms;
    if (step->next.row.state == SUBMITTING && step->next.row.doubt) {
        struct policy policy = engine_policy(engine);
        (void)task_doubt_act(&step->next, &policy, engine_now_ms(engine),
                             &due_ms);
    }
    return due_ms;
}

void why_outcome(struct engine *engine, struct job *job,
                        const struct outcome *outcome, const struct step *step)
{
    reasons_outcome(&engine->reasons, job, outcome, step,
                    engine_now_ms(engine), next_try_ms(engine, step));
    if (step->hold == HOLD_THROTTLE) {
        why_shared(engine, SHARED_THROTTLE, outcome);
    }
}

/* ---- what many wait for ---- */

void why_shared(struct engine *engine, enum shared_reason reason,
                   const struct outcome *outcome)
{
    char answer[REASON_ANSWER_BYTES];
    int64_t now_ms = engine_now_ms(engine);
    int64_t next_ms =
        clock_of_boot_ms(&engine->clock, engine->gate.pace.shut_until_ms);
    reason_answer(answer, sizeof answer, outcome->http_status,
                  outcome->message);
    reasons_shared(&engine->reasons, reason, answer, now_ms,
                   next_ms > now_ms ? next_ms
                                    : now_ms + outcome->retry_after_ms);
}

void why_generations(struct engine *engine, bool full)
{
    char answer[REASON_ANSWER_BYTES];
    snprintf(answer, sizeof answer,
             "GENERATIONS_MAX=%d tasks are submitting or running",
             engine->options.generations_max);
    if (full) {
        reasons_shared(&engine->reasons, SHARED_GENERATIONS_FULL, answer,
                       engine_now_ms(engine), 0);
    } else {
        reasons_shared_over(&engine->reasons, SHARED_GENERATIONS_FULL);
    }
}

static void note_full(struct engine *engine, enum shared_reason reason,
                      bool full, const char *setting, int most)
{
    char answer[REASON_ANSWER_BYTES];
    snprintf(answer, sizeof answer, "%s=%d are under way in this worker",
             setting, most);
    if (full) {
        reasons_shared(&engine->reasons, reason, answer, engine_now_ms(engine),
                       0);
    } else if (engine->reasons.shared[reason].since_ms) {
        reasons_shared_over(&engine->reasons, reason);
    }
}

void why_tick(void *context)
{
    struct engine *engine = context;
    const struct engine_options *o = &engine->options;
    note_full(engine, SHARED_TRANSFERS_FULL,
              due_has_transfer(&engine->due) &&
                  gate_transfers_room(&engine->gate) <= 0,
              "TRANSFERS_MAX", o->transfers_max);
    note_full(engine, SHARED_TASKS_FULL,
              engine->claim_wanted && engine->jobs.used >= (size_t)o->tasks_max,
              "TASKS_MAX", o->tasks_max);
    if (reasons_tick(&engine->reasons, engine_now_ms(engine))) {
        turn_soon(engine);
    }
}
