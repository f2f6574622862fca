#include "flow/gate.h"

#include "core/lease.h"

#include <assert.h>

void gate_init(struct gate *gate, const struct clock *clock,
               const struct gate_options *options, loop_fn *on_free,
               void *context)
{
    assert(clock && on_free);
    assert(options->submits_max > 0 && options->transfers_max > 0);
    assert(options->lease_ms > 0);
    *gate = (struct gate){.clock = clock,
                          .options = *options,
                          .on_free = on_free,
                          .context = context};
}

void lane_init(struct lane *lane, const struct gate *gate)
{
    assert(gate->clock);
    *lane = (struct lane){0};
    pace_init(&lane->pace, gate->options.submits_max);
}

/* ---- what is told ---- */

void gate_joined(struct gate *gate)
{
    assert(!gate->lease_ok);
    gate->lease_ok = true;
}

void gate_lost(struct gate *gate)
{
    assert(gate->clock);
    gate->lease_ok = false;
}

void gate_bumped(struct gate *gate, int64_t boot_ms)
{
    /* The lease may be gone by now: then this opens nothing. */
    assert(boot_ms >= gate->bump_started_ms);
    gate->bump_started_ms = boot_ms;
    gate_look(gate); /* the pace may have opened, too */
}

void gate_drain(struct gate *gate)
{
    assert(gate->on_free);
    gate->draining = true;
}

bool gate_set_hold(struct gate *gate, enum hold_reason worst)
{
    assert(worst >= HOLD_NONE && worst < HOLD_REASONS_LEN);
    assert(worst == HOLD_NONE || worst == HOLD_STORAGE ||
           worst == HOLD_OPERATOR);
    bool lifted = gate->hold != HOLD_NONE && worst == HOLD_NONE;
    gate->hold = worst;
    return lifted;
}

bool lane_set(struct gate *gate, struct lane *lane, enum hold_reason worst,
              bool misfit)
{
    assert(worst == HOLD_NONE || worst == HOLD_AUTH || worst == HOLD_BALANCE ||
           worst == HOLD_CHANNEL);
    bool was_shut = lane->hold != HOLD_NONE || lane->misfit;
    lane->hold = worst;
    lane->misfit = misfit;
    if (!was_shut || worst != HOLD_NONE || misfit) {
        return false;
    }
    lane_restart(gate, lane);
    return true;
}

void lane_restart(struct gate *gate, struct lane *lane)
{
    assert(gate->on_free);
    pace_restart(&lane->pace);
    gate_look(gate);
}

void gate_storage_tried(struct gate *gate)
{
    assert(gate->on_free);
    gate->storage_untried = false;
    gate_look(gate);
}

/* ---- what is asked ---- */

bool gate_may_submit(const struct gate *gate, const struct lane *lane)
{
    return gate->hold == HOLD_NONE && lane->hold == HOLD_NONE &&
           !lane->misfit && !gate->storage_untried && gate_may_send(gate);
}

bool gate_may_send(const struct gate *gate)
{
    assert(gate->options.lease_ms > 0);
    return gate->lease_ok && !gate->draining &&
           /* Not the turn's time: the process may have stood still since. */
           lease_may_submit(gate->bump_started_ms, gate->options.lease_ms,
                            loop_boot_us(gate->clock->loop) / 1000);
}

int gate_submits_room(const struct gate *gate, const struct lane *lane,
                      bool returning)
{
    assert(lane->submits >= 0 && lane->submits <= gate->under_way[SLOT_SUBMIT]);
    int ours = lane->submits - (returning ? lane->returning : 0);
    int all = gate->under_way[SLOT_SUBMIT] - (returning ? gate->returning : 0);
    assert(ours >= 0 && all >= ours);
    int room = pace_room(&lane->pace, ours, clock_boot_ms(gate->clock));
    /* All accounts' together are those of the worker. */
    int left = gate->options.submits_max - all;
    left = left > 0 ? left : 0;
    return room < left ? room : left;
}

int gate_transfers_room(const struct gate *gate)
{
    assert(gate->under_way[SLOT_TRANSFER] >= 0);
    return gate->options.transfers_max - gate->under_way[SLOT_TRANSFER];
}

bool gate_is_idle(const struct gate *gate)
{
    assert(gate->under_way[SLOT_ANNOUNCE] >= 0);
    return gate->under_way[SLOT_SUBMIT] == 0 &&
           gate->under_way[SLOT_TRANSFER] == 0 &&
           gate->under_way[SLOT_ANNOUNCE] == 0;
}

void gate_done(struct gate *gate)
{
    loop_undefer(gate->clock->loop, gate->on_free, gate->context);
}

/* ---- slots ---- */

void gate_look(struct gate *gate)
{
    assert(gate->on_free);
    loop_defer(gate->clock->loop, gate->on_free, gate->context);
}

void gate_enter(struct gate *gate, enum job_slot slot)
{
    assert(slot > SLOT_NONE && slot < SLOTS_LEN);
    assert(gate->under_way[slot] >= 0);
    gate->under_way[slot]++;
}

void gate_leave(struct gate *gate, enum job_slot slot)
{
    assert(slot > SLOT_NONE && slot < SLOTS_LEN);
    assert(gate->under_way[slot] > 0);
    gate->under_way[slot]--;
    if (slot == SLOT_SUBMIT || slot == SLOT_TRANSFER) {
        gate_look(gate); /* the others have no line */
    }
}

void gate_leave_submit(struct gate *gate, struct lane *lane)
{
    assert(lane->submits > 0);
    lane->submits--;
    gate_leave(gate, SLOT_SUBMIT);
}

void gate_lend_submit(struct gate *gate, struct lane *lane, struct job *job)
{
    assert(job->takes == SLOT_NONE);
    gate_enter(gate, SLOT_SUBMIT);
    lane->submits++;
    job->takes = SLOT_SUBMIT;
    job_desk(job)->lane = lane;
}

void gate_lend_transfer(struct gate *gate, struct job *job)
{
    assert(job->takes == SLOT_NONE);
    gate_enter(gate, SLOT_TRANSFER);
    job->takes = SLOT_TRANSFER;
}

void gate_pass(struct gate *gate, struct job *job)
{
    assert(job->takes != SLOT_NONE);
    assert(gate->under_way[job->takes] > 0);
    job->takes = SLOT_NONE;
}

void gate_take_back(struct gate *gate, struct lane *lane, struct job *job)
{
    assert(job->takes == SLOT_NONE);
    assert(gate->under_way[SLOT_SUBMIT] > 0 && lane->submits > 0);
    job->takes = SLOT_SUBMIT;
    job_desk(job)->lane = lane;
}

void gate_returns(struct gate *gate, const struct job *job)
{
    assert(job->takes == SLOT_SUBMIT && job_desk(job)->lane);
    gate->returning++;
    job_desk(job)->lane->returning++;
}

void gate_give_back(struct gate *gate, struct job *job)
{
    assert(job->takes == SLOT_NONE || job->takes == SLOT_SUBMIT ||
           job->takes == SLOT_TRANSFER);
    if (job->takes == SLOT_SUBMIT) {
        gate_leave_submit(gate, job_desk(job)->lane);
    } else if (job->takes != SLOT_NONE) {
        gate_leave(gate, job->takes);
    }
    job->takes = SLOT_NONE;
}

void gate_reserve(struct gate *gate, struct lane *lane, int claims)
{
    assert(claims >= 0);
    gate->under_way[SLOT_SUBMIT] += claims;
    lane->submits += claims;
}

void gate_unreserve(struct gate *gate, struct lane *lane, int claims)
{
    assert(claims >= 0 && lane->submits >= claims);
    assert(gate->under_way[SLOT_SUBMIT] >= claims);
    gate->under_way[SLOT_SUBMIT] -= claims;
    lane->submits -= claims;
}
