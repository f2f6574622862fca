#include "flow/engine.h"

#include "base/crashpoint.h"
#include "base/log.h"
#include "core/doubt.h"
#include "flow/mine.h"
#include "flow/owe.h"
#include "flow/render.h"
#include "flow/take.h"
#include "flow/tidy.h"
#include "flow/traces.h"
#include "flow/why.h"

#include <assert.h>

#define OVERLOAD_WAIT_MS 1000

/*
 * claim   on_claimed, on_taken: a row became ours
 * do      owe: its state owes an effect, whose stage begins it
 * step    engine_outcome: what came of it makes the next row
 * save    turn_save, and on_saved: committed, so that the next one may begin
 */

/* ---- do ---- */

static void step_by(struct engine *engine, struct job *job,
                    enum outcome_kind kind)
{
    const struct outcome outcome = {.kind = kind};
    engine_outcome(engine, job, &outcome);
}

/** One effect; where it is a transfer of what no row tells of yet, it may run
 * for a while before one does. */
static void begin(struct engine *engine, struct job *job, enum task_owes effect)
{
#define STAGE(owes, begin) [owes] = begin,
    static stage_begin_fn *const stages[] = {STAGES(STAGE)};
#undef STAGE
    assert(effect < sizeof stages / sizeof *stages && stages[effect]);
    job_enter(job, JOB_ACTING);
    job_desk(job)->began_ms = clock_boot_ms(&engine->clock);
    stages[effect](&engine->stage, job);
    if (job->phase == JOB_ACTING && job_task(job)->memo.unsaved) {
        due_begun(&engine->due, job);
    }
}

/** Whatever the job owes now: it is in no line. */
static void owe(struct engine *engine, struct job *job)
{
    const struct owed owed = owe_now(&engine->stage, job);
    switch (owed.act) {
    case OWED_BEGIN:
        begin(engine, job, owed.effect);
        return;
    case OWED_FACTS:
        turn_read(&engine->turns, job);
        return;
    case OWED_ROW:
        job_task(job)->memo.reread_ms =
            clock_now_ms(&engine->clock) + DOUBT_REREAD_MS;
        turn_reread(&engine->turns, job);
        return;
    case OWED_ELSEWHERE:
        job->hold = HOLD_ACCOUNT;
        due_from(&engine->due, job, owed.due_ms);
        return;
    case OWED_WAIT:
        due_from(&engine->due, job, owed.due_ms);
        return;
    case OWED_REPLAY_SLOT:
        due_from(&engine->due, job, owed.due_ms);
        due_line_up_replay(&engine->due, job);
        gate_look(&engine->gate);
        return;
    case OWED_TRANSFER_SLOT:
        due_line_up(&engine->due, job, owed.rank_ms);
        gate_look(&engine->gate);
        return;
    case OWED_TIME_UP:
        step_by(engine, job, OUTCOME_TIME_UP);
        return;
    case OWED_NO_NEWS:
        step_by(engine, job, OUTCOME_STILL_RUNNING);
        return;
    }
}

void engine_look(void *context)
{
    struct engine *engine = context;
    int64_t boot_ms = clock_boot_ms(&engine->clock);
    struct job *job;
    jobs_fold(&engine->jobs);
    while ((job = due_pop(&engine->due, boot_ms))) {
        owe(engine, job);
    }
}

/** Their rows are saved while they go on. */
void engine_look_long(void *context)
{
    struct engine *engine = context;
    struct job *job;
    while ((job = due_pop_long(&engine->due, clock_boot_ms(&engine->clock)))) {
        step_by(engine, job, OUTCOME_TAKES_LONG);
    }
}

/** The intent of a replay is stored before it leaves. */
static void start_replay(struct engine *engine, struct job *job)
{
    if (!owe_is_replay(&engine->stage, job)) {
        owe(engine, job);
        return;
    }
    CRASHPOINT("replay_before_intent");
    struct account *account = account_of(&engine->accounts, job_account(job));
    gate_lend_submit(&engine->gate, &account->lane, job);
    job->send_next = true;
    step_by(engine, job, OUTCOME_REPLAY_INTENT);
}

/** Its account takes a replay now. */
static bool may_replay(void *context, const struct job *job)
{
    struct engine *engine = context;
    struct account *account = account_of(&engine->accounts, job_account(job));
    return account && gate_may_submit(&engine->gate, &account->lane) &&
           gate_submits_room(&engine->gate, &account->lane, false) > 0;
}

void engine_fill_slots(void *context)
{
    struct engine *engine = context;
    struct gate *gate = &engine->gate;
    struct job *replay;
    while (due_has_transfer(&engine->due) && gate_transfers_room(gate) > 0 &&
           !gate->draining) {
        struct job *job = due_pop_transfer(&engine->due);
        gate_lend_transfer(gate, job);
        begin(engine, job, OWES_TRANSFER);
    }
    while (account_any_may_submit(&engine->accounts) &&
           (replay = due_pop_replay(&engine->due, may_replay, engine))) {
        start_replay(engine, replay);
    }
    turn_soon(&engine->turns);
}

/* ---- step ---- */

/** Of the send before, not of one that is owed. */
static void give_back_slot(struct engine *engine, struct job *job)
{
    if (!job->send_next) {
        gate_give_back(&engine->gate, job);
    }
}

/** What the effect holds is needed again by the very next one. */
static bool keeps_facts(const struct job *job)
{
    enum task_state state = job_task(job)->row.state;
    return job->send_next || state == RUNNING || state == READY;
}

/** In doubt it is not the next look at the row that people wait for. */
static int64_t next_try_ms(struct engine *engine, const struct step *step)
{
    int64_t due_ms = step->due_ms;
    if (step->next.row.state == SUBMITTING && step->next.row.doubt) {
        struct policy policy = stage_policy(&engine->stage, &step->next.row);
        (void)task_doubt_act(&step->next, &policy, clock_now_ms(&engine->clock),
                             &due_ms);
    }
    return due_ms;
}

/** What nothing waits for, and what comes again by itself where this process
 * is gone: that an end was told, and what a send has brought while the row that
 * is stored would be sent again. */
static bool rides(struct engine *engine, const struct task *before,
                  const struct task *next)
{
    const enum task_state state = next->row.state;
    if (state == CLOSED || state == LATE) {
        return true;
    }
    if (before->row.state != SUBMITTING ||
        (state != RUNNING && state != QUEUED)) {
        return false;
    }
    const struct policy policy = stage_policy(&engine->stage, &before->row);
    return task_would_replay(before, &policy, clock_now_ms(&engine->clock));
}

static void apply(struct engine *engine, struct job *job,
                  const struct outcome *outcome, struct step *step)
{
    struct account *account = account_of(&engine->accounts, job_account(job));
    tally_step(&engine->tally, job, outcome, step,
               account ? account->cost : NULL);
    if (engine->edges.spans) {
        traces_step(engine->edges.spans, job, step, &engine->clock);
    }
    reasons_outcome(&engine->reasons, job, outcome, step,
                    clock_now_ms(&engine->clock), next_try_ms(engine, step));
    if (step->hold == HOLD_THROTTLE && account) {
        why_shared(&engine->reasons, &engine->gate, &account->lane,
                   SHARED_THROTTLE, outcome);
    }
    const bool may_ride =
        step->save && rides(engine, job_task(job), &step->next);
    const bool accepted = job_task(job)->row.state == SUBMITTING &&
                          step->next.row.state == RUNNING;
    *job_task(job) = step->next;
    job->hold = step->hold;
    if (accepted && job->effect && job->effect->facts) {
        jobs_keep_facts(&engine->jobs, job);
    }
    if (job->effect) {
        job->effect->has_outcome = false;
        if (!step->save || !keeps_facts(job)) {
            job_effect_done(job);
        }
    }
    if (step->settles && !job->effect) {
        jobs_drop_facts(&engine->jobs, job);
    }
    if (step->save) {
        turn_save(&engine->turns, job, step->due_ms, may_ride);
    } else if (job_task(job)->memo.unsaved) {
        gate_lend_transfer(&engine->gate, job);
        begin(engine, job, OWES_TRANSFER);
    } else {
        give_back_slot(engine, job); /* nothing of it is to be stored */
        due_from(&engine->due, job, step->due_ms);
    }
}

/** Stash what came until the facts are there (or memory is). */
static void postpone(struct engine *engine, struct job *job,
                     const struct outcome *outcome)
{
    struct effect *effect = job_effect(job);
    bool kept = effect &&
                (outcome == &effect->outcome || effect_stash(effect, outcome));
    if (kept) {
        turn_read(&engine->turns, job);
        return;
    }
    log_at(LOG_ERROR, "no memory to settle a task; its effect is done again",
           LOG_TEXT("request_id", job_request_id(job)));
    job_effect_done(job);
    give_back_slot(engine, job);
    due_from(&engine->due, job,
             clock_now_ms(&engine->clock) + OVERLOAD_WAIT_MS);
}

void engine_outcome(struct engine *engine, struct job *job,
                    const struct outcome *outcome)
{
    assert(step_is_possible(job_task(job)->row.state, outcome->kind));
    assert(job->due.place == 0 && list_is_empty(&job->link));
    struct policy policy = stage_policy(&engine->stage, &job_task(job)->row);
    int64_t now_ms = clock_now_ms(&engine->clock);
    enum task_state next;
    const struct task *task = job_task(job);
    bool settles = task_step_settles(task, outcome, &policy, now_ms, &next);
    bool untidy = tidy_is_due(job, next);
    if ((settles || untidy) && !job_has_facts(job)) {
        postpone(engine, job, outcome);
        return;
    }
    if (untidy && tidy_begin(&engine->stage, job, outcome)) {
        return;
    }
    struct step step = task_step(job_task(job), outcome, &policy, now_ms);
    assert(step.settles == settles);
    if (step.settles && !render_event(job, outcome, &step)) {
        job->effect->facts = NULL;
        postpone(engine, job, outcome);
        return;
    }
    apply(engine, job, outcome, &step);
}

void engine_hold(struct engine *engine, const char *account,
                 enum hold_reason reason, struct str message)
{
    size_t at = 0;
    struct gate *gate = &engine->gate;
    struct str scope = str_of(account);
    if (reason == HOLD_NONE || reason == HOLD_THROTTLE ||
        reason == HOLD_ACCOUNT) {
        return;
    }
    if (reason == HOLD_STORAGE) {
        scope = str_of(bucket_name(engine->edges.bucket));
        gate->hold = gate->hold == HOLD_NONE ? reason : gate->hold;
    } else if (account_is_used(&engine->accounts, account, &at)) {
        struct lane *lane = &engine->accounts.at[at].lane;
        lane->hold = lane->hold == HOLD_NONE ? reason : lane->hold;
        turn_want_claims(&engine->turns); /* of the others */
    } else {
        return;
    }
    engine->on_hold(engine->fleet_context, reason, scope, message);
}

void engine_generations(struct engine *engine, const struct account *of,
                        bool full)
{
    why_generations(&engine->reasons, &engine->clock,
                    engine->options.generations_max, of, full);
}

/** A transfer that ends while its row is saved waits for that: on_saved. What
 * there is no memory for is found in storage by the next one. */
static void on_outcome(void *context, struct job *job,
                       const struct outcome *outcome)
{
    if (job->phase != JOB_ACTING) {
        (void)effect_stash(job->effect, outcome);
        return;
    }
    list_remove(&job->link);
    engine_outcome(context, job, outcome);
}

static void on_read(void *context, struct job *job)
{
    struct engine *engine = context;
    turn_read(&engine->turns, job);
}

static void on_stage_hold(void *context, const char *account,
                          enum hold_reason reason, struct str message)
{
    engine_hold(context, account, reason, message);
}

const struct stage_hooks engine_stage_hooks = {
    .on_outcome = on_outcome,
    .on_read = on_read,
    .on_hold = on_stage_hold,
};

/* ---- claim ---- */

/** A row of ours becomes a job; null: it can't be read, or no memory. */
static struct job *take(struct engine *engine, const struct task_read *read)
{
    if (read->unreadable) {
        take_leave_alone(read->row.id);
        return NULL;
    }
    struct job *job = take_in(&engine->jobs, read);
    if (job) {
        jobs_stored(&engine->jobs, job, clock_now_ms(&engine->clock));
    } else {
        turn_short_of_memory(&engine->turns);
    }
    return job;
}

static bool on_claimed(void *context, const struct task_read *read,
                       const struct facts_row *facts)
{
    struct engine *engine = context;
    struct job *job = take(engine, read);
    if (!job) {
        return read->unreadable; /* left alone: nothing to find again */
    }
    job->send_next = true;
    tally_claim(job);
    if (facts) {
        take_facts(facts, job);
    }
    struct account *account = account_of(&engine->accounts, read->row.account);
    assert(account); /* we said which */
    gate_lend_submit(&engine->gate, &account->lane, job);
    owe(engine, job);
    return true;
}

static void on_taken(void *context, const struct task_read *read)
{
    struct engine *engine = context;
    struct job *job = take(engine, read);
    if (!job) {
        return;
    }
    step_by(engine, job, OUTCOME_TAKEN_OVER);
    int64_t wait_ms = job->phase == JOB_WAITING
                          ? take_suspect_ms(job, engine->edges.loop)
                          : 0;
    if (wait_ms > 0) {
        due_from(&engine->due, job, clock_now_ms(&engine->clock) + wait_ms);
    }
}

/* ---- save, and what else the store answers ---- */

void engine_forget(void *context, struct job *job)
{
    struct engine *engine = context;
    assert(job->phase != JOB_FREE);
    gate_give_back(&engine->gate, job);
    due_remove(&engine->due, job);
    reasons_drop(&engine->reasons, job);
    if (job->effect) {
        job->effect->stage = NULL;
    }
    jobs_remove(&engine->jobs, job);
}

/** Its transfer went on while it was saved, or has ended meanwhile. */
static bool goes_on(struct engine *engine, struct job *job)
{
    struct effect *effect = job->effect;
    assert(job->phase == JOB_SAVING && job_task(job)->row.state == READY);
    if (effect && effect->stage) {
        job_enter(job, JOB_ACTING);
        return true;
    }
    if (effect && effect->has_outcome) {
        const struct outcome outcome = effect->outcome;
        engine_outcome(engine, job, &outcome);
        return true;
    }
    return false;
}

static void on_saved(void *context, struct job *job)
{
    struct engine *engine = context;
    assert(job->phase == JOB_SAVING);
    job->in_flush = false;
    job->unsure = false;
    jobs_stored(&engine->jobs, job, clock_now_ms(&engine->clock));
    give_back_slot(engine, job);
    enum task_state state = job_task(job)->row.state;
    if (state == CLOSED || (state == QUEUED && !job_task(job)->row.owner)) {
        engine_forget(engine, job);
        return;
    }
    if (state == SUBMITTING && job->send_next) {
        owe(engine, job);
        return;
    }
    if (state == READY && goes_on(engine, job)) {
        return;
    }
    const bool due = job_desk(job)->then_ms <= clock_now_ms(&engine->clock);
    if (state != READY || !due) {
        job_effect_done(job);
    }
    if (due) {
        owe(engine, job);
    } else {
        due_from(&engine->due, job, job_desk(job)->then_ms);
    }
}

static void on_facts(void *context, struct job *job)
{
    struct engine *engine = context;
    assert(job->phase == JOB_READING && job->effect && job->effect->facts);
    if (job->effect->has_outcome) {
        struct outcome outcome = job->effect->outcome;
        engine_outcome(engine, job, &outcome);
    } else if (job_task(job)->row.state == READY) {
        begin(engine, job, OWES_TRANSFER);
    } else {
        owe(engine, job);
    }
}

void engine_hurry_job(void *context, struct job *job)
{
    (void)context;
    /* A job in READY may also poll, for a fresh URL, and a transfer goes on
     * while its row is saved. */
    if (!job_is_folded(job) && job_task(job)->row.state == READY &&
        !job_task(job)->memo.wants_refresh) {
        transfer_cancel(job);
    }
}

/** Not ours any more. What only we know of it is kept. */
void engine_drop(void *context, struct job *job)
{
    struct engine *engine = context;
    const struct task_row *row = &job_task(job)->row;
    const bool unsaved = job->phase == JOB_SAVING ||
                         job->phase == JOB_REREADING ||
                         job->phase == JOB_PARKED;
    if (unsaved && row->state == RUNNING && job->effect && job->effect->facts) {
        struct account *account = account_of(&engine->accounts, row->account);
        learn_id(&engine->learn, account ? &account->keys : NULL, row->id,
                 row->submission, str_of(job_request_id(job)),
                 str_of(row->provider_task_id));
    }
    engine_hurry_job(NULL, job);
    engine_forget(engine, job);
}

/** A row read again: what somebody else wrote into it counts. */
static void on_row(void *context, struct job *job, const struct task_row *row)
{
    struct engine *engine = context;
    struct task_row *own = &job_task(job)->row;
    assert(job->phase == JOB_REREADING && row->id == own->id);
    if (row->owner != engine->turns.owner || row->fence != own->fence) {
        engine_drop(engine, job);
        return;
    }
    if (own->state == READY && job->effect) {
        /* A transfer runs, or has ended, on what is not stored. */
        engine_drop(engine, job);
        turn_look_again(&engine->turns);
        return;
    }
    struct account *account = account_of(&engine->accounts, row->account);
    if (account) {
        keys_compare(&account->keys, job, row);
    }
    bool learnt = row->provider_task_id[0] && !own->provider_task_id[0];
    if ((learnt || own->version != row->version) && !take_row(job, row)) {
        /* What we have of it is not what is stored: it is read anew. */
        engine_drop(engine, job);
        turn_short_of_memory(&engine->turns);
        return;
    }
    jobs_stored(&engine->jobs, job, clock_now_ms(&engine->clock));
    job->send_next = false; /* an intent that was not taken is none */
    gate_give_back(&engine->gate, job);
    own->doubt = own->doubt || own->state == SUBMITTING;
    if (row->state == SUBMITTING && row->provider_task_id[0]) {
        const struct outcome outcome = {
            .kind = OUTCOME_ACCEPTED,
            .provider_task_id = str_of(row->provider_task_id),
        };
        engine_outcome(engine, job, &outcome);
        return;
    }
    due_from(&engine->due, job, clock_now_ms(&engine->clock));
}

static void on_mine(void *context, const struct turn_result *result)
{
    struct engine *engine = context;
    mine_came(&engine->turns, result);
}

static void on_generations(void *context, const struct account *of, bool full)
{
    engine_generations(context, of, full);
}

static void on_lease_dead(void *context)
{
    struct engine *engine = context;
    engine->on_lease_dead(engine->fleet_context);
}

/** Draining ends when nothing is under way whose end only we know. */
static void on_idle(void *context)
{
    struct engine *engine = context;
    assert(!engine->turns.in_flight);
    if (engine->gate.draining && engine->on_idle &&
        gate_is_idle(&engine->gate) && learn_waiting(&engine->learn) == 0) {
        loop_fn *callback = engine->on_idle;
        engine->on_idle = NULL;
        callback(engine->idle_context);
    }
}

const struct turn_hooks engine_turn_hooks = {
    .on_facts = on_facts,
    .on_saved = on_saved,
    .on_row = on_row,
    .on_gone = engine_drop,
    .on_claimed = on_claimed,
    .on_taken = on_taken,
    .on_generations = on_generations,
    .on_mine = on_mine,
    .on_lease_dead = on_lease_dead,
    .on_idle = on_idle,
};

int64_t engine_now_ms(const struct engine *engine)
{
    return clock_now_ms(&engine->clock);
}
