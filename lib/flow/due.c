#include "flow/due.h"

#include <assert.h>

bool due_init(struct due *due, const struct clock *clock, size_t jobs_max,
              loop_fn *on_time, loop_fn *on_long, void *context)
{
    assert(clock && on_time && on_long && jobs_max > 0);
    *due = (struct due){.clock = clock};
    heap_init(&due->waiting);
    heap_init(&due->transfers);
    list_init(&due->replays);
    list_init(&due->fresh);
    due->timer = loop_timer_new(clock->loop, on_time, context);
    due->fresh_timer = loop_timer_new(clock->loop, on_long, context);
    return due->timer && due->fresh_timer &&
           heap_reserve(&due->waiting, jobs_max) &&
           heap_reserve(&due->transfers, jobs_max);
}

void due_done(struct due *due)
{
    heap_done(&due->waiting);
    heap_done(&due->transfers);
    loop_timer_free(due->timer);
    loop_timer_free(due->fresh_timer);
}

static void set_timer(struct due *due)
{
    const struct heap_entry *first = heap_first(&due->waiting);
    if (first) {
        int64_t wait_ms = first->due_ms - clock_boot_ms(due->clock);
        loop_timer_set(due->timer, wait_ms > 0 ? wait_ms : 0);
    }
}

void due_from(struct due *due, struct job *job, int64_t due_ms)
{
    assert(job->phase != JOB_FREE);
    int64_t boot_ms = clock_to_boot_ms(due->clock, due_ms);
    const struct heap_entry *first = heap_first(&due->waiting);
    bool sooner = !first || boot_ms < first->due_ms;
    job_enter(job, JOB_WAITING);
    heap_put(&due->waiting, &job->due, boot_ms);
    if (sooner) {
        set_timer(due);
    }
}

struct job *due_pop(struct due *due, int64_t boot_ms)
{
    struct heap_entry *first = heap_first(&due->waiting);
    if (!first || first->due_ms > boot_ms) {
        set_timer(due);
        return NULL;
    }
    struct job *job = LIST_OWNER(first, struct job, due);
    assert(job->phase == JOB_WAITING);
    due_remove(due, job);
    return job;
}

void due_line_up(struct due *due, struct job *job, int64_t rank_ms)
{
    assert(job_task(job)->row.state == READY);
    job_enter(job, JOB_LINED_UP);
    heap_put(&due->transfers, &job->due, rank_ms);
}

struct job *due_pop_transfer(struct due *due)
{
    struct heap_entry *first = heap_first(&due->transfers);
    if (!first) {
        return NULL;
    }
    struct job *job = LIST_OWNER(first, struct job, due);
    assert(job->phase == JOB_LINED_UP);
    heap_remove(&due->transfers, first);
    return job;
}

bool due_has_transfer(const struct due *due)
{
    return heap_first(&due->transfers) != NULL;
}

void due_line_up_replay(struct due *due, struct job *job)
{
    assert(job_task(job)->row.state == SUBMITTING);
    assert(job->phase == JOB_WAITING && list_is_empty(&job->link));
    list_add_tail(&due->replays, &job->link);
}

struct job *due_pop_replay(struct due *due,
                           bool (*fits)(void *context, const struct job *job),
                           void *context)
{
    const struct list *head = &due->replays;
    for (struct list *at = head->next; at != head; at = at->next) {
        struct job *job = LIST_OWNER(at, struct job, link);
        assert(job->phase == JOB_WAITING &&
               job_task(job)->row.state == SUBMITTING);
        if (fits(context, job)) {
            due_remove(due, job);
            return job;
        }
    }
    return NULL;
}

void due_begun(struct due *due, struct job *job)
{
    assert(job->phase == JOB_ACTING && job_task(job)->memo.unsaved);
    assert(list_is_empty(&job->link));
    if (list_is_empty(&due->fresh)) {
        loop_timer_set(due->fresh_timer, TRANSFER_UNSAVED_MS);
    }
    list_add_tail(&due->fresh, &job->link);
}

struct job *due_pop_long(struct due *due, int64_t boot_ms)
{
    if (list_is_empty(&due->fresh)) {
        return NULL;
    }
    struct job *job = LIST_OWNER(due->fresh.next, struct job, link);
    const int64_t left_ms =
        job_desk(job)->began_ms + TRANSFER_UNSAVED_MS - boot_ms;
    assert(job->phase == JOB_ACTING);
    if (left_ms > 0) {
        loop_timer_set(due->fresh_timer, left_ms);
        return NULL;
    }
    list_remove(&job->link);
    return job;
}

void due_remove(struct due *due, struct job *job)
{
    /* One entry, in one heap at most: which, only the phase says. */
    assert(job->due.place == 0 || job->phase == JOB_WAITING ||
           job->phase == JOB_LINED_UP);
    heap_remove(job->phase == JOB_LINED_UP ? &due->transfers : &due->waiting,
                &job->due);
    list_remove(&job->link);
}
