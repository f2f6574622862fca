#include "core/doubt.h"
#include "flow/turn.h"

/*
 * After an absence: what is ours, and what became of what we had sent.
 */

static void unsee(void *context, struct job *job)
{
    (void)context;
    job->seen = false;
}

static void was_saved(struct engine *engine, struct job *job,
                      const struct task_row *row)
{
    if (row->version == job->task.row.version) {
        engine_saved(engine, job);
    } else {
        engine_save_again(engine, job);
    }
}

static void drop_unseen(void *context, struct job *job)
{
    struct engine *engine = context;
    if (job->seen) {
        return;
    }
    const struct task_row *row = &job->task.row;
    bool gone = row->state == CLOSED || (row->state == QUEUED && !row->owner);
    if (job->phase == JOB_SAVING && job->unsure && gone) {
        engine_saved(engine, job);
    } else {
        engine_drop(engine, job);
    }
}

void turn_mine_came(struct engine *engine, const struct turn_result *result)
{
    jobs_each(&engine->jobs, unsee, NULL);
    for (size_t i = 0; i < result->mine_len; i++) {
        const struct task_read *read = &result->mine[i];
        struct job *job = jobs_find(&engine->jobs, read->row.id);
        if (job && !read->unreadable &&
            read->row.fence != job->task.row.fence) {
            /* Given back and claimed again in one commit: what we knew of it
             * is over, and it is ours as if it came anew. */
            drop_unseen(engine, job);
            job = NULL;
        }
        if (!job) {
            bool claimed =
                task_is_unsent_claim(&read->row, engine->lost_claim_ms);
            job = engine_take_in(engine, read, claimed);
            if (job) {
                job->seen = true;
            }
            if (job && claimed) {
                engine_start_claimed(engine, job);
            }
            continue;
        }
        if (read->unreadable) {
            continue; /* unseen: dropped below */
        }
        job->seen = true;
        if (job->phase == JOB_SAVING && job->unsure) {
            was_saved(engine, job, &read->row);
        }
    }
    jobs_each(&engine->jobs, drop_unseen, engine);
    engine->resync = false;
    if (!engine->resync_later) {
        engine->lost_claim_ms = 0; /* else some of its rows had no memory */
    }
}
