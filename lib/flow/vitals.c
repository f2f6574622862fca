#include "flow/vitals.h"

#include <assert.h>
#include <string.h>

void vitals_init(struct vitals *vitals, struct engine *engine,
                 const struct intake *intake)
{
    assert(engine && intake);
    *vitals = (struct vitals){.engine = engine, .intake = intake};
}

/** One walk over the jobs. */
struct walk {
    int64_t boot_ms;
    struct vitals_row *row;
};

static void look_at(void *context, struct job *job)
{
    struct walk *walk = context;
    walk->row
        ->states[job_is_folded(job) ? RUNNING : job_task(job)->row.state]++;
    if (job->phase == JOB_WAITING &&
        walk->boot_ms - job->due.due_ms > walk->row->late_ms) {
        walk->row->late_ms = walk->boot_ms - job->due.due_ms;
    }
}

static int64_t counted(const struct metric *metric)
{
    return (int64_t)metric_value(metric);
}

/** Since the start. */
static void count(const struct vitals *vitals, int64_t counts[])
{
    const struct engine *engine = vitals->engine;
    counts[VITALS_RECEIVED] = counted(vitals->intake->received);
    counts[VITALS_ACCEPTED] = counted(engine->tally.outcomes[OUTCOME_ACCEPTED]);
    counts[VITALS_POLLS] = counted(engine->stage.metrics.polls);
    counts[VITALS_COMPLETED] = counted(engine->tally.ended[FAILURE_NONE]);
    counts[VITALS_FAILED] = 0;
    for (int i = FAILURE_NONE + 1; i < FAILURE_KINDS_LEN; i++) {
        counts[VITALS_FAILED] += counted(engine->tally.ended[i]);
    }
}

static void on_written(void *context, bool done, const struct err *err)
{
    struct vitals *vitals = context;
    assert(vitals->writing);
    (void)done;
    (void)err; /* the next will do */
    vitals->writing = false;
}

void vitals_look(struct vitals *vitals)
{
    struct engine *engine = vitals->engine;
    const struct gate *gate = &engine->gate;
    int64_t boot_ms = loop_boot_ms(engine->edges.loop);
    bool due = !vitals->written_ms || vitals->draining != gate->draining ||
               boot_ms - vitals->written_ms >= VITALS_EVERY_MS;
    if (vitals->writing || !due || !engine->turns.owner) {
        return;
    }
    struct vitals_row row = {
        .owner = engine->turns.owner,
        .version = PROGRAM_VERSION,
        .draining = gate->draining,
        .paused = vitals->intake->paused,
        .span_ms = vitals->written_ms ? boot_ms - vitals->written_ms : 0,
        .submits = gate->under_way[SLOT_SUBMIT],
        .submits_max = gate->options.submits_max,
        .transfers = gate->under_way[SLOT_TRANSFER],
        .transfers_max = gate->options.transfers_max,
    };
    struct walk walk = {boot_ms, &row};
    jobs_each(&engine->jobs, look_at, &walk);
    int64_t counts[VITALS_COUNTS_LEN];
    count(vitals, counts);
    for (int i = 0; i < VITALS_COUNTS_LEN; i++) {
        row.counts[i] = counts[i] - vitals->counts[i];
    }
    memcpy(vitals->counts, counts, sizeof counts);
    vitals->writing = true;
    vitals->draining = row.draining;
    vitals->written_ms = boot_ms;
    store_vitals(engine->edges.store, &row, on_written, vitals);
}
