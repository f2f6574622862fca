#include "flow/saves.h"

#include "base/log.h"
#include "flow/learn.h"
#include "flow/line.h"
#include "flow/turn_crash.h"

#include <assert.h>

#define SAVES_MAX 1000   /* rows of one commit */
#define WANTED_MAX 256   /* enough for a commit of their own */
#define PUT_BACK_MS 5000 /* until a row that was kept out is saved again */

/** What was kept out may be taken by now. */
static void save_again(void *context)
{
    struct saves *saves = context;
    while (!list_is_empty(&saves->put_back)) {
        list_add_tail(&saves->dirty, list_pop(&saves->put_back));
    }
    ties_ask_soon(saves->ties);
}

bool saves_init(struct saves *saves, const struct ties *ties,
                struct reads *reads)
{
    assert(ties && reads);
    *saves = (struct saves){.ties = ties, .reads = reads};
    list_init(&saves->dirty);
    list_init(&saves->put_back);
    saves->timer = loop_timer_new(ties->clock->loop, save_again, saves);
    saves->rows =
        metric_get(ties->metrics, METRIC_COUNTER, "pixverse_store_rows_total",
                   NULL, "Rows that the engine wrote.");
    saves->fenced = metric_get(
        ties->metrics, METRIC_COUNTER, "pixverse_store_fenced_total", NULL,
        "Writes that the fence kept out: the row had become another's, or "
        "somebody wrote it meanwhile.");
    return saves->timer != NULL;
}

void saves_done(struct saves *saves)
{
    loop_timer_free(saves->timer);
}

void saves_add(struct saves *saves, struct job *job, int64_t then_ms,
               bool rides)
{
    assert(list_is_empty(&job->link));
    job_enter(job, JOB_SAVING);
    job->in_flush = false;
    job->unsure = false;
    job->rides = rides;
    job_desk(job)->then_ms = then_ms;
    list_add_tail(&saves->dirty, &job->link);
}

/** Its submission is over: once it is saved, its slot is another's. */
static bool gives_slot(const struct job *job)
{
    return job->takes == SLOT_SUBMIT && !job->send_next;
}

void saves_want(const struct saves *saves, bool slots_wanted,
                struct commits_wanted *wanted)
{
    size_t left = WANTED_MAX;
    for (const struct list *at = saves->dirty.next;
         at != &saves->dirty && left > 0; at = at->next, left--) {
        const struct job *job = LIST_OWNER(at, const struct job, link);
        const bool slot = slots_wanted && gives_slot(job);
        const bool rides = job->rides && !slot;
        wanted->riding += rides;
        wanted->urgent += !rides;
        wanted->slots += slot;
    }
}

bool saves_is_idle(const struct saves *saves)
{
    return list_is_empty(&saves->dirty) && list_is_empty(&saves->put_back);
}

void saves_gather(struct saves *saves, struct turn *turn, struct arena *arena)
{
    size_t max = line_len(&saves->dirty, SAVES_MAX);
    const struct task_row **rows = arena_alloc(arena, (max + 1) * sizeof *rows);
    saves->sent = arena_alloc(arena, (max + 1) * sizeof *saves->sent);
    assert(!saves->sent_len);
    account_gather(saves->ties->accounts);
    while (rows && saves->sent && saves->sent_len < max) {
        struct job *job = LIST_OWNER(list_pop(&saves->dirty), struct job, link);
        assert(job->phase == JOB_SAVING && !job->in_flush);
        job->in_flush = true;
        turn_crashpoint(&job_task(job)->row, false);
        if (gives_slot(job)) {
            turn->saves_slots++;
            gate_returns(saves->ties->gate, job);
        }
        rows[saves->sent_len] = &job_task(job)->row;
        saves->sent[saves->sent_len++] = job_ref(job);
    }
    turn->saves = rows;
    turn->saves_len = saves->sent_len;
}

static void save_ended(struct saves *saves, struct job *job, enum save_end end)
{
    assert(job->phase == JOB_SAVING && job->in_flush);
    switch (end) {
    case SAVE_DONE:
        metric_add(saves->rows, 1);
        turn_crashpoint(&job_task(job)->row, true);
        saves->ties->hooks->on_saved(saves->ties->context, job);
        return;
    case SAVE_FENCED:
        metric_add(saves->fenced, 1);
        job->in_flush = false;
        reads_add_row(saves->reads, job);
        return;
    case SAVE_POISON:
        job->in_flush = false;
        ties_park(saves->ties, job,
                  "the store refuses the data of a task; it is left alone");
        return;
    case SAVE_LATER:
        log_at(LOG_ERROR,
               "a constraint of the store keeps a task's row out; it is saved "
               "again soon: pixverse-worker check may know why",
               LOG_TEXT("request_id", job_request_id(job)));
        learn_tell(job);
        job->in_flush = false;
        list_add_tail(&saves->put_back, &job->link);
        loop_timer_set(saves->timer, PUT_BACK_MS);
        return;
    }
}

void saves_came(struct saves *saves, const struct turn_result *result)
{
    const size_t len = saves->sent_len;
    saves->sent_len = 0;
    for (size_t i = 0; i < len; i++) {
        struct job *job = jobs_get(saves->ties->jobs, saves->sent[i]);
        if (job && job->phase == JOB_SAVING && job->in_flush) {
            save_ended(saves, job, result->saves[i]);
        }
    }
}

void saves_lost(struct saves *saves)
{
    for (size_t i = 0; i < saves->sent_len; i++) {
        struct job *job = jobs_get(saves->ties->jobs, saves->sent[i]);
        if (!job) {
            continue;
        }
        const struct task_row *row = &job_task(job)->row;
        job->in_flush = false;
        job->unsure = true;
        if (row->state == RUNNING) {
            learn_warn(row->id, str_of(job_request_id(job)),
                       str_of(row->provider_task_id));
        }
    }
    saves->sent_len = 0;
}
