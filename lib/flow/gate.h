#ifndef FLOW_GATE_H
#define FLOW_GATE_H

#include "core/outcome.h"
#include "core/pace.h"
#include "flow/clock.h"
#include "flow/job.h"

/**
 * May an effect begin? The lease, the drain, a hold, the pace of submissions
 * and the slots say so, here and nowhere else. A worker has one gate, and a
 * lane through it for each of its accounts.
 */

struct gate_options {
    int submits_max;
    int transfers_max;
    int64_t lease_ms;
};

/** What is one account's own. */
struct lane {
    enum hold_reason hold; /* the worst of its account; HOLD_NONE: none */
    bool misfit;           /* another URL is stored for its name */
    struct pace pace;
    int submits;   /* under way */
    int returning; /* of these: free once the saves that were gathered last are
                      stored */
};

struct gate {
    const struct clock *clock;
    struct gate_options options;
    bool lease_ok;            /* we have a lease that nobody declared dead */
    bool draining;            /* nothing begins but announcements */
    bool storage_untried;     /* nothing is bought before it was probed */
    int64_t bump_started_ms;  /* boot clock: start of the last good bump */
    enum hold_reason hold;    /* the worst of all accounts; HOLD_NONE: none */
    int under_way[SLOTS_LEN]; /* effects that hold a slot, by its kind */
    int returning;            /* as of a lane, of all */
    loop_fn *on_free;         /* a slot came back, or the gate opened */
    void *context;
};

/**
 * @param on_free  Called in a later turn of the loop, once however often it was
 *                 asked for: see who is in line.
 */
void gate_init(struct gate *gate, const struct clock *clock,
               const struct gate_options *options, loop_fn *on_free,
               void *context);

/** on_free is not called any more. */
void gate_done(struct gate *gate);

void lane_init(struct lane *lane, const struct gate *gate);

/* ---- what is told ---- */

void gate_joined(struct gate *gate);
void gate_lost(struct gate *gate);
/** Our counter was bumped; that began at boot_ms of the boot clock. */
void gate_bumped(struct gate *gate, int64_t boot_ms);
void gate_drain(struct gate *gate);

/** The holds of all accounts, as last read. Whether one was lifted. */
bool gate_set_hold(struct gate *gate, enum hold_reason worst);

/** The holds of one, and whether it is another's by its URL. Whether it opened.
 */
bool lane_set(struct gate *gate, struct lane *lane, enum hold_reason worst,
              bool misfit);

/** A hold is gone: begin slowly again. */
void lane_restart(struct gate *gate, struct lane *lane);

/** The first probe of storage is over. */
void gate_storage_tried(struct gate *gate);

/* ---- what is asked ---- */

/** Whether a submission may begin: lease, drain, holds. Not pace and slots:
 * whoever asks has its slot. */
bool gate_may_submit(const struct gate *gate, const struct lane *lane);

/** Whether the first byte of one that has begun may leave: it is too late for a
 * hold, never for a lease that may be another's by now. */
bool gate_may_send(const struct gate *gate);

/** How many submissions may begin now, by pace and slots. returning: with the
 * slots that gate_returns() counted, which are free by then. */
int gate_submits_room(const struct gate *gate, const struct lane *lane,
                      bool returning);

/** How many transfers may; negative while some are above the limit. */
int gate_transfers_room(const struct gate *gate);

/** Nothing under way whose end must be saved: polls are not waited for. */
bool gate_is_idle(const struct gate *gate);

/* ---- slots ---- */

/** The job takes a slot, which comes back if the job goes. */
void gate_lend_submit(struct gate *gate, struct lane *lane, struct job *job);
void gate_lend_transfer(struct gate *gate, struct job *job);

/** The slot is the running effect's from here on, who gives it back with
 * gate_leave(), or gate_leave_submit(). */
void gate_pass(struct gate *gate, struct job *job);

/** A submission has ended, and its slot is the job's again: until what came of
 * it is stored, so that a crash leaves no more doubts than there are slots. */
void gate_take_back(struct gate *gate, struct lane *lane, struct job *job);

/** The job's slot comes back with its save, which is gathered now. */
void gate_returns(struct gate *gate, const struct job *job);

/** The job gives back what it has not passed on, if anything. */
void gate_give_back(struct gate *gate, struct job *job);

/** An effect takes a slot, and gives it back. */
void gate_enter(struct gate *gate, enum job_slot slot);
void gate_leave(struct gate *gate, enum job_slot slot);
void gate_leave_submit(struct gate *gate, struct lane *lane);

/** Slots of the claims that are asked for, before their jobs are there; what
 * comes of them takes its own. */
void gate_reserve(struct gate *gate, struct lane *lane, int claims);
void gate_unreserve(struct gate *gate, struct lane *lane, int claims);

/** Whoever is in line is looked at again, soon. */
void gate_look(struct gate *gate);

#endif
