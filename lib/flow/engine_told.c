#include "flow/engine_told.h"

#include <assert.h>

void engine_set_holds(struct engine *engine, enum hold_reason all,
                      const enum hold_reason *each)
{
    const bool lifted = gate_set_hold(&engine->gate, all);
    bool opened = lifted;
    for (size_t i = 0; i < engine->accounts.len; i++) {
        struct account *account = &engine->accounts.at[i];
        struct lane *lane = &account->lane;
        opened = lane_set(&engine->gate, lane, each[i], lane->misfit) || opened;
        metric_set(account->open, each[i] == HOLD_NONE && !lane->misfit);
        if (lifted) {
            lane_restart(&engine->gate, lane);
        }
    }
    if (opened) {
        turn_want_claims(&engine->turns);
    }
}

void engine_set_misfit(struct engine *engine, size_t account, bool misfit)
{
    assert(account < engine->accounts.len);
    struct lane *lane = &engine->accounts.at[account].lane;
    if (lane_set(&engine->gate, lane, lane->hold, misfit)) {
        turn_want_claims(&engine->turns);
    }
}

void engine_storage_tried(struct engine *engine)
{
    gate_storage_tried(&engine->gate);
    turn_want_claims(&engine->turns);
}

void engine_joined(struct engine *engine, int64_t owner)
{
    assert(owner > 0);
    gate_joined(&engine->gate);
    turn_joined(&engine->turns, owner);
}

void engine_bumped(struct engine *engine, int64_t bump_started_ms,
                   int64_t now_ms)
{
    assert(now_ms > 0);
    clock_told(&engine->clock, bump_started_ms, now_ms);
    gate_bumped(&engine->gate, bump_started_ms);
    turn_soon(&engine->turns);
}

void engine_lost(struct engine *engine)
{
    gate_lost(&engine->gate);
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

void engine_want_nobodys(struct engine *engine)
{
    turn_want_nobodys(&engine->turns);
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
    account_tell_all(&engine->accounts);
    learn_retry(&engine->learn);
    turn_go_on(&engine->turns);
}

void engine_drain(struct engine *engine, loop_fn *callback, void *context)
{
    assert(callback && !engine->gate.draining);
    gate_drain(&engine->gate);
    account_stop_all(&engine->accounts);
    engine->on_idle = callback;
    engine->idle_context = context;
    turn_soon(&engine->turns);
}

void engine_hurry(struct engine *engine)
{
    jobs_each(&engine->jobs, engine_hurry_job, NULL);
}
