#include "flow/engine.h"

#include "flow/why.h"

#include <assert.h>
#include <malloc.h>

/** On another thread: it may take tens of milliseconds. */
static void trim(void *context)
{
    (void)context;
    malloc_trim(0);
}

static void on_trimmed(void *context)
{
    (void)context;
}

/** glibc keeps what many short lives leave behind, a sixth of all at 50,000
 * tasks, and gives back by itself only what lies at the very end. */
static void give_back_memory(struct engine *engine)
{
    const size_t moved = engine->turns.moved;
    engine->turns.moved = 0;
    if (burst_is_over(&engine->burst, moved)) {
        loop_work(engine->edges.loop, trim, on_trimmed, NULL);
    }
}

/** A loop_fn: every few seconds. */
static void on_tick(void *context)
{
    struct engine *engine = context;
    const struct stage_options *o = &engine->options;
    why_full(&engine->reasons, &engine->clock, SHARED_TRANSFERS_FULL,
             due_has_transfer(&engine->due) &&
                 gate_transfers_room(&engine->gate) <= 0,
             "TRANSFERS_MAX", o->transfers_max);
    why_full(&engine->reasons, &engine->clock, SHARED_TASKS_FULL,
             engine->turns.claims.wanted &&
                 engine->jobs.used >= (size_t)o->tasks_max,
             "TASKS_MAX", o->tasks_max);
    give_back_memory(engine);
    if (reasons_tick(&engine->reasons, clock_now_ms(&engine->clock))) {
        turn_soon(&engine->turns);
    }
}

/** A task may have opened again as LATE, and is nobody's. */
static void on_written(void *context)
{
    struct engine *engine = context;
    turn_want_nobodys(&engine->turns);
}

static bool turns_init(struct engine *engine)
{
    const struct turn_options options = {
        .bucket = bucket_name(engine->edges.bucket),
        .tasks_max = engine->options.tasks_max,
        .generations_max = engine->options.generations_max,
        .chain_wait_ms = engine->options.chain_wait_ms,
    };
    const struct ties ties = {
        .store = engine->edges.store,
        .jobs = &engine->jobs,
        .gate = &engine->gate,
        .accounts = &engine->accounts,
        .reasons = &engine->reasons,
        .clock = &engine->clock,
        .metrics = engine->edges.metrics,
        .hooks = &engine_turn_hooks,
        .context = engine,
    };
    return turn_init(&engine->turns, &options, &ties);
}

static void hand_to_stages(struct engine *engine)
{
    engine->stage = (struct stage){
        .options = &engine->options,
        .edges = &engine->edges,
        .clock = &engine->clock,
        .jobs = &engine->jobs,
        .due = &engine->due,
        .gate = &engine->gate,
        .accounts = &engine->accounts,
        .learn = &engine->learn,
        .reasons = &engine->reasons,
        .hooks = &engine_stage_hooks,
        .context = engine,
    };
    stage_init(&engine->stage);
}

/** May submissions begin, and to whom? */
static bool accounts_init(struct engine *engine)
{
    const struct stage_options *options = &engine->options;
    const struct stage_edges *edges = &engine->edges;
    const struct gate_options gate = {
        .submits_max = options->submits_max,
        .transfers_max = options->transfers_max,
        .lease_ms = options->lease_ms,
    };
    const struct account_ties ties = {
        .loop = edges->loop,
        .store = edges->store,
        .poller = edges->poller,
        .metrics = edges->metrics,
        .gate = &engine->gate,
        .submit_doubt = options->submit_doubt,
    };
    gate_init(&engine->gate, &engine->clock, &gate, engine_fill_slots, engine);
    bool fine = account_list_init(&engine->accounts, &options->accounts, &ties);
    return learn_init(&engine->learn, edges->loop, edges->store, edges->metrics,
                      on_written, engine) &&
           fine;
}

bool engine_init(struct engine *engine, const struct stage_options *options,
                 const struct stage_edges *edges, struct err *err)
{
    assert(options->tasks_max > 0);
    *engine = (struct engine){.options = *options, .edges = *edges};
    const size_t slots = (size_t)options->tasks_max * 2;
    clock_init(&engine->clock, edges->loop);
    bool fine =
        tally_init(&engine->tally, options->tenants_max, edges->metrics);
    fine = accounts_init(engine) && fine;
    fine = turns_init(engine) && fine;
    hand_to_stages(engine);
    if (!due_init(&engine->due, &engine->clock, slots, engine_look,
                  engine_look_long, engine) ||
        !fine || !jobs_init(&engine->jobs, slots) ||
        !reasons_init(&engine->reasons, edges->loop, on_tick, engine)) {
        engine_done(engine);
        return err_set(err, ERR_FATAL, "no memory for %zu tasks", slots);
    }
    return true;
}

void engine_done(struct engine *engine)
{
    if (engine->jobs.pages) {
        jobs_each(&engine->jobs, engine_forget, engine);
    }
    jobs_done(&engine->jobs);
    if (engine->reasons.timer) {
        reasons_done(&engine->reasons);
    }
    due_done(&engine->due);
    tally_done(&engine->tally);
    turn_done(&engine->turns);
    gate_done(&engine->gate);
    learn_done(&engine->learn);
    account_list_done(&engine->accounts);
    stage_done(&engine->stage);
}
