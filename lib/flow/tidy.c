#include "flow/tidy.h"

#include "base/crashpoint.h"
#include "base/log.h"
#include "core/asset.h"

#include <assert.h>
#include <stdlib.h>

/** One key after the other; the job waits with the outcome stashed. */
struct tidy {
    struct stage *stage;
    struct job_ref ref;
    struct arena arena;
    struct str *keys;
    size_t keys_len;
    size_t at;
};

bool tidy_is_due(const struct job *job, enum task_state next)
{
    const struct task *task = job_task(job);
    /* Who had it before may have been READY without a word in its row. */
    const bool begun =
        task->row.state == READY ||
        (task->row.state == RUNNING && task->memo.strange_until_ms != 0);
    return begun && (next == FAILED || next == CLOSED) &&
           !(job->effect && job->effect->tidied);
}

static void tidy_end(struct tidy *tidy)
{
    assert(tidy->at >= tidy->keys_len);
    struct stage *stage = tidy->stage;
    struct job *job = jobs_get(stage->jobs, tidy->ref);
    arena_done(&tidy->arena);
    free(tidy);
    gate_leave(stage->gate, SLOT_TRANSFER);
    if (job) {
        job->effect->tidied = true;
        CRASHPOINT("tidy_after");
        const struct outcome outcome = job->effect->outcome;
        stage_outcome(stage, job, &outcome);
    }
}

static void tidy_next(struct tidy *tidy);

static void on_forgotten(void *context, const struct bucket_result *result)
{
    struct tidy *tidy = context;
    assert(tidy->at < tidy->keys_len);
    if (result->end == BUCKET_FAILED) {
        log_at(LOG_WARN, "what is left of a video can't be removed yet",
               LOG_STR("key", tidy->keys[tidy->at]),
               LOG_TEXT("why", result->why));
    }
    tidy->at = result->end == BUCKET_CANCELLED ? tidy->keys_len : tidy->at + 1;
    tidy_next(tidy);
}

static void tidy_next(struct tidy *tidy)
{
    while (tidy->at < tidy->keys_len) {
        if (bucket_forget(tidy->stage->edges->bucket, tidy->keys[tidy->at],
                          on_forgotten, tidy)) {
            return;
        }
        tidy->at++;
    }
    tidy_end(tidy);
}

/** The names that its videos have, or would have. */
static bool read_keys(struct tidy *tidy, const struct job *job)
{
    assert(job->effect && job->effect->facts);
    struct asset *assets;
    size_t len = assets_read(job_task(job)->row.result, &tidy->arena, &assets);
    len = len ? len : 1;
    tidy->keys = arena_alloc(&tidy->arena, len * sizeof *tidy->keys);
    for (size_t i = 0; tidy->keys && i < len; i++) {
        tidy->keys[i] = asset_key(
            tidy->stage->options->key_template, &job->effect->facts->facts,
            job_task(job)->row.submission, i, &tidy->arena);
    }
    tidy->keys_len = len;
    return !tidy->arena.failed;
}

bool tidy_begin(struct stage *stage, struct job *job,
                const struct outcome *outcome)
{
    struct effect *effect = job->effect;
    assert(job_task(job)->row.state == READY ||
           job_task(job)->row.state == RUNNING);
    assert(effect && effect->facts && !effect->tidied);
    struct tidy *tidy = calloc(1, sizeof *tidy);
    if (!tidy) {
        return false;
    }
    *tidy = (struct tidy){.stage = stage, .ref = job_ref(job)};
    arena_init(&tidy->arena, 4096, 0);
    bool kept = read_keys(tidy, job) &&
                (outcome == &effect->outcome || effect_stash(effect, outcome));
    if (!kept) {
        arena_done(&tidy->arena);
        free(tidy);
        return false;
    }
    CRASHPOINT("tidy_before");
    job_enter(job, JOB_ACTING);
    gate_enter(stage->gate, SLOT_TRANSFER);
    tidy_next(tidy);
    return true;
}
