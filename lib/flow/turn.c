#include "flow/turn.h"

#include "base/crashpoint.h"
#include "base/log.h"

#include <assert.h>

#define MEMORY_MS 1000
#define PAUSE_MS 500 /* after an error that no connection was lost by */
/* A batch of more is worth a commit of its own, and keeps saves waiting. */
#define TOGETHER_MAX 64

/* ---- asking ---- */

/** What lies in a line, or was sent and not answered, is not idle. */
static void tell_idle(struct turns *turns)
{
    if (saves_is_idle(&turns->saves) && reads_is_idle(&turns->reads) &&
        !turns->resync) {
        turns->ties.hooks->on_idle(turns->ties.context);
    }
}

/** What there is of the intake's to be committed; nothing, if it can't go. What
 * waits has the rows of its batches, but for their number. */
static void intake_want(struct turns *turns, struct commits_wanted *wanted)
{
    if (turns->intake_wanted && store_is_up(turns->ties.store)) {
        const size_t rows = turns->intake->waiting(turns->intake_context);
        wanted->riding += rows ? rows : 1;
    }
}

/** After lost answers nothing is written. */
static bool rows_may_go(const struct turns *turns)
{
    return !turns->in_flight && !turns->paused && !turns->resync &&
           turns->owner && store_is_up(turns->ties.store);
}

/** Whether we know all that is ours. */
static bool is_sure(const struct turns *turns)
{
    return !turns->resync && !turns->resync_later;
}

/** The same of the rows. */
static void rows_want(struct turns *turns, struct commits_wanted *wanted)
{
    if (!rows_may_go(turns)) {
        return;
    }
    wanted->riding += reasons_are_due(turns->ties.reasons);
    wanted->slots_max = (size_t)turns->ties.gate->options.submits_max;
    const bool slots_wanted = claims_want_slots(&turns->claims);
    saves_want(&turns->saves, slots_wanted, wanted);
    claims_want(&turns->claims, is_sure(turns), wanted);
}

/** Whether it is committed now; else after how many ms it is asked for again.
 * Where nothing is wanted, nothing waits. */
static int64_t commit_wait_ms(struct turns *turns,
                              struct commits_wanted *wanted, int64_t *since_ms)
{
    if (wanted->urgent + wanted->riding == 0) {
        *since_ms = 0;
        return 0;
    }
    const int64_t boot_ms = clock_boot_ms(turns->ties.clock);
    *since_ms = *since_ms ? *since_ms : boot_ms;
    wanted->since_ms = *since_ms;
    wanted->hurry = turns->ties.gate->draining;
    const int64_t wait_ms =
        commits_wait_ms(&turns->commits_left, wanted, boot_ms);
    *since_ms = wait_ms ? *since_ms : 0;
    return wait_ms;
}

/** The intake's part needs no lease, and knows its own answers. */
static void ask_intake(struct turns *turns)
{
    struct store *store = turns->ties.store;
    struct turn_batch batch = {0};
    turns->intake_wanted = false;
    turns->intake->gather(turns->intake_context, &batch);
    assert(!batch.sources_len || !batch.rows_len);
    if (batch.sources_len) {
        store_sources(store, batch.sources, batch.sources_len,
                      turns->intake->on_sources, batch.context);
    } else if (batch.rows_len) {
        /* Faulty rows are orphans at once, so that whoever has room tells their
         * end, even if this process dies now. */
        turns->moved += batch.rows_len;
        CRASHPOINT("intake_before");
        store_intake(store, turns->owner, batch.known_from_ms, batch.rows,
                     batch.rows_len, turns->intake->on_stored, batch.context);
        CRASHPOINT("intake_sent");
    }
}

/** commits: else it only reads. false: nobody has anything for it. */
static bool compose(struct turns *turns, struct turn *turn, bool commits)
{
    struct arena *arena = &turns->flight.arena;
    *turn = (struct turn){
        .owner = turns->owner,
        .now_ms = clock_now_ms(turns->ties.clock),
        .bucket = turns->options.bucket,
        .chain_wait_ms = turns->options.chain_wait_ms,
        .mine = turns->resync,
    };
    /* After lost answers nothing else is asked: which of our saves, claims and
     * takeovers are there is what the rest would build on. */
    if (turn->mine) {
        return true;
    }
    if (!commits) {
        reads_gather(&turns->reads, turn, arena);
        return turn->facts_len || turn->rereads_len;
    }
    saves_gather(&turns->saves, turn, arena);
    reads_gather(&turns->reads, turn, arena);
    claims_gather(&turns->claims, is_sure(turns), turn, arena);
    reasons_gather(turns->ties.reasons, turn, arena, turn->now_ms);
    return turn->saves_len || turn->facts_len || turn->rereads_len ||
           turn->claims_max > 0 || turn->adopts_max > 0 ||
           turn->expires_max > 0 || turn->reasons_len ||
           turn->reasons_gone_len || turn->shared_changed || turn->forget_len ||
           turn->chains || turn->uses_told;
}

static void on_turn(void *context, const struct turn_result *result);

/** commits: else what only reads goes. */
static void ask_rows(struct turns *turns, bool commits)
{
    assert(!turns->in_flight && !turns->paused);
    struct flight *flight = &turns->flight;
    arena_reset(&flight->arena);
    struct turn turn;
    if (!store_is_up(turns->ties.store) || !turns->owner ||
        !compose(turns, &turn, commits)) {
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

/** One commit for what there is of both: what waited longer says when. Returns
 * after how many ms it is asked for again; 0: it has gone. */
static int64_t ask_together(struct turns *turns, struct commits_wanted *both)
{
    const int64_t waits_ms = turns->intake_since_ms;
    if (waits_ms && (!turns->since_ms || waits_ms < turns->since_ms)) {
        turns->since_ms = waits_ms;
    }
    const int64_t wait_ms = commit_wait_ms(turns, both, &turns->since_ms);
    turns->intake_since_ms = turns->since_ms;
    if (wait_ms) {
        ask_rows(turns, false);
        return wait_ms;
    }
    store_together(turns->ties.store);
    ask_rows(turns, true);
    ask_intake(turns);
    store_go(turns->ties.store);
    return 0;
}

/** Returns after how many ms to ask again; 0: no need to. */
static int64_t ask_each(struct turns *turns, struct commits_wanted *rows,
                        struct commits_wanted *intake)
{
    const int64_t intake_ms =
        commit_wait_ms(turns, intake, &turns->intake_since_ms);
    if (intake->riding && intake_ms == 0) {
        ask_intake(turns);
    }
    int64_t rows_ms = 0;
    if (!turns->in_flight && !turns->paused) { /* its end asks again */
        rows_ms = commit_wait_ms(turns, rows, &turns->since_ms);
        ask_rows(turns, rows_ms == 0);
    }
    const bool first = rows_ms == 0 || (intake_ms && intake_ms < rows_ms);
    return first ? intake_ms : rows_ms;
}

/** A loop_fn: at the end of a turn of the loop. */
static void ask(void *context)
{
    struct turns *turns = context;
    struct commits_wanted intake = {0};
    struct commits_wanted rows = {0};
    if (rows_may_go(turns)) {
        claims_ask(&turns->claims, turns->owner);
    }
    intake_want(turns, &intake);
    rows_want(turns, &rows);
    int64_t wait_ms;
    if (intake.riding && intake.riding <= TOGETHER_MAX &&
        rows.urgent + rows.riding) {
        rows.riding += intake.riding;
        wait_ms = ask_together(turns, &rows);
    } else {
        wait_ms = ask_each(turns, &rows, &intake);
    }
    if (wait_ms > 0) {
        loop_timer_set(turns->ride_timer, wait_ms);
    }
}

/** What rides along waits no longer for others. */
static void rode_for_long(void *context)
{
    turn_soon(context);
}

void turn_soon(struct turns *turns)
{
    ties_ask_soon(&turns->ties);
}

void turn_look_again(struct turns *turns)
{
    turns->resync_later = true;
    loop_timer_set(turns->memory_timer, MEMORY_MS);
}

void turn_short_of_memory(struct turns *turns)
{
    log_at(LOG_ERROR, "no memory for a task of ours; it is read again soon");
    turn_look_again(turns);
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
    assert(options->bucket);
    assert(options->generations_max >= 0 && ties->hooks);
    assert(options->chain_wait_ms > 0);
    assert(ties->store && ties->jobs && ties->gate && ties->reasons);
    *turns = (struct turns){.options = *options, .ties = *ties};
    turns->ties.ask = ask;
    turns->ties.asker = turns;
    ties = &turns->ties;
    arena_init(&turns->flight.arena, 16384, 0);
    turns->memory_timer = loop_timer_new(ties->clock->loop, read_again, turns);
    turns->pause_timer = loop_timer_new(ties->clock->loop, pause_over, turns);
    turns->ride_timer = loop_timer_new(ties->clock->loop, rode_for_long, turns);
    metrics_init(turns, ties->metrics);
    bool fine = reads_init(&turns->reads, ties);
    fine = saves_init(&turns->saves, ties, &turns->reads) && fine;
    fine = claims_init(&turns->claims, ties, options->tasks_max,
                       options->generations_max) &&
           fine;
    return fine && turns->memory_timer && turns->pause_timer &&
           turns->ride_timer;
}

void turn_done(struct turns *turns)
{
    loop_undefer(turns->ties.clock->loop, turns->ties.ask, turns->ties.asker);
    claims_done(&turns->claims);
    saves_done(&turns->saves);
    reads_done(&turns->reads);
    loop_timer_free(turns->memory_timer);
    loop_timer_free(turns->pause_timer);
    loop_timer_free(turns->ride_timer);
    arena_done(&turns->flight.arena);
}

/* ---- what goes into it ---- */

void turn_save(struct turns *turns, struct job *job, int64_t then_ms,
               bool rides)
{
    saves_add(&turns->saves, job, then_ms, rides);
    turn_soon(turns);
}

void turn_read(struct turns *turns, struct job *job)
{
    reads_add_facts(&turns->reads, job);
    turn_soon(turns);
}

void turn_reread(struct turns *turns, struct job *job)
{
    assert(job_task(job)->row.state != CLOSED);
    reads_add_row(&turns->reads, job);
    turn_soon(turns);
}

void turn_want_claims(struct turns *turns)
{
    claims_want_all(&turns->claims);
    turn_soon(turns);
}

void turn_want_adopts(struct turns *turns)
{
    turns->claims.pass.wanted = true;
    turn_soon(turns);
}

void turn_want_nobodys(struct turns *turns)
{
    turns->claims.pass.nobodys_wanted = true;
    turn_soon(turns);
}

void turn_worker_gone(struct turns *turns, int64_t moved_ms)
{
    turns->claims.gone_since_ms = moved_ms;
}

void turn_want_expiry(struct turns *turns)
{
    turns->claims.expiry_wanted = true;
    turn_soon(turns);
}

void turn_want_chains(struct turns *turns)
{
    turns->claims.chains.wanted = true;
    turn_soon(turns);
}

void turn_take_in(struct turns *turns, const struct turn_intake *intake,
                  void *context)
{
    assert(intake->waiting && intake->gather);
    assert(intake->on_sources && intake->on_stored);
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

int turn_bumps(struct turns *turns)
{
    assert(turns->owner);
    return claims_give_places(&turns->claims, is_sure(turns));
}

/* ---- what is told ---- */

void turn_bumped(struct turns *turns, int places, bool shares)
{
    claims_told_places(&turns->claims, is_sure(turns), places);
    claims_told_shares(&turns->claims, shares);
}

void turn_budgets(struct turns *turns, bool there)
{
    turns->claims.budgets = there;
}

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
    jobs_fold(turns->ties.jobs);
    turn_soon(turns);
}
