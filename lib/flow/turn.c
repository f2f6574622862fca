#include "flow/turn.h"

#include "base/crashpoint.h"
#include "base/log.h"
#include "flow/learn.h"
#include "flow/line.h"
#include "flow/take.h"
#include "flow/turn_crash.h"

#include <assert.h>
#include <string.h>

#define SAVES_MAX 1000 /* rows of one commit */
#define READS_MAX 500
#define ADOPTS_MAX 500
#define EXPIRES_MAX 200
#define MEMORY_MS 1000
#define PAUSE_MS 500     /* after an error that no connection was lost by */
#define PUT_BACK_MS 5000 /* until a row that was kept out is saved again */
#define BUSY_MS 20       /* about as long as another's claim takes */

/* ---- asking ---- */

static int room_for_claims(struct turns *turns)
{
    assert(turns->jobs->used <= turns->jobs->slots_max);
    if (!turns->claim_wanted || !gate_may_submit(turns->gate) ||
        !turns->clock->known || turns->lost_claim_ms) {
        return 0;
    }
    int room = gate_submits_room(turns->gate);
    int left = turns->options.tasks_max - (int)turns->jobs->used;
    room = room < left ? room : left;
    return room > 0 ? room : 0;
}

static bool may_take(const struct turns *turns)
{
    return turns->gate->lease_ok && !turns->gate->draining;
}

/** They settle without a submission: the room for jobs bounds them, of which a
 * part is left to takeovers. */
static int room_for_expired(const struct turns *turns, size_t claims)
{
    assert(turns->jobs->used <= turns->jobs->slots_max);
    size_t max = turns->jobs->slots_max - turns->jobs->slots_max / 4;
    return turns->expire_wanted && may_take(turns)
               ? jobs_room(turns->jobs, max, claims, EXPIRES_MAX)
               : 0;
}

static void gather_saves(struct turns *turns, struct turn *turn)
{
    struct flight *flight = &turns->flight;
    size_t max = line_len(&turns->dirty, SAVES_MAX);
    const struct task_row **rows =
        arena_alloc(&flight->arena, (max + 1) * sizeof *rows);
    flight->saves =
        arena_alloc(&flight->arena, (max + 1) * sizeof(*flight->saves));
    flight->saves_len = 0;
    while (rows && flight->saves && flight->saves_len < max) {
        struct job *job = LIST_OWNER(list_pop(&turns->dirty), struct job, link);
        assert(job->phase == JOB_SAVING && !job->in_flush);
        job->in_flush = true;
        turn_crashpoint(&job->task.row, false);
        rows[flight->saves_len] = &job->task.row;
        flight->saves[flight->saves_len++] = job_ref(job);
    }
    turn->saves = rows;
    turn->saves_len = flight->saves_len;
}

/** Jobs that wait for their facts, and those that will need them right after
 * this save, because a transfer can begin at once. */
static void gather_facts(struct turns *turns, struct turn *turn)
{
    assert(turn->saves_len == turns->flight.saves_len);
    struct flight *flight = &turns->flight;
    int slots = gate_transfers_room(turns->gate);
    int64_t *ids =
        line_take(&turns->readers, &flight->arena, &flight->readers,
                  &flight->readers_len, READS_MAX, flight->saves_len);
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

static void gather_rereads(struct turns *turns, struct turn *turn)
{
    assert(!turn->rereads && !turn->mine);
    struct flight *flight = &turns->flight;
    turn->rereads =
        line_take(&turns->rereaders, &flight->arena, &flight->rereaders,
                  &flight->rereaders_len, READS_MAX, 0);
    turn->rereads_len = flight->rereaders_len;
}

/** What lies in a line, or was sent and not answered, is not idle. */
static void tell_idle(struct turns *turns)
{
    if (list_is_empty(&turns->dirty) && list_is_empty(&turns->readers) &&
        list_is_empty(&turns->rereaders) && list_is_empty(&turns->put_back) &&
        !turns->resync) {
        turns->hooks->on_idle(turns->context);
    }
}

static void on_turn(void *context, const struct turn_result *result);

static void ask(void *context)
{
    struct turns *turns = context;
    if (turns->in_flight || turns->paused) {
        return; /* its answer, or the end of the pause, asks again */
    }
    if (!store_is_up(turns->store) || !turns->owner) {
        tell_idle(turns);
        return;
    }
    struct flight *flight = &turns->flight;
    arena_reset(&flight->arena);
    *flight = (struct flight){.arena = flight->arena};
    struct turn turn = {
        .owner = turns->owner,
        .now_ms = clock_now_ms(turns->clock),
        .account = turns->options.account,
        .bucket = turns->options.bucket,
        .generations_max = turns->options.generations_max,
        .mine = turns->resync,
    };
    /* After lost answers nothing else is asked: which of our saves, claims and
     * takeovers are there is what the rest would build on. */
    if (!turn.mine) {
        gather_saves(turns, &turn);
        gather_facts(turns, &turn);
        gather_rereads(turns, &turn);
        turn.claims_max = room_for_claims(turns);
        /* The claims of this very turn need slots, too. */
        size_t claims = (size_t)turn.claims_max;
        int adopts = may_take(turns) && turns->clock->known
                         ? jobs_room(turns->jobs, turns->jobs->slots_max,
                                     claims, ADOPTS_MAX)
                         : 0;
        pass_gather(&turns->pass, &turn, adopts, &flight->arena);
        turn.expires_max =
            turn.adopts_max == 0 ? room_for_expired(turns, claims) : 0;
        reasons_gather(turns->reasons, &turn, &flight->arena, turn.now_ms);
    }
    if (!turn.mine && !turn.saves_len && !turn.facts_len && !turn.rereads_len &&
        turn.claims_max <= 0 && turn.adopts_max <= 0 && turn.expires_max <= 0 &&
        !turn.reasons_len && !turn.reasons_gone_len && !turn.shared_changed &&
        !turn.forget_len) {
        tell_idle(turns);
        return;
    }
    if (turn.claims_max > 0) {
        /* By its time its rows are known again: the last one had another. */
        turn.now_ms += turn.now_ms == turns->claim_ms;
        turns->claim_ms = turn.now_ms;
    }
    flight->owner = turn.owner;
    flight->now_ms = turn.now_ms;
    flight->claims = turn.claims_max;
    flight->adopts = turn.adopts_max;
    flight->expires = turn.expires_max;
    flight->mine = turn.mine;
    flight->began_us = loop_boot_us(turns->clock->loop);
    /* Counted before they are there: no replay may take their slots. */
    gate_reserve(turns->gate, turn.claims_max);
    turns->claim_wanted = turns->claim_wanted && turn.claims_max == 0;
    turns->expire_wanted = turns->expire_wanted && turn.expires_max == 0;
    turns->in_flight = true;
    CRASHPOINT_IF(turn.claims_max > 0, "claim_before");
    CRASHPOINT_IF(turn.adopts_max > 0, "adopt_before");
    store_turn(turns->store, &turn, on_turn, turns);
    CRASHPOINT_IF(turn.claims_max > 0, "claim_sent");
    CRASHPOINT_IF(turn.adopts_max > 0, "adopt_sent");
    CRASHPOINT_IF(turn.saves_len > 0, "save_sent");
}

void turn_soon(struct turns *turns)
{
    assert(turns->clock->loop);
    loop_defer(turns->clock->loop, ask, turns);
}

void turn_short_of_memory(struct turns *turns)
{
    log_at(LOG_ERROR, "no memory for a task of ours; it is read again soon");
    turns->resync_later = true;
    loop_timer_set(turns->memory_timer, MEMORY_MS);
}

/** There may be memory by now. */
static void read_again(void *context)
{
    struct turns *turns = context;
    while (!list_is_empty(&turns->starved)) {
        list_add_tail(&turns->readers, list_pop(&turns->starved));
    }
    turns->resync = turns->resync || turns->resync_later;
    turns->resync_later = false;
    turn_soon(turns);
}

static void pause_over(void *context)
{
    turn_go_on(context);
}

void turn_go_on(struct turns *turns)
{
    turns->paused = false;
    turn_soon(turns);
}

/** What was kept out may be taken by now. */
static void save_again(void *context)
{
    struct turns *turns = context;
    while (!list_is_empty(&turns->put_back)) {
        list_add_tail(&turns->dirty, list_pop(&turns->put_back));
    }
    turn_soon(turns);
}

static void claim_again(void *context)
{
    turn_want_claims(context);
}

/* ---- life ---- */

static void metrics_init(struct turns *turns, struct metrics *m)
{
    turns->latency =
        metric_get(m, METRIC_HISTOGRAM, "pixverse_store_turn_seconds", NULL,
                   "One round trip with the store.");
    turns->commits =
        metric_get(m, METRIC_COUNTER, "pixverse_store_commits_total", NULL,
                   "Transactions of the engine that wrote.");
    turns->rows = metric_get(m, METRIC_COUNTER, "pixverse_store_rows_total",
                             NULL, "Rows that the engine wrote.");
}

bool turn_init(struct turns *turns, const struct turn_options *options,
               const struct turn_parts *parts, const struct turn_hooks *hooks,
               void *context)
{
    assert(options->account && options->bucket);
    assert(options->tasks_max > 0 && options->generations_max >= 0);
    assert(parts->store && parts->jobs && parts->gate && parts->reasons);
    *turns = (struct turns){
        .options = *options,
        .hooks = hooks,
        .context = context,
        .store = parts->store,
        .jobs = parts->jobs,
        .gate = parts->gate,
        .reasons = parts->reasons,
        .clock = parts->clock,
    };
    list_init(&turns->dirty);
    list_init(&turns->readers);
    list_init(&turns->rereaders);
    list_init(&turns->starved);
    list_init(&turns->put_back);
    arena_init(&turns->flight.arena, 16384, 0);
    struct loop *loop = parts->clock->loop;
    turns->memory_timer = loop_timer_new(loop, read_again, turns);
    turns->pause_timer = loop_timer_new(loop, pause_over, turns);
    turns->claim_timer = loop_timer_new(loop, claim_again, turns);
    turns->save_timer = loop_timer_new(loop, save_again, turns);
    metrics_init(turns, parts->metrics);
    return turns->memory_timer && turns->pause_timer && turns->claim_timer &&
           turns->save_timer;
}

void turn_done(struct turns *turns)
{
    loop_timer_free(turns->memory_timer);
    loop_timer_free(turns->pause_timer);
    loop_timer_free(turns->claim_timer);
    loop_timer_free(turns->save_timer);
    arena_done(&turns->flight.arena);
}

/* ---- what goes into it ---- */

void turn_save(struct turns *turns, struct job *job, int64_t then_ms)
{
    assert(list_is_empty(&job->link));
    job_enter(job, JOB_SAVING);
    job->in_flush = false;
    job->unsure = false;
    job->then_ms = then_ms;
    list_add_tail(&turns->dirty, &job->link);
    turn_soon(turns);
}

void turn_read(struct turns *turns, struct job *job)
{
    assert(!job->in_flush);
    job_enter(job, JOB_READING);
    list_add_tail(&turns->readers, &job->link);
    turn_soon(turns);
}

void turn_reread(struct turns *turns, struct job *job)
{
    assert(job->task.row.state != CLOSED);
    job_enter(job, JOB_REREADING);
    list_add_tail(&turns->rereaders, &job->link);
    turn_soon(turns);
}

void turn_want_claims(struct turns *turns)
{
    turns->claim_wanted = true;
    turn_soon(turns);
}

void turn_want_adopts(struct turns *turns)
{
    turns->pass.wanted = true;
    turn_soon(turns);
}

void turn_want_expiry(struct turns *turns)
{
    turns->expire_wanted = true;
    turn_soon(turns);
}

/* ---- what is told ---- */

void turn_joined(struct turns *turns, int64_t owner)
{
    assert(owner > 0 && !turns->owner);
    turns->owner = owner;
    turns->pass.wanted = true;
    turns->claim_wanted = true;
}

void turn_lost(struct turns *turns)
{
    turns->owner = 0;
    turns->pass = (struct pass){0};
    turns->resync = false;
    turns->lost_claim_ms = 0;
}

/* ---- answers ---- */

static void lost_answers(struct turns *turns, const struct err *err)
{
    assert(err->kind != ERR_NONE);
    const struct flight *flight = &turns->flight;
    log_at(LOG_WARN, "the store's answer was lost; its rows are read again",
           LOG_I64("rows", flight->saves_len), LOG_TEXT("why", err->text));
    for (size_t i = 0; i < flight->saves_len; i++) {
        struct job *job = jobs_get(turns->jobs, flight->saves[i]);
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
    line_again(turns->jobs, &turns->readers, flight->readers,
               flight->readers_len, JOB_READING);
    line_again(turns->jobs, &turns->rereaders, flight->rereaders,
               flight->rereaders_len, JOB_REREADING);
    reasons_written(turns->reasons, false);
    gate_unreserve(turns->gate, flight->claims);
    if (flight->claims && flight->owner == turns->owner) {
        turns->lost_claim_ms = flight->now_ms;
    }
    turns->claim_wanted = true;
    if (flight->adopts > 0) {
        turns->pass = (struct pass){.wanted = true};
    }
    turns->expire_wanted = turns->expire_wanted || flight->expires > 0;
    turns->resync = true;
    if (store_is_up(turns->store)) {
        turns->paused = true; /* else the same error comes at once */
        loop_timer_set(turns->pause_timer, PAUSE_MS);
    }
}

/** Left alone, without a slot that others could use. */
static void park(struct turns *turns, struct job *job, const char *why)
{
    log_at(LOG_ERROR, why, LOG_TEXT("request_id", job_request_id(job)));
    learn_tell(job);
    gate_give_back(turns->gate, job);
    job_enter(job, JOB_PARKED);
}

static void saves_came(struct turns *turns, const struct turn_result *result)
{
    const struct flight *flight = &turns->flight;
    for (size_t i = 0; i < flight->saves_len; i++) {
        struct job *job = jobs_get(turns->jobs, flight->saves[i]);
        if (!job || job->phase != JOB_SAVING || !job->in_flush) {
            continue;
        }
        switch (result->saves[i]) {
        case SAVE_DONE:
            metric_add(turns->rows, 1);
            turn_crashpoint(&job->task.row, true);
            turns->hooks->on_saved(turns->context, job);
            break;
        case SAVE_FENCED:
            job->in_flush = false;
            job_enter(job, JOB_REREADING);
            list_add_tail(&turns->rereaders, &job->link);
            break;
        case SAVE_POISON:
            job->in_flush = false;
            park(turns, job,
                 "the store refuses the data of a task; it is left alone");
            break;
        case SAVE_LATER:
            log_at(LOG_ERROR,
                   "a constraint of the store keeps a task's row out; it is "
                   "saved again soon: pixverse-worker check may know why",
                   LOG_TEXT("request_id", job_request_id(job)));
            learn_tell(job);
            job->in_flush = false;
            list_add_tail(&turns->put_back, &job->link);
            loop_timer_set(turns->save_timer, PUT_BACK_MS);
            break;
        }
    }
}

static void facts_came(struct turns *turns, const struct turn_result *result)
{
    for (size_t i = 0; i < result->facts_len; i++) {
        struct job *job = jobs_find(turns->jobs, result->facts[i].id);
        if (!job) {
            continue;
        }
        take_facts(&result->facts[i], job);
        if (job->phase != JOB_READING) {
            continue;
        }
        /* Claimed anew since this was asked, it may stand in line already. */
        list_remove(&job->link);
        if (job->effect && job->effect->facts) {
            turns->hooks->on_facts(turns->context, job);
        } else {
            list_add_tail(&turns->starved, &job->link);
            loop_timer_set(turns->memory_timer, MEMORY_MS);
        }
    }
    for (size_t i = 0; i < turns->flight.readers_len; i++) {
        struct job *job = jobs_get(turns->jobs, turns->flight.readers[i]);
        if (job && job->phase == JOB_READING && list_is_empty(&job->link) &&
            (!job->effect || !job->effect->facts)) {
            park(turns, job, "a task without its request is left alone");
        }
    }
}

static void rows_came(struct turns *turns, const struct turn_result *result)
{
    for (size_t i = 0; i < result->rereads_len; i++) {
        const struct task_row *row = &result->rereads[i].row;
        struct job *job = jobs_find(turns->jobs, row->id);
        if (!job || job->phase != JOB_REREADING) {
            continue;
        }
        job->seen = true;
        list_remove(&job->link); /* as with facts */
        if (result->rereads[i].unreadable) {
            take_leave_alone(row->id);
            turns->hooks->on_gone(turns->context, job);
            continue;
        }
        job->task.memo.cancel |= result->rereads[i].cancel;
        job->task.memo.read_ms = turns->flight.now_ms;
        turns->hooks->on_row(turns->context, job, row);
    }
    for (size_t i = 0; i < turns->flight.rereaders_len; i++) {
        struct job *job = jobs_get(turns->jobs, turns->flight.rereaders[i]);
        if (job && job->phase == JOB_REREADING && !job->seen) {
            turns->hooks->on_gone(turns->context,
                                  job); /* it has left the table */
        }
    }
}

static void claims_came(struct turns *turns, const struct turn_result *result)
{
    int asked = turns->flight.claims;
    assert((int)result->claimed_len <= asked);
    CRASHPOINT_IF(result->claimed_len > 0, "claim_after");
    for (size_t i = 0; i < result->claimed_len; i++) {
        if (!turns->hooks->on_claimed(turns->context, &result->claimed[i],
                                      &result->claimed_facts[i])) {
            /* no memory: it is found again as what was lost */
            turns->lost_claim_ms = turns->flight.now_ms;
        }
    }
    if (asked && !result->generations_busy) {
        turns->hooks->on_generations(turns->context, result->generations_full);
    }
    if (asked && (int)result->claimed_len == asked) {
        turns->claim_wanted = true; /* more may wait */
    }
    if (result->generations_busy) {
        loop_timer_set(turns->claim_timer,
                       BUSY_MS + loop_random(turns->clock->loop) % BUSY_MS);
    }
}

static void adopts_came(struct turns *turns, const struct turn_result *result)
{
    assert((int)result->expired_len <= turns->flight.expires);
    CRASHPOINT_IF(result->adopted_len > 0, "adopt_after");
    int64_t orphans = 0;
    for (size_t i = 0; i < result->adopted_len; i++) {
        orphans += result->adopted[i].orphan;
        turns->hooks->on_taken(turns->context, &result->adopted[i]);
    }
    for (size_t i = 0; i < result->expired_len; i++) {
        turns->hooks->on_taken(turns->context, &result->expired[i]);
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
    pass_came(&turns->pass, result, turns->flight.adopts);
    if (turns->flight.expires &&
        (int)result->expired_len == turns->flight.expires) {
        turns->expire_wanted = true;
    }
}

static void on_turn(void *context, const struct turn_result *result)
{
    struct turns *turns = context;
    assert(turns->in_flight);
    turns->in_flight = false;
    metric_observe(turns->latency, (double)(loop_boot_us(turns->clock->loop) -
                                            turns->flight.began_us) /
                                       1e6);
    metric_add(turns->commits, (double)result->commits);
    if (result->err.kind != ERR_NONE) {
        lost_answers(turns, &result->err);
        turn_soon(turns);
        return;
    }
    if (turns->flight.mine) {
        if (turns->owner == turns->flight.owner) {
            turns->hooks->on_mine(turns->context, result);
        }
    } else {
        /* Facts first: a row that is saved now may need them at once. Claims
         * last: what the saves gave back is theirs. */
        reasons_written(turns->reasons, true);
        facts_came(turns, result);
        saves_came(turns, result);
        rows_came(turns, result);
        gate_unreserve(turns->gate, turns->flight.claims);
        if (turns->owner == turns->flight.owner) {
            claims_came(turns, result);
            adopts_came(turns, result);
        }
    }
    /* That of a lease which we have lost already says nothing of the new
     * one. */
    if (result->lease_dead && turns->owner == turns->flight.owner) {
        turns->hooks->on_lease_dead(turns->context);
    }
    turn_soon(turns);
}
