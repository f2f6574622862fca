#include "flow/engine_told.h"

#include <assert.h>

void engine_set_hold(struct engine *engine, enum hold_reason worst)
{
    if (gate_set_hold(&engine->account.gate, worst)) {
        turn_want_claims(&engine->turns);
    }
}

void engine_storage_tried(struct engine *engine)
{
    gate_storage_tried(&engine->account.gate);
    turn_want_claims(&engine->turns);
}

void engine_joined(struct engine *engine, int64_t owner)
{
    assert(owner > 0);
    gate_joined(&engine->account.gate);
    turn_joined(&engine->turns, owner);
}

void engine_bumped(struct engine *engine, int64_t bump_started_ms,
                   int64_t now_ms)
{
    assert(now_ms > 0);
    clock_told(&engine->clock, now_ms);
    gate_bumped(&engine->account.gate, bump_started_ms);
    turn_soon(&engine->turns);
}

void engine_lost(struct engine *engine)
{
    gate_lost(&engine->account.gate);
    jobs_each(&engine->jobs, engine_drop, engine);
    turn_lost(&engine->turns);
    reasons_reset(&engine->reasons);
}

void engine_want_claims(struct engine *engine)
{
    turn_want_claims(&engine->turns);
}

void engine_want_adopts(struct engine *engine)
{
    turn_want_adopts(&engine->turns);
}

void engine_want_expiry(struct engine *engine)
{
    turn_want_expiry(&engine->turns);
}

void engine_want_chains(struct engine *engine)
{
    turn_want_chains(&engine->turns);
}

void engine_store_is_back(struct engine *engine)
{
    keys_tell(&engine->account.keys);
    learn_retry(&engine->account.learn);
    turn_go_on(&engine->turns);
}

void engine_drain(struct engine *engine, loop_fn *callback, void *context)
{
    assert(callback && !engine->account.gate.draining);
    gate_drain(&engine->account.gate);
    keys_stop(&engine->account.keys);
    engine->on_idle = callback;
    engine->idle_context = context;
    turn_soon(&engine->turns);
}

void engine_hurry(struct engine *engine)
{
    jobs_each(&engine->jobs, engine_hurry_job, NULL);
}
