#include "flow/job.h"

#include "base/must.h"
#include "base/sparse.h"
#include "core/allot.h"
#include "core/apimart.h"
#include "edge/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define JOBS_PAGE 256

struct jobs_page {
    struct jobs *jobs; /* whose: a job finds them by its slot */
    struct job at[JOBS_PAGE];
};

static struct jobs *jobs_of(const struct job *job)
{
    const struct job *first = job - job->slot % JOBS_PAGE;
    return ((const struct jobs_page *)(const void *)((const char *)first -
                                                     offsetof(struct jobs_page,
                                                              at)))
        ->jobs;
}

bool jobs_init(struct jobs *jobs, size_t slots_max)
{
    assert(slots_max > 0 && slots_max < UINT32_MAX);
    *jobs = (struct jobs){.slots_max = slots_max};
    list_init(&jobs->free);
    list_init(&jobs->to_fold);
    pool_init(&jobs->tasks, sizeof(struct task));
    jobs->table_size = 64;
    while (jobs->table_size < slots_max * 2) {
        jobs->table_size *= 2;
    }
    jobs->pages_len = (slots_max + JOBS_PAGE - 1) / JOBS_PAGE;
    jobs->pages = calloc(jobs->pages_len, sizeof *jobs->pages);
    jobs->table = calloc(jobs->table_size, sizeof *jobs->table);
    if (!jobs->pages || !jobs->table) {
        jobs_done(jobs);
        return false;
    }
    return true;
}

static void free_job(void *context, struct job *job)
{
    jobs_remove(context, job);
}

void jobs_done(struct jobs *jobs)
{
    if (jobs->pages) {
        jobs_each(jobs, free_job, jobs);
        for (size_t i = 0; i < jobs->pages_len; i++) {
            free(jobs->pages[i]);
        }
    }
    pool_done(&jobs->tasks);
    free(jobs->pages);
    free(jobs->table);
    *jobs = (struct jobs){0};
}

static size_t hash_of(const struct jobs *jobs, int64_t id)
{
    uint64_t h = (uint64_t)id * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(h >> 20) & (jobs->table_size - 1);
}

static struct job *job_at(const struct jobs *jobs, uint32_t slot)
{
    struct jobs_page *page = jobs->pages[slot / JOBS_PAGE];
    return page ? &page->at[slot % JOBS_PAGE] : NULL;
}

/** Of a place that isn't free. */
static int64_t id_at(const struct jobs *jobs, size_t place)
{
    return job_at(jobs, jobs->table[place] - 1)->id;
}

/** Where the id is, or the free place where it would be. */
static size_t place_of(const struct jobs *jobs, int64_t id)
{
    assert(jobs->table_size > 0);
    size_t at = hash_of(jobs, id);
    while (jobs->table[at] && id_at(jobs, at) != id) {
        at = (at + 1) & (jobs->table_size - 1);
    }
    return at;
}

static void table_remove(struct jobs *jobs, int64_t id)
{
    const size_t mask = jobs->table_size - 1;
    size_t hole = place_of(jobs, id);
    assert(jobs->table[hole]);
    /* Shift back whatever could no longer be found past the hole. */
    for (size_t at = (hole + 1) & mask; jobs->table[at]; at = (at + 1) & mask) {
        size_t home = hash_of(jobs, id_at(jobs, at));
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            jobs->table[hole] = jobs->table[at];
            hole = at;
        }
    }
    jobs->table[hole] = 0;
}

static bool grow(struct jobs *jobs)
{
    for (size_t i = 0; i < jobs->pages_len; i++) {
        if (jobs->pages[i]) {
            continue;
        }
        struct jobs_page *page = calloc(1, sizeof *page);
        if (!page) {
            return false;
        }
        page->jobs = jobs;
        jobs->pages[i] = page;
        for (uint32_t j = 0; j < JOBS_PAGE; j++) {
            page->at[j].slot = (uint32_t)i * JOBS_PAGE + j;
            list_add_tail(&jobs->free, &page->at[j].link);
        }
        return true;
    }
    return false;
}

#define TO(phase) (1u << JOB_##phase)

/** What may follow a phase. Free is left by jobs_add() alone, and any other may
 * end there: a lease is lost whatever runs. */
static const unsigned followers[JOB_PHASES_LEN] = {
    [JOB_FREE] = TO(PARKED),
    [JOB_WAITING] = TO(FREE) | TO(WAITING) | TO(LINED_UP) | TO(ACTING) |
                    TO(READING) | TO(SAVING) | TO(REREADING),
    [JOB_LINED_UP] = TO(FREE) | TO(ACTING),
    [JOB_ACTING] =
        TO(FREE) | TO(WAITING) | TO(READING) | TO(SAVING) | TO(ACTING),
    [JOB_READING] = TO(FREE) | TO(WAITING) | TO(ACTING) | TO(READING) |
                    TO(SAVING) | TO(PARKED),
    [JOB_SAVING] = TO(FREE) | TO(WAITING) | TO(LINED_UP) | TO(ACTING) |
                   TO(READING) | TO(SAVING) | TO(REREADING) | TO(PARKED),
    [JOB_REREADING] = TO(FREE) | TO(WAITING) | TO(READING) | TO(SAVING) |
                      TO(LINED_UP) | TO(ACTING),
    [JOB_PARKED] = TO(FREE) | TO(WAITING) | TO(LINED_UP) | TO(ACTING) |
                   TO(READING) | TO(SAVING) | TO(REREADING),
};

/* ---- folded tasks ---- */

static void give_back_task(struct jobs *jobs, struct job *job)
{
    if (job->lone) {
        must_free(job->task);
        job->lone = false;
    } else {
        pool_put(&jobs->tasks, job->task);
    }
    job->task = NULL;
}

static bool may_fold(const struct job *job)
{
    return job->phase == JOB_WAITING && job->task->row.state == RUNNING &&
           job->task->row.takeovers <= SUSPECT_TAKEOVERS;
}

static void fold_next(struct job *job)
{
    if (job->task && may_fold(job)) {
        job->folds = true;
        list_add_tail(&jobs_of(job)->to_fold, &job->link);
    }
}

void jobs_fold(struct jobs *jobs)
{
    unsigned char packed[SPARSE_MOST(sizeof(struct task))];
    struct list *link;
    while ((link = list_pop(&jobs->to_fold))) {
        struct job *job = LIST_OWNER(link, struct job, link);
        assert(job->task && !job->folded && job->folds);
        job->folds = false;
        const size_t bytes =
            may_fold(job) ? sparse_pack(job->task, sizeof *job->task, packed)
                          : 0;
        job->folded = bytes ? malloc(bytes) : NULL;
        if (job->folded) {
            memcpy(job->folded, packed, bytes);
            give_back_task(jobs, job);
        }
    }
}

struct task *job_task(const struct job *of)
{
    if (!of->folded) {
        assert(of->task && of->task->row.id == of->id);
        return of->task;
    }
    struct job *job = job_at(jobs_of(of), of->slot);
    assert(job == of && job->phase == JOB_WAITING && !job->task);
    job->task = pool_get(&jobs_of(job)->tasks);
    if (!job->task) {
        job->task = MUST_NEW(struct task);
        job->lone = true;
    }
    sparse_unpack(job->folded, job->task, sizeof *job->task);
    free(job->folded);
    job->folded = NULL;
    assert(job->task->row.id == job->id);
    if (job->due.place != 0) { /* else it is about to go on */
        fold_next(job);
    }
    return job->task;
}

/* ---- the phase ---- */

void job_enter(struct job *job, enum job_phase phase)
{
    assert(phase >= JOB_FREE && phase < JOB_PHASES_LEN);
    assert(followers[job->phase] & 1u << phase);
    assert(job->due.place == 0 || phase == JOB_WAITING);
    if (job->folds) {
        list_remove(&job->link);
        job->folds = false;
    }
    assert(list_is_empty(&job->link));
    job->phase = phase;
    if (phase == JOB_WAITING) {
        fold_next(job);
    }
}

struct job *jobs_add(struct jobs *jobs, int64_t task_id)
{
    assert(task_id > 0);
    if (jobs->used >= jobs->slots_max || jobs_find(jobs, task_id)) {
        return NULL;
    }
    if (list_is_empty(&jobs->free) && !grow(jobs)) {
        return NULL;
    }
    struct task *task = pool_get(&jobs->tasks);
    if (!task) {
        return NULL;
    }
    *task = (struct task){.row.id = task_id, .memo.progress = -1};
    struct job *job = LIST_OWNER(list_pop(&jobs->free), struct job, link);
    *job = (struct job){
        .id = task_id,
        .task = task,
        .slot = job->slot,
        .generation = job->generation + 1,
    };
    list_init(&job->link);
    job_enter(job, JOB_PARKED);
    jobs->table[place_of(jobs, task_id)] = job->slot + 1;
    jobs->used++;
    return job;
}

static void set_counts(struct jobs *jobs, struct job *job, bool counts)
{
    assert(jobs->counting >= job->counts);
    jobs->counting += counts;
    jobs->counting -= job->counts;
    job->counts = counts;
    if (job->use && !counts) {
        assert(job->use->n > 0);
        job->use->n--;
        job->use = NULL;
    } else if (counts && jobs->uses && !job->use) {
        job->use = uses_add(jobs->uses, apimart_account_name(job_account(job)),
                            job_tenant(job));
    }
}

void jobs_free_place(struct jobs *jobs, struct job *job)
{
    set_counts(jobs, job, false);
}

static void count_use(void *context, struct job *job)
{
    struct jobs *jobs = context;
    job->use = NULL;
    set_counts(jobs, job, job->counts);
    jobs_fold(jobs);
}

void jobs_count_uses(struct jobs *jobs, struct uses *uses)
{
    jobs->uses = uses;
    jobs_each(jobs, count_use, jobs);
}

void jobs_remove(struct jobs *jobs, struct job *job)
{
    assert(job->phase != JOB_FREE && job->due.place == 0);
    assert(!job->trouble);
    jobs_free_place(jobs, job);
    table_remove(jobs, job->id);
    job_effect_done(job);
    jobs_drop_facts(jobs, job);
    task_row_done(&job_task(job)->row);
    list_remove(&job->link);
    give_back_task(jobs, job);
    free(job->names);
    job->names = NULL;
    job_enter(job, JOB_FREE);
    job->generation++;
    list_add_tail(&jobs->free, &job->link);
    jobs->used--;
}

void jobs_stored(struct jobs *jobs, struct job *job, int64_t now_ms)
{
    assert(job->phase != JOB_FREE);
    job->sent_ms = job_task(job)->row.last_sent_ms;
    set_counts(jobs, job, allot_counts(&job_task(job)->row, now_ms));
}

struct job *jobs_find(const struct jobs *jobs, int64_t task_id)
{
    size_t at = place_of(jobs, task_id);
    return jobs->table[at] ? job_at(jobs, jobs->table[at] - 1) : NULL;
}

struct job *jobs_get(const struct jobs *jobs, struct job_ref ref)
{
    struct job *job = job_at(jobs, ref.slot);
    bool same = job && job->generation == ref.generation;
    return same && job->phase != JOB_FREE ? job : NULL;
}

struct job_ref job_ref(const struct job *job)
{
    assert(job->phase != JOB_FREE);
    return (struct job_ref){job->slot, job->generation};
}

int jobs_room(const struct jobs *jobs, size_t slots, size_t more, int most)
{
    assert(jobs->used <= jobs->slots_max && slots <= jobs->slots_max);
    assert(most >= 0);
    size_t taken = jobs->used + more;
    size_t left = slots > taken ? slots - taken : 0;
    return left < (size_t)most ? (int)left : most;
}

void jobs_each(struct jobs *jobs, void (*fn)(void *context, struct job *job),
               void *context)
{
    assert(fn);
    for (size_t i = 0; i < jobs->pages_len; i++) {
        for (size_t j = 0; jobs->pages[i] && j < JOBS_PAGE; j++) {
            if (jobs->pages[i]->at[j].phase != JOB_FREE) {
                fn(context, &jobs->pages[i]->at[j]);
            }
        }
    }
}

static const char *name_at(const struct job *job, int index)
{
    assert(index < JOB_NAMES);
    const char *name = job->names ? job->names : "";
    for (int i = 0; job->names && i < index; i++) {
        name += strlen(name) + 1;
    }
    return name;
}

const char *job_request_id(const struct job *job)
{
    assert(job->names);
    return name_at(job, 0);
}

const char *job_tenant(const struct job *job)
{
    return name_at(job, 1);
}

const char *job_traceparent(const struct job *job)
{
    return name_at(job, 2);
}

const char *job_tracestate(const struct job *job)
{
    return name_at(job, 3);
}

struct effect *job_effect(struct job *job)
{
    assert(job->phase != JOB_FREE);
    if (!job->effect) {
        job->effect = calloc(1, sizeof *job->effect);
        if (job->effect) {
            arena_init(&job->effect->arena, 4096, 0);
        }
    }
    return job->effect;
}

void job_effect_done(struct job *job)
{
    if (job->effect) {
        assert(!job->effect->stage);
        arena_done(&job->effect->arena);
        free(job->effect);
        job->effect = NULL;
    }
}

/* ---- kept facts ---- */

struct kept {
    struct facts_row row; /* its texts: behind it, and the job's names */
    size_t bytes;
    char texts[];
};

static struct str move_text(char **at, struct str text)
{
    if (!text.at) {
        return text;
    }
    char *copy = *at;
    memcpy(copy, text.at, text.len);
    *at += text.len;
    return (struct str){copy, text.len};
}

/** A name that a fact has, too. */
static struct str named(const char *name, struct str text)
{
    return text.at ? str_of(name) : text;
}

void jobs_keep_facts(struct jobs *jobs, struct job *job)
{
    assert(job->effect && job->effect->facts);
    const struct facts_row *row = job->effect->facts;
    const size_t bytes = sizeof(struct kept) + row->body.len +
                         row->facts.metadata.len + row->facts.warnings.len;
    if (job->kept || bytes > KEPT_EACH_MAX ||
        bytes > KEPT_BYTES_MAX - jobs->kept_bytes) {
        return;
    }
    struct kept *kept = malloc(bytes);
    if (!kept) {
        return;
    }
    char *at = kept->texts;
    kept->bytes = bytes;
    kept->row = *row;
    kept->row.body = move_text(&at, row->body);
    kept->row.facts.metadata = move_text(&at, row->facts.metadata);
    kept->row.facts.warnings = move_text(&at, row->facts.warnings);
    kept->row.facts.request_id =
        named(job_request_id(job), row->facts.request_id);
    kept->row.facts.tenant = named(job_tenant(job), row->facts.tenant);
    kept->row.facts.traceparent =
        named(job_traceparent(job), row->facts.traceparent);
    kept->row.facts.tracestate =
        named(job_tracestate(job), row->facts.tracestate);
    /* Nothing of a key: it is not sent again. */
    kept->row.content = (struct str){0};
    kept->row.salt = (struct str){0};
    job->kept = kept;
    jobs->kept_bytes += bytes;
}

void jobs_drop_facts(struct jobs *jobs, struct job *job)
{
    assert(!job->effect);
    if (job->kept) {
        assert(jobs->kept_bytes >= job->kept->bytes);
        jobs->kept_bytes -= job->kept->bytes;
        free(job->kept);
        job->kept = NULL;
    }
}

bool job_has_facts(struct job *job)
{
    if (job->kept && (!job->effect || !job->effect->facts)) {
        struct effect *effect = job_effect(job);
        if (effect) {
            effect->facts = &job->kept->row;
        }
    }
    return job->effect && job->effect->facts;
}

static struct str keep(struct arena *arena, struct str text)
{
    if (!text.at) {
        return text;
    }
    char *copy = arena_copy(arena, text.at, text.len);
    return (struct str){copy, copy ? text.len : 0};
}

bool effect_stash(struct effect *effect, const struct outcome *outcome)
{
    assert(outcome != &effect->outcome);
    struct arena *arena = &effect->arena;
    struct outcome copy = *outcome;
    copy.provider_task_id = keep(arena, outcome->provider_task_id);
    copy.message = keep(arena, outcome->message);
    copy.provider_code = keep(arena, outcome->provider_code);
    copy.status = keep(arena, outcome->status);
    copy.result = keep(arena, outcome->result);
    copy.hash = keep(arena, outcome->hash);
    if (outcome->videos_len) {
        size_t bytes = outcome->videos_len * sizeof *outcome->videos;
        copy.videos = arena_alloc(arena, bytes);
        for (size_t i = 0; copy.videos && i < outcome->videos_len; i++) {
            copy.videos[i] = outcome->videos[i];
            copy.videos[i].uri = keep(arena, outcome->videos[i].uri);
        }
    }
    if (arena->failed) {
        return false;
    }
    effect->outcome = copy;
    effect->has_outcome = true;
    return true;
}
