#include "flow/job.h"

#include "base/must.h"
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
    pool_init(&jobs->desks, sizeof(struct desk));
    jobs->table_size = 64;
    while (jobs->table_size < slots_max + slots_max / 4) {
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
    pool_done(&jobs->desks);
    models_done(&jobs->models);
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

/* ---- names ---- */

bool job_name(struct job *job, const struct str names[SHEET_NAMES])
{
    assert(job->phase != JOB_FREE && !job->sheet && job->desk);
    job->sheet = sheet_new(&jobs_of(job)->models, names);
    return job->sheet != NULL;
}

static const char *name_of(const struct job *job, enum sheet_name name)
{
    return job->sheet ? sheet_name(job->sheet, name) : "";
}

const char *job_request_id(const struct job *job)
{
    assert(job->sheet);
    return name_of(job, NAME_REQUEST_ID);
}

const char *job_tenant(const struct job *job)
{
    return name_of(job, NAME_TENANT);
}

const char *job_traceparent(const struct job *job)
{
    return name_of(job, NAME_TRACEPARENT);
}

const char *job_tracestate(const struct job *job)
{
    return name_of(job, NAME_TRACESTATE);
}

/* ---- folded tasks ---- */

static void give_back_desk(struct jobs *jobs, struct job *job)
{
    if (job->lone) {
        must_free(job->desk);
        job->lone = false;
    } else {
        pool_put(&jobs->desks, job->desk);
    }
    job->desk = NULL;
}

static bool may_fold(const struct job *job)
{
    return job->phase == JOB_WAITING && job->sheet && !job->effect &&
           job->takes == SLOT_NONE && job->desk->task.row.state == RUNNING &&
           job->desk->task.row.takeovers <= SUSPECT_TAKEOVERS;
}

static void fold_next(struct job *job)
{
    if (job->desk && may_fold(job)) {
        job->folds = true;
        list_add_tail(&jobs_of(job)->to_fold, &job->link);
    }
}

void jobs_fold(struct jobs *jobs)
{
    struct list *link;
    while ((link = list_pop(&jobs->to_fold))) {
        struct job *job = LIST_OWNER(link, struct job, link);
        assert(job->desk && job->folds);
        job->folds = false;
        if (may_fold(job) &&
            sheet_fold(&job->sheet, &jobs->models, &job->desk->task)) {
            give_back_desk(jobs, job);
        }
    }
}

struct desk *job_unfold(const struct job *of)
{
    struct jobs *jobs = jobs_of(of);
    struct job *job = job_at(jobs, of->slot);
    assert(job == of && job->phase == JOB_WAITING && !job->desk);
    job->desk = pool_get(&jobs->desks);
    if (!job->desk) {
        job->desk = MUST_NEW(struct desk);
        job->lone = true;
    }
    sheet_unfold(job->sheet, &jobs->models, &job->desk->task);
    assert(job->desk->task.row.id == job->id);
    if (job->due.place != 0) { /* else it is about to go on */
        fold_next(job);
    }
    return job->desk;
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
    struct desk *desk = pool_get(&jobs->desks);
    if (!desk) {
        return NULL;
    }
    desk->task = (struct task){.row.id = task_id, .memo.progress = -1};
    struct job *job = LIST_OWNER(list_pop(&jobs->free), struct job, link);
    *job = (struct job){
        .id = task_id,
        .desk = desk,
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
    give_back_desk(jobs, job);
    free(job->sheet);
    job->sheet = NULL;
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

#define KEPT_TEXTS 3

struct kept {
    int64_t deadline_seconds;
    int64_t received_ms;
    uint32_t lens[KEPT_TEXTS];
    uint16_t there; /* a bit for each text, then for each name */
    uint16_t mode;
    char texts[]; /* the names are the job's */
};

static void texts_of(struct facts_row *row, struct str *texts[KEPT_TEXTS])
{
    texts[0] = &row->body;
    texts[1] = &row->facts.metadata;
    texts[2] = &row->facts.warnings;
}

static void names_of(struct facts *facts, struct str *names[SHEET_NAMES])
{
    names[NAME_REQUEST_ID] = &facts->request_id;
    names[NAME_TENANT] = &facts->tenant;
    names[NAME_TRACEPARENT] = &facts->traceparent;
    names[NAME_TRACESTATE] = &facts->tracestate;
}

static size_t kept_bytes(const struct kept *kept)
{
    size_t bytes = offsetof(struct kept, texts);
    for (int i = 0; i < KEPT_TEXTS; i++) {
        bytes += kept->lens[i];
    }
    return bytes;
}

/** Nothing of a key: it is not sent again. */
void jobs_keep_facts(struct jobs *jobs, struct job *job)
{
    assert(job->effect && job->effect->facts);
    struct facts_row row = *job->effect->facts;
    struct str *texts[KEPT_TEXTS];
    struct str *names[SHEET_NAMES];
    texts_of(&row, texts);
    names_of(&row.facts, names);
    struct kept head = {
        .deadline_seconds = row.facts.deadline_seconds,
        .received_ms = row.facts.received_ms,
        .mode = (uint16_t)row.facts.mode,
    };
    for (int i = 0; i < KEPT_TEXTS; i++) {
        head.lens[i] = (uint32_t)texts[i]->len;
        head.there |= (uint16_t)(texts[i]->at ? 1u << i : 0);
    }
    for (int i = 0; i < SHEET_NAMES; i++) {
        head.there |= (uint16_t)(names[i]->at ? 1u << (KEPT_TEXTS + i) : 0);
    }
    const size_t bytes = kept_bytes(&head);
    if (job->kept || bytes > KEPT_EACH_MAX ||
        bytes > KEPT_BYTES_MAX - jobs->kept_bytes) {
        return;
    }
    struct kept *kept = malloc(bytes < sizeof *kept ? sizeof *kept : bytes);
    if (!kept) {
        return;
    }
    *kept = head;
    char *at = kept->texts;
    for (int i = 0; i < KEPT_TEXTS; i++) {
        if (head.lens[i]) {
            memcpy(at, texts[i]->at, head.lens[i]);
        }
        at += head.lens[i];
    }
    job->kept = kept;
    jobs->kept_bytes += bytes;
}

/** In the arena of the job's effect; its texts are where they are kept. null:
 * no memory. */
static struct facts_row *unpack_facts(const struct job *job)
{
    const struct kept *kept = job->kept;
    struct str *texts[KEPT_TEXTS];
    struct str *names[SHEET_NAMES];
    struct facts_row *row = arena_alloc(&job->effect->arena, sizeof *row);
    if (!row) {
        return NULL;
    }
    row->id = job->id;
    row->facts.mode = (enum request_mode)kept->mode;
    row->facts.deadline_seconds = kept->deadline_seconds;
    row->facts.received_ms = kept->received_ms;
    texts_of(row, texts);
    names_of(&row->facts, names);
    const char *at = kept->texts;
    for (int i = 0; i < KEPT_TEXTS; i++) {
        const bool there = kept->there & 1u << i;
        *texts[i] = (struct str){there ? at : NULL, kept->lens[i]};
        at += kept->lens[i];
    }
    for (int i = 0; i < SHEET_NAMES; i++) {
        const bool there = kept->there & 1u << (KEPT_TEXTS + i);
        *names[i] = str_of(there ? name_of(job, (enum sheet_name)i) : NULL);
    }
    return row;
}

void jobs_drop_facts(struct jobs *jobs, struct job *job)
{
    assert(!job->effect);
    if (job->kept) {
        assert(jobs->kept_bytes >= kept_bytes(job->kept));
        jobs->kept_bytes -= kept_bytes(job->kept);
        free(job->kept);
        job->kept = NULL;
    }
}

bool job_has_facts(struct job *job)
{
    if (job->kept && (!job->effect || !job->effect->facts)) {
        struct effect *effect = job_effect(job);
        if (effect) {
            effect->facts = unpack_facts(job);
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
