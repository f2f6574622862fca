#include <stdio.h>
#include <string.h>

#include "lib/check.h"
#include "flow/job.h"

#define JOBS 600 /* several pages */

static struct jobs jobs;
static struct heap waiting;
static struct task was[JOBS];

static struct job *add(int n, enum task_state state)
{
    struct job *job = jobs_add(&jobs, n + 1);
    assert_non_null(job);
    struct task *task = job_task(job);
    task->row.state = state;
    task->row.received_ms = 1700000000000 + n;
    task->row.fence = n;
    snprintf(task->row.account, sizeof task->row.account, "account-%d", n % 3);
    snprintf(task->row.provider_task_id, sizeof task->row.provider_task_id,
             "task_%0*d", 1 + n % 100, n);
    task->memo.progress = n % 101;
    memcpy(&was[n], task, sizeof *task);
    return job;
}

static void wait_until(struct job *job, int64_t due_ms)
{
    job_enter(job, JOB_WAITING);
    heap_put(&waiting, &job->due, due_ms);
}

static void forget(void *context, struct job *job)
{
    (void)context;
    heap_remove(&waiting, &job->due);
    jobs_remove(&jobs, job);
}

static void start_anew(void)
{
    jobs_each(&jobs, forget, NULL);
    assert_int_equal(jobs.used, 0);
}

static int begin(void **state)
{
    (void)state;
    heap_init(&waiting);
    return jobs_init(&jobs, JOBS) && heap_reserve(&waiting, JOBS) ? 0 : 1;
}

static int end(void **state)
{
    (void)state;
    start_anew();
    heap_done(&waiting);
    jobs_done(&jobs);
    return 0;
}

TEST_CASE(fold__tasks_that_wait_for_their_polls__come_back_as_they_were)
{
    start_anew();
    for (int n = 0; n < JOBS; n++) {
        wait_until(add(n, RUNNING), n);
    }
    jobs_fold(&jobs);
    for (int n = 0; n < JOBS; n++) {
        struct job *job = jobs_find(&jobs, n + 1);
        assert_true(job_is_folded(job) && !job->task);
        assert_memory_equal(job_task(job), &was[n], sizeof was[n]);
        assert_ptr_equal(job_task(job), job_task(job));
        assert_false(job_is_folded(job));
    }
}

TEST_CASE(fold__what_was_looked_at_and_still_waits__is_folded_again)
{
    start_anew();
    struct job *job = add(0, RUNNING);
    wait_until(job, 5);
    jobs_fold(&jobs);
    job_task(job)->memo.cancel = true;
    jobs_fold(&jobs);
    assert_true(job_is_folded(job));
    assert_true(job_task(job)->memo.cancel);
    job_enter(job, JOB_WAITING); /* put off */
    jobs_fold(&jobs);
    assert_true(job_is_folded(job));
}

TEST_CASE(fold__what_goes_on__stays_where_it_is)
{
    start_anew();
    struct job *job = add(0, RUNNING);
    wait_until(job, 5);
    jobs_fold(&jobs);
    heap_remove(&waiting, &job->due);
    struct task *task = job_task(job);
    assert_true(list_is_empty(&job->link));
    job_enter(job, JOB_ACTING);
    jobs_fold(&jobs);
    assert_ptr_equal(job_task(job), task);
}

TEST_CASE(fold__other_states_and_suspects__are_not_folded)
{
    start_anew();
    struct job *sent = add(0, SUBMITTING);
    struct job *suspect = add(1, RUNNING);
    job_task(suspect)->row.takeovers = SUSPECT_TAKEOVERS + 1;
    struct job *ended = add(2, RUNNING);
    wait_until(sent, 1);
    wait_until(suspect, 2);
    wait_until(ended, 3);
    job_task(ended)->row.state = FAILED; /* while it is in the line */
    jobs_fold(&jobs);
    assert_false(job_is_folded(sent));
    assert_false(job_is_folded(suspect));
    assert_false(job_is_folded(ended));
}

TESTS_RUN(begin, end)
