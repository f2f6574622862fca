#include "flow/turn.h"

#include "base/crashpoint.h"
#include "base/log.h"

#include <assert.h>

#define MEMORY_MS 1000
#define PAUSE_MS 500 /* after an error that no connection was lost by */

/* ---- asking ---- */

/** What lies in a line, or was sent and not answered, is not idle. */
static void tell_idle(struct turns *turns)
{
    if (saves_is_idle(&turns->saves) && reads_is_idle(&turns->reads) &&
        !turns->resync) {
        turns->ties.hooks->on_idle(turns->ties.context);
    }
}

/** The intake's part goes as soon as it is there: it needs no lease, and knows
 * its own answers. */
static void ask_intake(struct turns *turns)
{
    struct store *store = turns->ties.store;
    if (!turns->intake_wanted || !store_is_up(store)) {
        return;
    }
    struct turn_batch batch = {0};
    turns->intake_wanted = false;
    turns->intake->gather(turns->intake_context, &batch);
    assert(!batch.sources_len || !batch.rows_len);
    if (batch.sources_len) {
        store_sources(store, batch.sources, batch.sources_len,
                      turns->intake->on_sources, turns->intake_context);
    } else if (batch.rows_len) {
        /* Owner 0: faulty rows are orphans at once, so that whoever has room
         * tells their end, even if this process dies now. */
        turns->moved += batch.rows_len;
        CRASHPOINT("intake_before");
        store_intake(store, 0, batch.rows, batch.rows_len,
                     turns->intake->on_stored, turns->intake_context);
        CRASHPOINT("intake_sent");
    }
}

/** false: nobody has anything for it. */
static bool compose(struct turns *turns, struct turn *turn)
{
    struct arena *arena = &turns->flight.arena;
    *turn = (struct turn){
        .owner = turns->owner,
        .now_ms = clock_now_ms(turns->ties.clock),
        .account = turns->options.account,
        .bucket = turns->options.bucket,
        .generations_max = turns->options.generations_max,
        .mine = turns->resync,
    };
    /* After lost answers nothing else is asked: which of our saves, claims and
     * takeovers are there is what the rest would build on. */
    if (turn->mine) {
        return true;
    }
    saves_gather(&turns->saves, turn, arena);
    reads_gather(&turns->reads, turn, arena);
    claims_gather(&turns->claims, turn, arena);
    reasons_gather(turns->ties.reasons, turn, arena, turn->now_ms);
    return turn->saves_len || turn->facts_len || turn->rereads_len ||
           turn->claims_max > 0 || turn->adopts_max > 0 ||
           turn->expires_max > 0 || turn->reasons_len ||
           turn->reasons_gone_len || turn->shared_changed || turn->forget_len;
}

static void on_turn(void *context, const struct turn_result *result);

static void ask_rows(struct turns *turns)
{
    if (turns->in_flight || turns->paused) {
        return; /* its answer, or the end of the pause, asks again */
    }
    if (!store_is_up(turns->ties.store) || !turns->owner) {
        tell_idle(turns);
        return;
    }
    struct flight *flight = &turns->flight;
    arena_reset(&flight->arena);
    struct turn turn;
    if (!compose(turns, &turn)) {
        tell_idle(turns);
        return;
    }
    claims_sent(&turns->claims, &turn);
    flight->owner = turn.owner;
    flight->now_ms = turn.now_ms;
    flight->mine = turn.mine;
    flight->began_us = loop_boot_us(turns->ties.clock->loop);
    turns->in_flight = true;
    CRASHPOINT_IF(turn.claims_max > 0, "claim_before");
    CRASHPOINT_IF(turn.adopts_max > 0, "adopt_before");
    store_turn(turns->ties.store, &turn, on_turn, turns);
    CRASHPOINT_IF(turn.claims_max > 0, "claim_sent");
    CRASHPOINT_IF(turn.adopts_max > 0, "adopt_sent");
    CRASHPOINT_IF(turn.saves_len > 0, "save_sent");
}

/** A loop_fn: at the end of a turn of the loop. */
static void ask(void *context)
{
    struct turns *turns = context;
    ask_intake(turns);
    ask_rows(turns);
}

void turn_soon(struct turns *turns)
{
    ties_ask_soon(&turns->ties);
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

/* ---- life ---- */

static void metrics_init(struct turns *turns, struct metrics *m)
{
    turns->latency =
        metric_get(m, METRIC_HISTOGRAM, "pixverse_store_turn_seconds", NULL,
                   "One round trip with the store.");
    turns->commits =
        metric_get(m, METRIC_COUNTER, "pixverse_store_commits_total", NULL,
                   "Transactions of the engine that wrote.");
}

bool turn_init(struct turns *turns, const struct turn_options *options,
               const struct ties *ties)
{
    assert(options->account && options->bucket);
    assert(options->generations_max >= 0 && ties->hooks);
    assert(ties->store && ties->jobs && ties->gate && ties->reasons);
    *turns = (struct turns){.options = *options, .ties = *ties};
    turns->ties.ask = ask;
    turns->ties.asker = turns;
    ties = &turns->ties;
    arena_init(&turns->flight.arena, 16384, 0);
    turns->memory_timer = loop_timer_new(ties->clock->loop, read_again, turns);
    turns->pause_timer = loop_timer_new(ties->clock->loop, pause_over, turns);
    metrics_init(turns, ties->metrics);
    bool fine = reads_init(&turns->reads, ties);
    fine = saves_init(&turns->saves, ties, &turns->reads) && fine;
    fine = claims_init(&turns->claims, ties, options->tasks_max) && fine;
    return fine && turns->memory_timer && turns->pause_timer;
}

void turn_done(struct turns *turns)
{
    loop_undefer(turns->ties.clock->loop, turns->ties.ask, turns->ties.asker);
    claims_done(&turns->claims);
    saves_done(&turns->saves);
    reads_done(&turns->reads);
    loop_timer_free(turns->memory_timer);
    loop_timer_free(turns->pause_timer);
    arena_done(&turns->flight.arena);
}

/* ---- what goes into it ---- */

void turn_save(struct turns *turns, struct job *job, int64_t then_ms)
{
    saves_add(&turns->saves, job, then_ms);
    turn_soon(turns);
}

void turn_read(struct turns *turns, struct job *job)
{
    reads_add_facts(&turns->reads, job);
    turn_soon(turns);
}

void turn_reread(struct turns *turns, struct job *job)
{
    assert(job->task.row.state != CLOSED);
    reads_add_row(&turns->reads, job);
    turn_soon(turns);
}

void turn_want_claims(struct turns *turns)
{
    turns->claims.wanted = true;
    turn_soon(turns);
}

void turn_want_adopts(struct turns *turns)
{
    turns->claims.pass.wanted = true;
    turn_soon(turns);
}

void turn_want_expiry(struct turns *turns)
{
    turns->claims.expiry_wanted = true;
    turn_soon(turns);
}

void turn_take_in(struct turns *turns, const struct turn_intake *intake,
                  void *context)
{
    assert(intake->gather && intake->on_sources && intake->on_stored);
    assert(!turns->intake);
    turns->intake = intake;
    turns->intake_context = context;
}

void turn_want_intake(struct turns *turns)
{
    assert(turns->intake);
    turns->intake_wanted = true;
    turn_soon(turns);
}

/* ---- what is told ---- */

void turn_joined(struct turns *turns, int64_t owner)
{
    assert(owner > 0 && !turns->owner);
    turns->owner = owner;
    claims_joined(&turns->claims);
}

void turn_lost(struct turns *turns)
{
    turns->owner = 0;
    claims_reset(&turns->claims);
    turns->resync = false;
}

/* ---- answers ---- */

static void lost_answers(struct turns *turns, const struct err *err)
{
    assert(err->kind != ERR_NONE);
    log_at(LOG_WARN, "the store's answer was lost; its rows are read again",
           LOG_I64("rows", turns->saves.sent_len), LOG_TEXT("why", err->text));
    saves_lost(&turns->saves);
    reads_lost(&turns->reads);
    reasons_written(turns->ties.reasons, false);
    claims_lost(&turns->claims, turns->flight.owner == turns->owner,
                turns->flight.now_ms);
    turns->resync = true;
    if (store_is_up(turns->ties.store)) {
        turns->paused = true; /* else the same error comes at once */
        loop_timer_set(turns->pause_timer, PAUSE_MS);
    }
}

/** Facts first: a row that is saved now may need them at once. Claims last:
 * what the saves gave back is theirs. */
static void answers_came(struct turns *turns, const struct turn_result *result)
{
    turns->moved += result->claimed_len + result->adopted_len;
    reasons_written(turns->ties.reasons, true);
    reads_facts_came(&turns->reads, result);
    saves_came(&turns->saves, result);
    reads_rows_came(&turns->reads, result, turns->flight.now_ms);
    claims_came(&turns->claims, result, turns->owner == turns->flight.owner,
                turns->flight.now_ms);
}

static void on_turn(void *context, const struct turn_result *result)
{
    struct turns *turns = context;
    const struct turn_hooks *hooks = turns->ties.hooks;
    assert(turns->in_flight);
    turns->in_flight = false;
    int64_t took_us =
        loop_boot_us(turns->ties.clock->loop) - turns->flight.began_us;
    metric_observe(turns->latency, (double)took_us / 1e6);
    metric_add(turns->commits, (double)result->commits);
    if (result->err.kind != ERR_NONE) {
        lost_answers(turns, &result->err);
        turn_soon(turns);
        return;
    }
    if (!turns->flight.mine) {
        answers_came(turns, result);
    } else if (turns->owner == turns->flight.owner) {
        hooks->on_mine(turns->ties.context, result);
    }
    /* That of a lease which we have lost already says nothing of the new
     * one. */
    if (result->lease_dead && turns->owner == turns->flight.owner) {
        hooks->on_lease_dead(turns->ties.context);
    }
    turn_soon(turns);
}
