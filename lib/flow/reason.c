#include "flow/reason.h"

#include "base/log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS 5000
#define REWRITE_MS 30000 /* a row whose count alone grew waits so long */
#define QUIET_MS 120000  /* nobody tried again: a shared reason is history */

bool reasons_init(struct reasons *reasons, struct loop *loop, loop_fn *on_tick,
                  void *context)
{
    *reasons = (struct reasons){0};
    list_init(&reasons->troubled);
    reasons->timer = loop_timer_new(loop, on_tick, context);
    if (reasons->timer) {
        loop_timer_set(reasons->timer, TICK_MS);
    }
    return reasons->timer != NULL;
}

void reasons_done(struct reasons *reasons)
{
    assert(!reasons->timer || list_is_empty(&reasons->troubled));
    loop_timer_free(reasons->timer);
    free(reasons->gone);
    *reasons = (struct reasons){0};
}

const struct reason *reasons_of(const struct job *job)
{
    return job->trouble ? &job->trouble->reason : NULL;
}

/* ---- of one task ---- */

/** Without memory the sweep takes the row away. */
static void take_away(struct reasons *reasons, const struct job *job)
{
    if (reasons->gone_len == reasons->gone_size) {
        size_t size = reasons->gone_size ? reasons->gone_size * 2 : 16;
        struct reason_row *grown = realloc(reasons->gone, size * sizeof *grown);
        if (!grown) {
            return;
        }
        reasons->gone = grown;
        reasons->gone_size = size;
    }
    reasons->gone[reasons->gone_len++] = (struct reason_row){
        .task = job_task(job)->row.id,
        .fence = job_task(job)->row.fence,
        .word = "",
        .answer = "",
    };
}

void reasons_drop(struct reasons *reasons, struct job *job)
{
    struct trouble *trouble = job->trouble;
    if (!trouble) {
        return;
    }
    assert(trouble->job == job);
    reasons->stored -= trouble->stored;
    list_remove(&trouble->link);
    free(trouble);
    job->trouble = NULL;
}

static void over(struct reasons *reasons, struct job *job)
{
    struct trouble *trouble = job->trouble;
    if (!trouble) {
        return;
    }
    if (trouble->told) {
        log_at(LOG_INFO, "a task goes on",
               LOG_TEXT("request_id", job_request_id(job)),
               LOG_TEXT("reason", trouble->reason.word),
               LOG_I64("tries", trouble->reason.tries));
    }
    if (trouble->stored) {
        take_away(reasons, job);
    }
    reasons_drop(reasons, job);
}

static struct trouble *trouble_of(struct reasons *reasons, struct job *job)
{
    struct trouble *trouble = job->trouble;
    if (!trouble && (trouble = calloc(1, sizeof *trouble))) {
        trouble->job = job;
        job->trouble = trouble;
        list_init(&trouble->link);
        list_add_tail(&reasons->troubled, &trouble->link);
    }
    return trouble;
}

static void note(struct reasons *reasons, struct job *job,
                 const struct outcome *outcome, const struct step *step,
                 int64_t now_ms, int64_t next_ms)
{
    struct trouble *trouble = trouble_of(reasons, job);
    if (!trouble) {
        return; /* no memory: the next try may find some */
    }
    struct reason *reason = &trouble->reason;
    const struct reason before = *reason;
    reason_note(reason, outcome, step, now_ms, next_ms);
    bool other = before.word != reason->word ||
                 strcmp(before.answer, reason->answer) != 0;
    trouble->changed |= other || now_ms - trouble->told_ms >= REWRITE_MS;
    trouble->told &= before.word == reason->word;
    log_at(LOG_DEBUG, "a try came to nothing",
           LOG_TEXT("request_id", job_request_id(job)),
           LOG_TEXT("reason", reason->word), LOG_I64("tries", reason->tries),
           LOG_TEXT("answer", reason->answer));
}

void reasons_outcome(struct reasons *reasons, struct job *job,
                     const struct outcome *outcome, const struct step *step,
                     int64_t now_ms, int64_t next_ms)
{
    switch (reason_act(job_task(job)->row.state, outcome, step)) {
    case REASON_NOTED:
        note(reasons, job, outcome, step, now_ms, next_ms);
        return;
    case REASON_OVER:
        over(reasons, job);
        return;
    case REASON_STAYS:
        if (job->trouble) {
            job->trouble->reason.next_ms = next_ms;
        }
        return;
    }
}

/* ---- of many ---- */

void reasons_shared(struct reasons *reasons, enum shared_reason reason,
                    const char *answer, int64_t now_ms, int64_t next_ms)
{
    struct shared *shared = &reasons->shared[reason];
    if (!shared->since_ms) {
        *shared = (struct shared){.since_ms = now_ms};
    }
    shared->tries += 1;
    shared->next_ms = next_ms;
    if (strcmp(shared->answer, answer) != 0) {
        reason_answer(shared->answer, sizeof shared->answer, 0, str_of(answer));
        reasons->shared_changed |= shared->told;
    }
}

void reasons_shared_over(struct reasons *reasons, enum shared_reason reason)
{
    struct shared *shared = &reasons->shared[reason];
    if (shared->told) {
        log_at(LOG_INFO, "tasks go on",
               LOG_TEXT("reason", shared_reason_name(reason)),
               LOG_I64("tries", shared->tries));
        reasons->shared_changed = true;
    }
    *shared = (struct shared){0};
}

/* ---- what has lasted ---- */

static void tell_one(const struct trouble *trouble, int64_t now_ms)
{
    const struct reason *reason = &trouble->reason;
    const struct job *job = trouble->job;
    log_at(LOG_WARN, "a task waits",
           LOG_TEXT("request_id", job_request_id(job)),
           LOG_I64("task", job_task(job)->row.id),
           LOG_TEXT("state", task_state_name(job_task(job)->row.state)),
           LOG_TEXT("reason", reason->word), LOG_I64("tries", reason->tries),
           LOG_I64("since_s", (now_ms - reason->since_ms) / 1000),
           LOG_I64("next_s", reason->next_ms > now_ms
                                 ? (reason->next_ms - now_ms + 999) / 1000
                                 : 0),
           LOG_TEXT("why", reason->answer));
}

static void tell_shared(struct reasons *reasons, int64_t now_ms)
{
    for (int i = 0; i < SHARED_REASONS_LEN; i++) {
        struct shared *shared = &reasons->shared[i];
        if (shared->since_ms && shared->next_ms &&
            now_ms > shared->next_ms + QUIET_MS) {
            reasons_shared_over(reasons, (enum shared_reason)i);
        }
        if (!shared->since_ms || shared->told ||
            now_ms - shared->since_ms < REASON_AFTER_MS) {
            continue;
        }
        shared->told = true;
        reasons->shared_changed = true;
        log_at(LOG_WARN, "tasks wait",
               LOG_TEXT("reason", shared_reason_name((enum shared_reason)i)),
               LOG_I64("tries", shared->tries),
               LOG_I64("since_s", (now_ms - shared->since_ms) / 1000),
               LOG_TEXT("why", shared->answer));
    }
}

static bool has_lasted(const struct trouble *trouble, int64_t now_ms)
{
    return !trouble->reason.shared &&
           now_ms - trouble->reason.since_ms >= REASON_AFTER_MS;
}

bool reasons_tick(struct reasons *reasons, int64_t now_ms)
{
    const struct trouble *beyond = NULL;
    size_t rows = reasons->stored;
    loop_timer_set(reasons->timer, TICK_MS);
    for (struct list *at = reasons->troubled.next; at != &reasons->troubled;
         at = at->next) {
        struct trouble *trouble = LIST_OWNER(at, struct trouble, link);
        if (!has_lasted(trouble, now_ms)) {
            continue;
        }
        if (!trouble->stored && rows >= REASONS_MAX) {
            beyond = trouble;
            continue;
        }
        rows += !trouble->stored;
        reasons->due |= !trouble->stored || trouble->changed;
        if (!trouble->told) {
            trouble->told = true;
            tell_one(trouble, now_ms);
        }
    }
    if (beyond) {
        char answer[REASON_ANSWER_BYTES];
        snprintf(answer, sizeof answer, "%s: %.200s", beyond->reason.word,
                 beyond->reason.answer);
        reasons_shared(reasons, SHARED_MANY, answer, now_ms, now_ms);
    } else if (reasons->shared[SHARED_MANY].since_ms) {
        reasons_shared_over(reasons, SHARED_MANY);
    }
    tell_shared(reasons, now_ms);
    return reasons->due || reasons->gone_len || reasons->shared_changed;
}

/* ---- into the store ---- */

static bool wants_row(const struct reasons *reasons,
                      const struct trouble *trouble, int64_t now_ms)
{
    return has_lasted(trouble, now_ms) &&
           (trouble->stored ? trouble->changed : reasons->stored < REASONS_MAX);
}

static struct reason_row row_of(const struct trouble *trouble,
                                struct arena *arena)
{
    const struct reason *reason = &trouble->reason;
    const struct task_row *task = &job_task(trouble->job)->row;
    return (struct reason_row){
        .task = task->id,
        .fence = task->fence,
        .state = task->state,
        .word = reason->word,
        .since_ms = reason->since_ms,
        .tries = reason->tries,
        .answer = arena_copy(arena, reason->answer, strlen(reason->answer)),
        .next_ms = reason->next_ms,
    };
}

static void gather_single(struct reasons *reasons, struct turn *turn,
                          struct arena *arena, int64_t now_ms)
{
    struct reason_row *rows = arena_alloc(arena, REASONS_MAX * sizeof *rows);
    size_t len = 0;
    for (struct list *at = reasons->troubled.next;
         rows && at != &reasons->troubled && len < REASONS_MAX; at = at->next) {
        struct trouble *trouble = LIST_OWNER(at, struct trouble, link);
        if (!wants_row(reasons, trouble, now_ms)) {
            continue;
        }
        rows[len++] = row_of(trouble, arena);
        reasons->stored += !trouble->stored;
        trouble->stored = true;
        trouble->changed = false;
        trouble->told_ms = now_ms;
    }
    turn->reasons = rows;
    turn->reasons_len = len;
}

static void gather_shared(struct reasons *reasons, struct turn *turn,
                          struct arena *arena)
{
    struct reason_row *rows =
        arena_alloc(arena, SHARED_REASONS_LEN * sizeof *rows);
    if (!rows) {
        return;
    }
    for (int i = 0; i < SHARED_REASONS_LEN; i++) {
        const struct shared *shared = &reasons->shared[i];
        if (shared->told) {
            rows[turn->shared_len++] = (struct reason_row){
                .word = shared_reason_name((enum shared_reason)i),
                .since_ms = shared->since_ms,
                .tries = shared->tries,
                .answer =
                    arena_copy(arena, shared->answer, strlen(shared->answer)),
                .next_ms = shared->next_ms,
            };
        }
    }
    turn->shared = rows;
    turn->shared_changed = true;
    reasons->shared_changed = false;
    reasons->shared_sent = true;
}

static void gather_gone(struct reasons *reasons, struct turn *turn,
                        struct arena *arena)
{
    size_t bytes = reasons->gone_len * sizeof(*reasons->gone);
    struct reason_row *rows = arena_alloc(arena, bytes);
    if (rows) {
        memcpy(rows, reasons->gone, bytes);
        turn->reasons_gone = rows;
        turn->reasons_gone_len = reasons->gone_len;
        reasons->gone_sent = reasons->gone_len;
    }
}

bool reasons_are_due(const struct reasons *reasons)
{
    return reasons->due || reasons->gone_len || reasons->shared_changed;
}

void reasons_gather(struct reasons *reasons, struct turn *turn,
                    struct arena *arena, int64_t now_ms)
{
    if (reasons->due) {
        reasons->due = false;
        gather_single(reasons, turn, arena, now_ms);
    }
    if (reasons->gone_len) {
        gather_gone(reasons, turn, arena);
    }
    if (reasons->shared_changed) {
        gather_shared(reasons, turn, arena);
    }
    if (arena->failed) {
        turn->reasons_len = 0;
        turn->reasons_gone_len = 0;
        turn->shared_changed = false;
        reasons_written(reasons, false);
    }
}

void reasons_written(struct reasons *reasons, bool done)
{
    size_t sent = reasons->gone_sent;
    assert(sent <= reasons->gone_len);
    reasons->gone_sent = 0;
    if (done && sent) {
        reasons->gone_len -= sent;
        memmove(reasons->gone, reasons->gone + sent,
                reasons->gone_len * sizeof(*reasons->gone));
    }
    if (!done) {
        /* Written once more: what is there already is written over. */
        for (struct list *at = reasons->troubled.next; at != &reasons->troubled;
             at = at->next) {
            LIST_OWNER(at, struct trouble, link)->changed = true;
        }
        reasons->shared_changed |= reasons->shared_sent;
    }
    reasons->shared_sent = false;
}

void reasons_reset(struct reasons *reasons)
{
    assert(list_is_empty(&reasons->troubled));
    reasons->gone_len = 0;
    reasons->gone_sent = 0;
    reasons->shared_sent = false;
    for (int i = 0; i < SHARED_REASONS_LEN; i++) {
        reasons->shared_changed |= reasons->shared[i].told;
    }
}
