#include "flow/engine.h"

#include "base/log.h"
#include "core/event.h"
#include "core/retry.h"
#include "flow/owe.h"
#include "flow/stage.h"
#include "flow/tidy.h"
#include "flow/turn.h"
#include "flow/why.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define OVERLOAD_WAIT_MS 1000

/* ---- life ------------------------------------------------------------------ */

static void metrics_init(struct engine *engine)
{
    struct metrics *m = engine->edges.metrics;
    struct engine_metrics *e = &engine->metrics;
    char labels[64];
    for (int i = 0; i < OUTCOMES_LEN; i++) {
        snprintf(labels, sizeof labels, "outcome=\"%s\"",
                 outcome_kind_name((enum outcome_kind)i));
        e->outcomes[i] = metric_get(m, METRIC_COUNTER, "pixverse_outcomes_total",
                                    labels, "What came of effects.");
    }
    for (int i = 0; i < TASK_STATES_LEN; i++) {
        snprintf(labels, sizeof labels, "state=\"%s\"",
                 task_state_name((enum task_state)i));
        e->states[i] = metric_get(m, METRIC_GAUGE, "pixverse_tasks", labels,
                                  "Tasks of this worker by state.");
    }
    for (int i = 0; i < FAILURE_KINDS_LEN; i++) {
        snprintf(labels, sizeof labels, "kind=\"%s\"",
                 i ? failure_kind_name((enum failure_kind)i) : "completed");
        e->ended[i] = metric_get(m, METRIC_COUNTER, "pixverse_ended_total",
                                 labels, "Tasks settled, by their end.");
    }
    e->poll_lateness = metric_get(m, METRIC_HISTOGRAM,
                                  "pixverse_poll_lateness_seconds", NULL,
                                  "From a poll's due time to its start.");
    e->announce_latency =
        metric_get(m, METRIC_HISTOGRAM, "pixverse_announce_seconds", NULL,
                   "From settling a task to the broker's acknowledgement.");
    e->store_latency = metric_get(m, METRIC_HISTOGRAM,
                                  "pixverse_store_turn_seconds", NULL,
                                  "One round trip with the store.");
    e->commits = metric_get(m, METRIC_COUNTER, "pixverse_store_commits_total",
                            NULL, "Transactions of the engine that wrote.");
    e->rows = metric_get(m, METRIC_COUNTER, "pixverse_store_rows_total", NULL,
                         "Rows that the engine wrote.");
    e->submits = metric_get(m, METRIC_COUNTER, "pixverse_submits_total", NULL,
                            "POSTs begun.");
    e->doubts = metric_get(m, METRIC_COUNTER, "pixverse_doubts_total", NULL,
                           "Submissions whose answer did not come.");
    e->polls =
        metric_get(m, METRIC_COUNTER, "pixverse_polls_total", NULL, "GETs begun.");
    e->video_bytes = metric_get(m, METRIC_COUNTER, "pixverse_video_bytes_total",
                                NULL, "Bytes of videos fetched.");
}

static void adopt_again(void *context)
{
    engine_want_adopts(context);
}

static void claim_again(void *context)
{
    engine_want_claims(context);
}

bool engine_init(struct engine *engine, const struct engine_options *options,
                 const struct engine_edges *edges, struct err *err)
{
    *engine = (struct engine){.options = *options, .edges = *edges};
    const size_t slots = (size_t)options->tasks_max * 2;
    list_init(&engine->dirty);
    list_init(&engine->readers);
    list_init(&engine->rereaders);
    list_init(&engine->starved);
    list_init(&engine->put_back);
    list_init(&engine->sends);
    arena_init(&engine->scratch, 16384, 0);
    arena_init(&engine->flight.arena, 16384, 0);
    const struct gate_options gate = {.submits_max = options->submits_max,
                                      .transfers_max = options->transfers_max,
                                      .lease_ms = options->lease_ms};
    clock_init(&engine->clock, edges->loop);
    gate_init(&engine->gate, &engine->clock, &gate, owe_fill_slots, engine);
    const struct keys_options keys = {.loop = edges->loop,
                                      .store = edges->store,
                                      .http = edges->poll_http,
                                      .apimart = &engine->options.apimart,
                                      .submit_doubt = options->submit_doubt};
    bool fine = keys_init(&engine->keys, &keys, edges->metrics);
    fine = learn_init(&engine->learn, edges->loop, edges->store, &engine->keys,
                      edges->metrics, adopt_again, engine) && fine;
    engine->memory_timer = loop_timer_new(edges->loop, turn_again, engine);
    engine->pause_timer = loop_timer_new(edges->loop, turn_go_on, engine);
    engine->claim_timer = loop_timer_new(edges->loop, claim_again, engine);
    engine->save_timer = loop_timer_new(edges->loop, turn_save_again, engine);
    if (!fine || !due_init(&engine->due, &engine->clock, slots, owe_timer, engine) ||
        !reasons_init(&engine->reasons, edges->loop, why_tick, engine) ||
        !engine->memory_timer ||
        !engine->pause_timer || !engine->claim_timer || !engine->save_timer ||
        !jobs_init(&engine->jobs, slots)) {
        engine_done(engine);
        return err_set(err, ERR_FATAL, "no memory for %zu tasks", slots);
    }
    metrics_init(engine);
    return true;
}

static void forget_job(void *context, struct job *job)
{
    struct engine *engine = context;
    gate_give_back(&engine->gate, job);
    due_remove(&engine->due, job);
    reasons_drop(&engine->reasons, job);
    if (job->effect) {
        job->effect->stage = NULL;
    }
    jobs_remove(&engine->jobs, job);
}

void engine_done(struct engine *engine)
{
    if (engine->jobs.pages) {
        jobs_each(&engine->jobs, forget_job, engine);
    }
    jobs_done(&engine->jobs);
    if (engine->reasons.timer) {
        reasons_done(&engine->reasons);
    }
    due_done(&engine->due);
    learn_done(&engine->learn);
    keys_done(&engine->keys);
    loop_timer_free(engine->memory_timer);
    loop_timer_free(engine->pause_timer);
    loop_timer_free(engine->claim_timer);
    loop_timer_free(engine->save_timer);
    arena_done(&engine->scratch);
    arena_done(&engine->flight.arena);
}

/* ---- time -------------------------------------------------------------------- */

int64_t engine_now_ms(const struct engine *engine)
{
    return clock_now_ms(&engine->clock);
}

struct policy engine_policy(struct engine *engine)
{
    const struct engine_options *o = &engine->options;
    return (struct policy){
        .poll_interval_ms = o->poll_interval_ms,
        .submit_timeout_ms = o->submit_timeout_ms,
        .deadline_ms = o->deadline_ms,
        .late_ms = o->late_ms,
        .doubt = keys_policy(&engine->keys),
        .key_lifetime_ms = engine->keys.lifetime_ms,
        .account = o->apimart.account,
        .jitter = loop_random(engine->edges.loop),
    };
}

/* ---- outcomes --------------------------------------------------------------------- */

void engine_read_facts(struct engine *engine, struct job *job)
{
    job_enter(job, JOB_READING);
    list_add_tail(&engine->readers, &job->link);
    turn_soon(engine);
}

static void log_step(const struct job *job, enum task_state from,
                     const struct outcome *outcome, const struct step *step)
{
    const struct task_row *row = &step->next.row;
    enum log_level level = step->settles && row->state == FAILED &&
                                   row->kind != FAILURE_INVALID_REQUEST
                               ? LOG_WARN
                               : LOG_INFO;
    const struct log_field end = {0};
    char cost[32];
    struct log_field fields[16];
    size_t n = 0;
    fields[n++] = LOG_TEXT("request_id", job_request_id(job));
    fields[n++] = LOG_I64("task", row->id);
    fields[n++] = LOG_TEXT("from", task_state_name(from));
    fields[n++] = LOG_TEXT("to", task_state_name(row->state));
    fields[n++] = LOG_TEXT("outcome", outcome_kind_name(outcome->kind));
    if (row->provider_task_id[0]) {
        fields[n++] = LOG_TEXT("provider_task_id", row->provider_task_id);
    }
    if (row->state == FAILED) {
        fields[n++] = LOG_TEXT("kind", failure_kind_name(row->kind));
    }
    if (outcome->message.at) {
        fields[n++] = LOG_STR("why", outcome->message);
    }
    if (outcome->kind == OUTCOME_STORED && outcome->videos_len) {
        int64_t bytes = 0;
        for (size_t i = 0; i < outcome->videos_len; i++) {
            bytes += outcome->videos[i].bytes;
        }
        fields[n++] = LOG_STR("uri", outcome->videos[0].uri);
        fields[n++] = LOG_I64("videos", outcome->videos_len);
        fields[n++] = LOG_I64("bytes", bytes);
        if (row->has_cost) {
            snprintf(cost, sizeof cost, "%.6g", row->cost);
            fields[n++] = LOG_TEXT("cost", cost);
        }
    }
    if (step->hold != HOLD_NONE) {
        fields[n++] = LOG_TEXT("hold", hold_reason_name(step->hold));
    }
    fields[n] = end;
    log_line(level, "task", fields);
}

/** The event's bytes go into the row that settles; false: no memory. */
static bool render(struct job *job, const struct outcome *outcome,
                   struct step *step)
{
    struct arena *arena = &job->effect->arena;
    const char *text = event_render(
        &step->next.row, &job->effect->facts->facts,
        step->next.row.state == FAILED ? &step->failure : NULL, NULL,
        outcome->videos, outcome->videos_len, arena);
    char *event = text ? strdup(text) : NULL;
    if (event) {
        free(step->next.row.event);
        step->next.row.event = event;
    }
    return event != NULL;
}

static void save(struct engine *engine, struct job *job, int64_t then_ms)
{
    job_enter(job, JOB_SAVING);
    job->in_flush = false;
    job->unsure = false;
    job->then_ms = then_ms;
    list_add_tail(&engine->dirty, &job->link);
    turn_soon(engine);
}

/** What the effect holds is needed again by the very next one. */
static bool keeps_facts(const struct job *job)
{
    enum task_state state = job->task.row.state;
    return job->send_next || state == RUNNING || state == READY;
}

static void apply(struct engine *engine, struct job *job,
                  const struct outcome *outcome, struct step *step)
{
    metric_add(engine->metrics.outcomes[outcome->kind], 1);
    enum task_state from = job->task.row.state;
    if (step->next.row.state != from) {
        log_step(job, from, outcome, step);
    }
    why_outcome(engine, job, outcome, step);
    if (step->settles) {
        metric_add(engine->metrics.ended[step->next.row.kind], 1);
    }
    job->task = step->next;
    job->hold = step->hold;
    if (job->effect) {
        job->effect->has_outcome = false;
        if (!step->save || !keeps_facts(job)) {
            job_effect_done(job);
        }
    }
    if (step->save) {
        save(engine, job, step->due_ms);
    } else {
        due_from(&engine->due, job, step->due_ms);
    }
}

/** Stash what came until the facts are there (or memory is). */
static void postpone(struct engine *engine, struct job *job,
                     const struct outcome *outcome)
{
    struct effect *effect = job_effect(job);
    bool kept = effect && (outcome == &effect->outcome ||
                           effect_stash(effect, outcome));
    if (kept) {
        engine_read_facts(engine, job);
        return;
    }
    log_at(LOG_ERROR, "no memory to settle a task; its effect is done again",
           LOG_TEXT("request_id", job_request_id(job)));
    job_effect_done(job);
    due_from(&engine->due, job, engine_now_ms(engine) + OVERLOAD_WAIT_MS);
}

void engine_outcome(struct engine *engine, struct job *job,
                    const struct outcome *outcome)
{
    assert(step_is_possible(job->task.row.state, outcome->kind));
    struct policy policy = engine_policy(engine);
    int64_t now_ms = engine_now_ms(engine);
    enum task_state next;
    bool settles =
        task_step_settles(&job->task, outcome, &policy, now_ms, &next);
    bool untidy = tidy_is_due(job, next);
    if ((settles || untidy) && (!job->effect || !job->effect->facts)) {
        postpone(engine, job, outcome);
        return;
    }
    if (untidy && tidy_begin(engine, job, outcome)) {
        return;
    }
    struct step step = task_step(&job->task, outcome, &policy, now_ms);
    if (step.settles && !render(job, outcome, &step)) {
        job->effect->facts = NULL;
        postpone(engine, job, outcome);
        return;
    }
    apply(engine, job, outcome, &step);
}

void engine_hold(struct engine *engine, enum hold_reason reason,
                 struct str message)
{
    if (reason == HOLD_NONE || reason == HOLD_THROTTLE ||
        reason == HOLD_ACCOUNT) {
        return;
    }
    struct str scope = reason == HOLD_STORAGE
                           ? str_of(bucket_name(engine->edges.bucket))
                           : str_of(engine->options.apimart.account);
    if (engine->gate.hold == HOLD_NONE) {
        (void)gate_set_hold(&engine->gate, reason);
    }
    engine->on_hold(engine->fleet_context, reason, scope, message);
}

void engine_set_hold(struct engine *engine, enum hold_reason worst)
{
    if (gate_set_hold(&engine->gate, worst)) {
        engine->claim_wanted = true;
    }
}

void engine_storage_tried(struct engine *engine)
{
    engine->claim_wanted = true;
    gate_storage_tried(&engine->gate);
}

/* ---- what the turn brings ------------------------------------------------------------ */

void engine_saved(struct engine *engine, struct job *job)
{
    job->in_flush = false;
    job->unsure = false;
    enum task_state state = job->task.row.state;
    if (state == CLOSED || (state == QUEUED && !job->task.row.owner)) {
        forget_job(engine, job);
        return;
    }
    if (state == SUBMITTING && job->send_next) {
        owe_now(engine, job);
        return;
    }
    if (state != READY) {
        job_effect_done(job);
    }
    int64_t now_ms = engine_now_ms(engine);
    if (job->then_ms <= now_ms) {
        owe_now(engine, job);
    } else {
        due_from(&engine->due, job, job->then_ms);
    }
}

void engine_save_again(struct engine *engine, struct job *job)
{
    save(engine, job, job->then_ms);
}

void engine_facts_came(struct engine *engine, struct job *job)
{
    if (job->effect->has_outcome) {
        struct outcome outcome = job->effect->outcome;
        engine_outcome(engine, job, &outcome);
    } else if (job->task.row.state == READY) {
        owe_act(engine, job, transfer_begin);
    } else {
        owe_now(engine, job);
    }
}

/** A row read again: what somebody else wrote into it counts. */
void engine_row_came(struct engine *engine, struct job *job,
                     const struct task_row *row)
{
    struct task_row *own = &job->task.row;
    if (row->owner != engine->owner || row->fence != own->fence) {
        engine_drop(engine, job);
        return;
    }
    keys_compare(&engine->keys, job, row);
    bool learnt = row->provider_task_id[0] && !own->provider_task_id[0];
    if ((learnt || own->version != row->version) &&
        !engine_replace_row(job, row)) {
        /* What we have of it is not what is stored: it is read anew. */
        engine_drop(engine, job);
        turn_short_of_memory(engine);
        return;
    }
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
    due_from(&engine->due, job, engine_now_ms(engine));
}

/** Not ours any more. What only we know of it is kept. */
void engine_drop(struct engine *engine, struct job *job)
{
    const struct task_row *row = &job->task.row;
    const bool unsaved =
        job->phase == JOB_SAVING || job->phase == JOB_REREADING;
    if (unsaved && row->state == RUNNING && job->effect &&
        job->effect->facts) {
        learn_id(&engine->learn, row->id, str_of(job_request_id(job)),
                 job->effect->facts->idempotency_key,
                 str_of(row->provider_task_id));
    }
    if (job->phase == JOB_ACTING && row->state == READY &&
        !job->task.memo.wants_refresh) {
        transfer_cancel(job);
    }
    forget_job(engine, job);
}

/* ---- the fleet tells -------------------------------------------------------------------- */

void engine_joined(struct engine *engine, int64_t owner)
{
    engine->owner = owner;
    gate_joined(&engine->gate);
    engine->adopt_wanted = true;
    engine->claim_wanted = true;
}

void engine_bumped(struct engine *engine, int64_t bump_started_ms,
                   int64_t now_ms)
{
    clock_told(&engine->clock, now_ms);
    gate_bumped(&engine->gate, bump_started_ms);
    turn_soon(engine);
}

static void drop_job(void *context, struct job *job)
{
    engine_drop(context, job);
}

void engine_lost(struct engine *engine)
{
    gate_lost(&engine->gate);
    engine->owner = 0;
    engine->pass = (struct adopt_pass){0};
    engine->forget_wanted = false;
    jobs_each(&engine->jobs, drop_job, engine);
    reasons_reset(&engine->reasons);
    engine->resync = false;
    engine->lost_claim_ms = 0;
}

void engine_want_claims(struct engine *engine)
{
    engine->claim_wanted = true;
    turn_soon(engine);
}

void engine_want_adopts(struct engine *engine)
{
    engine->adopt_wanted = true;
    turn_soon(engine);
}

void engine_want_expiry(struct engine *engine)
{
    engine->expire_wanted = true;
    turn_soon(engine);
}

void engine_store_is_back(struct engine *engine)
{
    keys_tell(&engine->keys);
    learn_retry(&engine->learn);
    turn_go_on(engine);
}

void engine_drain(struct engine *engine, loop_fn *on_idle, void *context)
{
    gate_drain(&engine->gate);
    keys_stop(&engine->keys);
    engine->on_idle = on_idle;
    engine->idle_context = context;
    turn_soon(engine);
}

static void hurry(void *context, struct job *job)
{
    (void)context;
    if (job->phase == JOB_ACTING && job->task.row.state == READY &&
        !job->task.memo.wants_refresh) {
        transfer_cancel(job);
    }
}

void engine_hurry(struct engine *engine)
{
    jobs_each(&engine->jobs, hurry, engine);
}
