#include "flow/mine.h"

#include "core/doubt.h"

#include <assert.h>

static void unsee(void *context, struct job *job)
{
    (void)context;
    job->seen = false;
}

static void was_saved(struct turns *turns, struct job *job,
                      const struct task_row *row)
{
    assert(job->phase == JOB_SAVING && job->unsure);
    assert(row->id == job_task(job)->row.id);
    if (row->version == job_task(job)->row.version) {
        turns->ties.hooks->on_saved(turns->ties.context, job);
    } else {
        turn_save(turns, job, job_desk(job)->then_ms, false);
    }
}

static void drop_unseen(void *context, struct job *job)
{
    struct turns *turns = context;
    if (job->seen) {
        return;
    }
    const struct task_row *row = &job_task(job)->row;
    bool gone = row->state == CLOSED || (row->state == QUEUED && !row->owner);
    if (job->phase == JOB_SAVING && job->unsure && gone) {
        turns->ties.hooks->on_saved(turns->ties.context, job);
    } else {
        turns->ties.hooks->on_gone(turns->ties.context, job);
    }
}

/** No job of ours knows it: a claim or a takeover whose answer was lost. */
static void take_anew(struct turns *turns, const struct task_read *read)
{
    assert(!jobs_find(turns->ties.jobs, read->row.id));
    if (task_is_unsent_claim(&read->row, turns->claims.lost_ms)) {
        (void)turns->ties.hooks->on_claimed(turns->ties.context, read, NULL);
    } else {
        turns->ties.hooks->on_taken(turns->ties.context, read);
    }
    struct job *job = jobs_find(turns->ties.jobs, read->row.id);
    if (job) {
        job->seen = true;
    }
}

void mine_came(struct turns *turns, const struct turn_result *result)
{
    assert(!turns->in_flight && turns->owner);
    jobs_each(turns->ties.jobs, unsee, NULL);
    for (size_t i = 0; i < result->mine_len; i++) {
        const struct task_read *read = &result->mine[i];
        jobs_fold(turns->ties.jobs); /* not all of them unfolded at once */
        struct job *job = jobs_find(turns->ties.jobs, read->row.id);
        if (job && !read->unreadable &&
            read->row.fence != job_task(job)->row.fence) {
            /* Given back and claimed again in one commit: what we knew of it
             * is over, and it is ours as if it came anew. */
            drop_unseen(turns, job);
            job = NULL;
        }
        if (!job) {
            take_anew(turns, read);
            continue;
        }
        if (read->unreadable) {
            continue; /* unseen: dropped below */
        }
        job->seen = true;
        if (job->phase == JOB_SAVING && job->unsure) {
            was_saved(turns, job, &read->row);
        }
    }
    jobs_each(turns->ties.jobs, drop_unseen, turns);
    turns->resync = false;
    if (!turns->resync_later) {
        turns->claims.lost_ms = 0; /* else some of its rows had no memory */
    }
}
