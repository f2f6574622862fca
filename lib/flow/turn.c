#include "flow/turn.h"

#include "base/crashpoint.h"
#include "base/log.h"
#include "flow/why.h"

#include <assert.h>
#include <string.h>

#define SAVES_MAX 1000  /* rows of one commit */
#define READS_MAX 500
#define ADOPTS_MAX 500
#define EXPIRES_MAX 200
#define MEMORY_MS 1000
#define PAUSE_MS 500     /* after an error that no connection was lost by */
#define PUT_BACK_MS 5000 /* until a row that was kept out is saved again */
#define BUSY_MS 20       /* about as long as another's claim takes */

/* ---- asking ------------------------------------------------------------------ */

static int room_for_claims(struct engine *engine)
{
    if (!engine->claim_wanted || !gate_may_submit(&engine->gate) ||
        !engine->clock.known || engine->lost_claim_ms) {
        return 0;
    }
    int room = gate_submits_room(&engine->gate);
    int left = engine->options.tasks_max - (int)engine->jobs.used;
    return room < left ? room : left > 0 ? left : 0;
}

static int room_for_adopts(const struct engine *engine)
{
    if (!(engine->adopt_wanted || engine->pass.under_way) ||
        !engine->gate.lease_ok || engine->gate.draining || !engine->clock.known) {
        return 0;
    }
    size_t left = engine->jobs.slots_max - engine->jobs.used;
    return left < ADOPTS_MAX ? (int)left : ADOPTS_MAX;
}

/** They settle without a submission: the room for jobs bounds them, of which a
 * part is left to takeovers. */
static int room_for_expired(const struct engine *engine)
{
    if (!engine->expire_wanted || !engine->gate.lease_ok || engine->gate.draining) {
        return 0;
    }
    size_t max = engine->jobs.slots_max - engine->jobs.slots_max / 4;
    size_t left = max > engine->jobs.used ? max - engine->jobs.used : 0;
    return left < EXPIRES_MAX ? (int)left : EXPIRES_MAX;
}

static size_t list_len(const struct list *head, size_t max)
{
    size_t len = 0;
    for (const struct list *at = head->next; at != head && len < max;
         at = at->next) {
        len++;
    }
    return len;
}

/** Tests kill the worker before and after every kind of save. */
static void save_point(const struct task_row *row, bool saved)
{
    (void)row;
    (void)saved;
    CRASHPOINT_IF(!saved && row->state == QUEUED, "hand_back_before");
    CRASHPOINT_IF(saved && row->state == QUEUED, "hand_back_after");
    CRASHPOINT_IF(!saved && row->state == SUBMITTING, "replay_save_before");
    CRASHPOINT_IF(saved && row->state == SUBMITTING, "replay_save_after");
    CRASHPOINT_IF(!saved && row->state == RUNNING, "running_save_before");
    CRASHPOINT_IF(saved && row->state == RUNNING, "running_save_after");
    CRASHPOINT_IF(!saved && row->state == READY, "ready_save_before");
    CRASHPOINT_IF(saved && row->state == READY, "ready_save_after");
    CRASHPOINT_IF(!saved && row->state == SUCCEEDED, "stored_save_before");
    CRASHPOINT_IF(saved && row->state == SUCCEEDED, "stored_save_after");
    CRASHPOINT_IF(!saved && row->state == FAILED, "failed_save_before");
    CRASHPOINT_IF(saved && row->state == FAILED, "failed_save_after");
    CRASHPOINT_IF(!saved && row->state == LATE, "late_save_before");
    CRASHPOINT_IF(saved && row->state == LATE, "late_save_after");
    CRASHPOINT_IF(!saved && row->state == CLOSED, "close_save_before");
    CRASHPOINT_IF(saved && row->state == CLOSED, "close_save_after");
}

static void gather_saves(struct engine *engine, struct turn *turn)
{
    struct flight *flight = &engine->flight;
    size_t max = list_len(&engine->dirty, SAVES_MAX);
    const struct task_row **rows =
        arena_alloc(&flight->arena, (max + 1) * sizeof *rows);
    flight->saves = arena_alloc(&flight->arena, (max + 1) * sizeof(*flight->saves));
    flight->saves_len = 0;
    while (rows && flight->saves && flight->saves_len < max) {
        struct job *job =
            LIST_OWNER(list_pop(&engine->dirty), struct job, link);
        job->in_flush = true;
        save_point(&job->task.row, false);
        rows[flight->saves_len] = &job->task.row;
        flight->saves[flight->saves_len++] = job_ref(job);
    }
    turn->saves = rows;
    turn->saves_len = flight->saves_len;
}

/** Moves the head of a line into the flight; returns their ids, with room. */
static int64_t *take_line(struct engine *engine, struct list *line,
                          struct job_ref **refs, size_t *refs_len, size_t room)
{
    struct arena *arena = &engine->flight.arena;
    size_t max = list_len(line, READS_MAX);
    int64_t *ids = arena_alloc(arena, (max + room + 1) * sizeof *ids);
    *refs = arena_alloc(arena, (max + 1) * sizeof **refs);
    *refs_len = 0;
    while (ids && *refs && *refs_len < max) {
        struct job *job = LIST_OWNER(list_pop(line), struct job, link);
        job->seen = false;
        ids[*refs_len] = job->task.row.id;
        (*refs)[(*refs_len)++] = job_ref(job);
    }
    return ids;
}

/** Jobs that wait for their facts, and those that will need them right after
 * this save, because a transfer can begin at once. */
static void gather_facts(struct engine *engine, struct turn *turn)
{
    struct flight *flight = &engine->flight;
    int slots = gate_transfers_room(&engine->gate);
    int64_t *ids = take_line(engine, &engine->readers, &flight->readers,
                             &flight->readers_len, flight->saves_len);
    size_t len = flight->readers_len;
    for (size_t i = 0; ids && i < flight->saves_len && slots > 0; i++) {
        const struct task_row *row = turn->saves[i];
        if (row->state == READY && row->result) {
            ids[len++] = row->id;
            slots--;
        }
    }
    turn->facts = ids;
    turn->facts_len = len;
}

static void gather_rereads(struct engine *engine, struct turn *turn)
{
    struct flight *flight = &engine->flight;
    turn->rereads = take_line(engine, &engine->rereaders, &flight->rereaders,
                              &flight->rereaders_len, 0);
    turn->rereads_len = flight->rereaders_len;
}

/** A pass goes on where it stood, or begins; what is wanted meanwhile may lie
 * behind it and is for the next one. */
static void gather_adopts(struct engine *engine, struct turn *turn)
{
    struct adopt_pass *pass = &engine->pass;
    if (engine->forget_wanted) {
        int64_t *dead = arena_alloc(&engine->flight.arena, sizeof pass->dead);
        if (dead) {
            memcpy(dead, pass->dead, sizeof pass->dead);
        }
        turn->forget = dead;
        turn->forget_len = dead ? pass->dead_len : 0;
        engine->forget_wanted = false;
    }
    turn->adopts_max = room_for_adopts(engine);
    if (turn->adopts_max > 0 && !pass->under_way) {
        *pass = (struct adopt_pass){.under_way = true, .clean = true};
        engine->adopt_wanted = false;
    }
    turn->adopt_after = pass->after;
}

static bool is_idle(const struct engine *engine)
{
    return list_is_empty(&engine->dirty) && list_is_empty(&engine->readers) &&
           list_is_empty(&engine->rereaders) &&
           list_is_empty(&engine->put_back) && !engine->resync &&
           gate_is_idle(&engine->gate) && learn_waiting(&engine->learn) == 0;
}

static void tell_idle(struct engine *engine)
{
    if (engine->gate.draining && engine->on_idle && is_idle(engine)) {
        loop_fn *on_idle = engine->on_idle;
        engine->on_idle = NULL;
        on_idle(engine->idle_context);
    }
}

static void on_turn(void *context, const struct turn_result *result);

static void ask(void *context)
{
    struct engine *engine = context;
    if (engine->in_flight || engine->paused) {
        return; /* its answer, or the end of the pause, asks again */
    }
    if (!store_is_up(engine->edges.store) || !engine->owner) {
        tell_idle(engine);
        return;
    }
    struct flight *flight = &engine->flight;
    arena_reset(&flight->arena);
    *flight = (struct flight){.arena = flight->arena};
    struct turn turn = {
        .owner = engine->owner,
        .now_ms = engine_now_ms(engine),
        .account = engine->options.apimart.account,
        .bucket = bucket_name(engine->edges.bucket),
        .generations_max = engine->options.generations_max,
        .mine = engine->resync,
    };
    if (!turn.mine) {
        gather_saves(engine, &turn);
        gather_facts(engine, &turn);
        gather_rereads(engine, &turn);
        turn.claims_max = room_for_claims(engine);
        gather_adopts(engine, &turn);
        turn.expires_max =
            turn.adopts_max == 0 ? room_for_expired(engine) : 0;
        reasons_gather(&engine->reasons, &turn, &flight->arena, turn.now_ms);
    }
    if (!turn.mine && !turn.saves_len && !turn.facts_len &&
        !turn.rereads_len && turn.claims_max <= 0 && turn.adopts_max <= 0 &&
        turn.expires_max <= 0 && !turn.reasons_len && !turn.reasons_gone_len &&
        !turn.shared_changed && !turn.forget_len) {
        tell_idle(engine);
        return;
    }
    if (turn.claims_max < 0) {
        turn.claims_max = 0;
    }
    if (turn.claims_max > 0) {
        /* By its time its rows are known again: the last one had another. */
        turn.now_ms += turn.now_ms == engine->claim_ms;
        engine->claim_ms = turn.now_ms;
    }
    flight->owner = turn.owner;
    flight->now_ms = turn.now_ms;
    flight->claims = turn.claims_max;
    flight->adopts = turn.adopts_max;
    flight->expires = turn.expires_max;
    flight->mine = turn.mine;
    flight->began_us = loop_boot_us(engine->edges.loop);
    gate_reserve(&engine->gate, turn.claims_max);
    engine->claim_wanted = engine->claim_wanted && turn.claims_max == 0;
    engine->expire_wanted = engine->expire_wanted && turn.expires_max == 0;
    engine->in_flight = true;
    CRASHPOINT_IF(turn.claims_max > 0, "claim_before");
    CRASHPOINT_IF(turn.adopts_max > 0, "adopt_before");
    store_turn(engine->edges.store, &turn, on_turn, engine);
    CRASHPOINT_IF(turn.claims_max > 0, "claim_sent");
    CRASHPOINT_IF(turn.adopts_max > 0, "adopt_sent");
    CRASHPOINT_IF(turn.saves_len > 0, "save_sent");
}

void turn_soon(struct engine *engine)
{
    loop_defer(engine->edges.loop, ask, engine);
}

void turn_short_of_memory(struct engine *engine)
{
    log_at(LOG_ERROR, "no memory for a task of ours; it is read again soon");
    engine->resync_later = true;
    loop_timer_set(engine->memory_timer, MEMORY_MS);
}

void turn_again(void *context)
{
    struct engine *engine = context;
    while (!list_is_empty(&engine->starved)) {
        list_add_tail(&engine->readers, list_pop(&engine->starved));
    }
    engine->resync = engine->resync || engine->resync_later;
    engine->resync_later = false;
    turn_soon(engine);
}

void turn_go_on(void *context)
{
    struct engine *engine = context;
    engine->paused = false;
    turn_soon(engine);
}

void turn_save_again(void *context)
{
    struct engine *engine = context;
    while (!list_is_empty(&engine->put_back)) {
        list_add_tail(&engine->dirty, list_pop(&engine->put_back));
    }
    turn_soon(engine);
}

/* ---- answers ------------------------------------------------------------------- */

static void line_up_again(struct engine *engine, struct list *line,
                          const struct job_ref *refs, size_t len,
                          enum job_phase phase)
{
    for (size_t i = 0; i < len; i++) {
        struct job *job = jobs_get(&engine->jobs, refs[i]);
        if (job && job->phase == phase) {
            list_remove(&job->link);
            list_add_tail(line, &job->link);
        }
    }
}

static void lost_answers(struct engine *engine, const struct err *err)
{
    const struct flight *flight = &engine->flight;
    log_at(LOG_WARN, "the store's answer was lost; its rows are read again",
           LOG_I64("rows", flight->saves_len), LOG_TEXT("why", err->text));
    for (size_t i = 0; i < flight->saves_len; i++) {
        struct job *job = jobs_get(&engine->jobs, flight->saves[i]);
        if (!job) {
            continue;
        }
        const struct task_row *row = &job->task.row;
        job->in_flush = false;
        job->unsure = true;
        if (row->state == RUNNING) {
            learn_warn(row->id, str_of(job_request_id(job)),
                       str_of(row->provider_task_id));
        }
    }
    line_up_again(engine, &engine->readers, flight->readers,
                  flight->readers_len, JOB_READING);
    line_up_again(engine, &engine->rereaders, flight->rereaders,
                  flight->rereaders_len, JOB_REREADING);
    reasons_written(&engine->reasons, false);
    gate_unreserve(&engine->gate, flight->claims);
    if (flight->claims && flight->owner == engine->owner) {
        engine->lost_claim_ms = flight->now_ms;
    }
    engine->claim_wanted = true;
    if (flight->adopts > 0) {
        engine->pass = (struct adopt_pass){0};
        engine->adopt_wanted = true;
    }
    engine->expire_wanted = engine->expire_wanted || flight->expires > 0;
    engine->resync = true;
    if (store_is_up(engine->edges.store)) {
        engine->paused = true; /* else the same error comes at once */
        loop_timer_set(engine->pause_timer, PAUSE_MS);
    }
}

static void saves_came(struct engine *engine, const struct turn_result *result)
{
    const struct flight *flight = &engine->flight;
    for (size_t i = 0; i < flight->saves_len; i++) {
        struct job *job = jobs_get(&engine->jobs, flight->saves[i]);
        if (!job || job->phase != JOB_SAVING || !job->in_flush) {
            continue;
        }
        switch (result->saves[i]) {
        case SAVE_DONE:
            metric_add(engine->metrics.rows, 1);
            save_point(&job->task.row, true);
            engine_saved(engine, job);
            break;
        case SAVE_FENCED:
            job->in_flush = false;
            job_enter(job, JOB_REREADING);
            list_add_tail(&engine->rereaders, &job->link);
            break;
        case SAVE_POISON:
            log_at(LOG_ERROR,
                   "the store refuses the data of a task; it is left alone",
                   LOG_TEXT("request_id", job_request_id(job)));
            job->in_flush = false;
            job_enter(job, JOB_PARKED);
            break;
        case SAVE_LATER:
            log_at(LOG_ERROR,
                   "a constraint of the store keeps a task's row out; it is "
                   "saved again soon: pixverse-worker check may know why",
                   LOG_TEXT("request_id", job_request_id(job)));
            job->in_flush = false;
            list_add_tail(&engine->put_back, &job->link);
            loop_timer_set(engine->save_timer, PUT_BACK_MS);
            break;
        }
    }
}

/** Without memory the job has none, and asks again. */
static void keep_facts(const struct facts_row *row, struct job *job)
{
    struct effect *effect = job_effect(job);
    struct arena *arena = effect ? &effect->arena : NULL;
    if (!arena) {
        return;
    }
    arena->failed = false; /* this try is another one */
    struct facts_row *copy = arena_alloc(arena, sizeof *copy);
    if (!copy) {
        return;
    }
    *copy = *row;
    struct str *texts[] = {
        &copy->body,           &copy->idempotency_key,
        &copy->facts.metadata, &copy->facts.request_id,
        &copy->facts.tenant,   &copy->facts.warnings,
        &copy->facts.tracestate, &copy->facts.traceparent,
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i]->at) {
            texts[i]->at = arena_copy(arena, texts[i]->at, texts[i]->len);
        }
    }
    if (!arena->failed) {
        effect->facts = copy;
    }
}

static void facts_came(struct engine *engine, const struct turn_result *result)
{
    for (size_t i = 0; i < result->facts_len; i++) {
        struct job *job = jobs_find(&engine->jobs, result->facts[i].id);
        if (!job) {
            continue;
        }
        keep_facts(&result->facts[i], job);
        if (job->phase != JOB_READING) {
            continue;
        }
        if (job->effect && job->effect->facts) {
            engine_facts_came(engine, job);
        } else {
            list_add_tail(&engine->starved, &job->link);
            loop_timer_set(engine->memory_timer, MEMORY_MS);
        }
    }
    for (size_t i = 0; i < engine->flight.readers_len; i++) {
        struct job *job = jobs_get(&engine->jobs, engine->flight.readers[i]);
        if (job && job->phase == JOB_READING && list_is_empty(&job->link) &&
            (!job->effect || !job->effect->facts)) {
            job_enter(job, JOB_PARKED);
            log_at(LOG_ERROR, "a task without its request is left alone",
                   LOG_TEXT("request_id", job_request_id(job)));
        }
    }
}

static void rows_came(struct engine *engine, const struct turn_result *result)
{
    for (size_t i = 0; i < result->rereads_len; i++) {
        const struct task_row *row = &result->rereads[i].row;
        struct job *job = jobs_find(&engine->jobs, row->id);
        if (!job || job->phase != JOB_REREADING) {
            continue;
        }
        job->seen = true;
        if (result->rereads[i].unreadable) {
            take_leave_alone(row->id);
            engine_drop(engine, job);
            continue;
        }
        job->task.memo.cancel |= result->rereads[i].cancel;
        job->task.memo.read_ms = engine->flight.now_ms;
        engine_row_came(engine, job, row);
    }
    for (size_t i = 0; i < engine->flight.rereaders_len; i++) {
        struct job *job = jobs_get(&engine->jobs, engine->flight.rereaders[i]);
        if (job && job->phase == JOB_REREADING && !job->seen) {
            engine_drop(engine, job); /* it has left the table */
        }
    }
}

static void claims_came(struct engine *engine, const struct turn_result *result)
{
    int asked = engine->flight.claims;
    CRASHPOINT_IF(result->claimed_len > 0, "claim_after");
    for (size_t i = 0; i < result->claimed_len; i++) {
        struct job *job = engine_take_in(engine, &result->claimed[i], true);
        if (!job) { /* no memory: it is found again as what was lost */
            engine->lost_claim_ms = engine->flight.now_ms;
            continue;
        }
        keep_facts(&result->claimed_facts[i], job);
        engine_start_claimed(engine, job);
    }
    if (asked && !result->generations_busy) {
        why_generations(engine, result->generations_full);
    }
    if (asked && (int)result->claimed_len == asked) {
        engine->claim_wanted = true; /* more may wait */
    }
    if (result->generations_busy) {
        loop_timer_set(engine->claim_timer,
                       BUSY_MS + loop_random(engine->edges.loop) % BUSY_MS);
    }
}

static void pass_goes_on(struct engine *engine,
                         const struct turn_result *result)
{
    struct adopt_pass *pass = &engine->pass;
    if (!engine->flight.adopts || !pass->under_way) {
        return;
    }
    if (result->lease_dead) {
        *pass = (struct adopt_pass){0}; /* nothing was looked for */
        return;
    }
    assert(result->dead_len <= DEAD_MAX);
    if (result->dead_len) {
        memcpy(pass->dead, result->dead,
               result->dead_len * sizeof(*result->dead));
        pass->dead_len = result->dead_len;
    }
    pass->clean &= (int)result->adopted_len == result->adopts_seen;
    pass->after = result->adopt_last;
    if (result->adopts_seen < engine->flight.adopts) {
        pass->under_way = false;
        pass->after = 0;
        engine->forget_wanted = pass->clean && pass->dead_len > 0;
    }
}

static void adopts_came(struct engine *engine, const struct turn_result *result)
{
    CRASHPOINT_IF(result->adopted_len > 0, "adopt_after");
    int64_t orphans = 0;
    for (size_t i = 0; i < result->adopted_len; i++) {
        orphans += result->adopted[i].orphan;
        (void)engine_take_in(engine, &result->adopted[i], false);
    }
    for (size_t i = 0; i < result->expired_len; i++) {
        (void)engine_take_in(engine, &result->expired[i], false);
    }
    int64_t nobodys = (int64_t)result->adopted_len - orphans;
    if (orphans) {
        log_at(LOG_INFO, "took over tasks of a worker that is gone",
               LOG_I64("tasks", orphans));
    }
    if (nobodys) { /* an operator's order opened them again */
        log_at(LOG_INFO, "took up tasks that nobody worked on",
               LOG_I64("tasks", nobodys));
    }
    pass_goes_on(engine, result);
    if (engine->flight.expires &&
        (int)result->expired_len == engine->flight.expires) {
        engine->expire_wanted = true;
    }
}

static void on_turn(void *context, const struct turn_result *result)
{
    struct engine *engine = context;
    engine->in_flight = false;
    metric_observe(engine->metrics.store_latency,
                   (double)(loop_boot_us(engine->edges.loop) -
                            engine->flight.began_us) /
                       1e6);
    metric_add(engine->metrics.commits, (double)result->commits);
    if (result->err.kind != ERR_NONE) {
        lost_answers(engine, &result->err);
        turn_soon(engine);
        return;
    }
    if (engine->flight.mine) {
        if (engine->owner == engine->flight.owner) {
            turn_mine_came(engine, result);
        }
    } else {
        reasons_written(&engine->reasons, true);
        facts_came(engine, result);
        saves_came(engine, result);
        rows_came(engine, result);
        gate_unreserve(&engine->gate, engine->flight.claims);
        if (engine->owner == engine->flight.owner) {
            claims_came(engine, result);
            adopts_came(engine, result);
        }
    }
    /* That of a lease which we have lost already says nothing of the new one. */
    if (result->lease_dead && engine->owner == engine->flight.owner) {
        engine->on_lease_dead(engine->fleet_context);
    }
    turn_soon(engine);
}
