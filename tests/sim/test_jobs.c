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
    char request_id[40];
    snprintf(request_id, sizeof request_id, "request-%0*d", 1 + n % 20, n);
    const struct str names[SHEET_NAMES] = {
        [NAME_REQUEST_ID] = str_of(request_id),
        [NAME_TENANT] = STR("tenant"),
        [NAME_TRACESTATE] = STR("a=b"),
    };
    assert_true(job_name(job, names));
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
        assert_true(job_is_folded(job));
        assert_memory_equal(job_task(job), &was[n], sizeof was[n]);
        assert_ptr_equal(job_task(job), job_task(job));
        assert_false(job_is_folded(job));
    }
}

TEST_CASE(fold__names__stay_readable_and_where_they_are_while_its_task_is_there)
{
    start_anew();
    struct job *job = add(7, RUNNING);
    wait_until(job, 5);
    jobs_fold(&jobs);
    assert_string_equal(job_request_id(job), "request-00000007");
    assert_string_equal(job_tenant(job), "tenant");
    assert_string_equal(job_traceparent(job), "");
    assert_string_equal(job_tracestate(job), "a=b");
    assert_true(job_is_folded(job));
    const char *name = job_tenant(job);
    (void)job_task(job);
    assert_ptr_equal(job_tenant(job), name);
}

/** Each has an account of its own, so that the last ones find no model. */
TEST_CASE(fold__more_accounts_than_models__come_back_and_make_room)
{
    for (int round = 0; round < 2; round++) {
        start_anew();
        for (int n = 0; n < 2 * MODELS_MAX; n++) {
            struct job *job = add(n, RUNNING);
            struct task_row *row = &job_task(job)->row;
            snprintf(row->account, sizeof row->account, "%d-%d", round, n);
            memcpy(&was[n], job_task(job), sizeof was[n]);
            wait_until(job, n);
        }
        jobs_fold(&jobs);
        for (int n = 0; n < 2 * MODELS_MAX; n++) {
            struct job *job = jobs_find(&jobs, n + 1);
            assert_true(job_is_folded(job));
            assert_memory_equal(job_task(job), &was[n], sizeof was[n]);
        }
    }
}

/* What a task may take that waits for its poll: DESIGN says so. */
#define WAITING_BYTES_MAX 264

/** As intake and provider make them. */
static struct job *add_usual(unsigned n)
{
    char request_id[40];
    const int64_t sent_ms = 1764380000123 + n * 20;
    struct job *job = jobs_add(&jobs, 4711000 + n);
    assert_non_null(job);
    snprintf(request_id, sizeof request_id, "0198f3c2-%04x-7abc-8def-%08x%04x",
             n % 65536, n * 2654435761u, n % 65536);
    const struct str names[SHEET_NAMES] = {
        [NAME_REQUEST_ID] = str_of(request_id),
        [NAME_TENANT] = STR("tenant-a"),
    };
    assert_true(job_name(job, names));
    struct task *task = job_task(job);
    task->row.state = RUNNING;
    task->row.owner = 17;
    task->row.fence = 1;
    task->row.version = 3;
    task->row.sends = 1;
    snprintf(task->row.account, sizeof task->row.account,
             "default:0123456789abcdef:fedcba9876543210");
    snprintf(task->row.provider_task_id, sizeof task->row.provider_task_id,
             "task_01KB5%05u%08x%08x", n, n * 2246822519u, n * 3266489917u);
    task->row.received_ms = sent_ms - 40 - n % 300;
    task->row.first_sent_ms = sent_ms;
    task->row.last_sent_ms = sent_ms;
    task->row.submitted_ms = sent_ms + 3 + n % 50;
    task->row.deadline_ms = task->row.submitted_ms + 3600000;
    task->memo.progress = (int)(n % 100);
    snprintf(task->memo.status, sizeof task->memo.status, "processing");
    jobs_stored(&jobs, job, sent_ms);
    return job;
}

static void count_bytes(void *context, struct job *job)
{
    size_t *bytes = context;
    assert_true(job_is_folded(job));
    /* With malloc's own, a node of the heap, and the part of a table that is a
     * fifth full at worst. */
    *bytes += sizeof *job + sheet_bytes(job->sheet) + sizeof(size_t) +
              sizeof(struct heap_node) + 5 * sizeof(uint32_t);
}

TEST_CASE(fold__a_task_that_waits__takes_few_bytes)
{
    size_t bytes = 0;
    start_anew();
    for (unsigned n = 0; n < JOBS; n++) {
        wait_until(add_usual(n), n);
    }
    jobs_fold(&jobs);
    jobs_each(&jobs, count_bytes, &bytes);
    print_message("# %zu bytes a task\n", bytes / JOBS);
    assert_in_range(bytes / JOBS, 1, WAITING_BYTES_MAX);
}

static void hear_of(void *context, struct job *job)
{
    struct task *task = job_task(job);
    snprintf(task->memo.status, sizeof task->memo.status, "%s",
             (const char *)context);
    jobs_fold(&jobs);
}

TEST_CASE(fold__a_model_that_nobody_resembles_any_more__is_left)
{
    char first[] = "starting";
    char then[] = "at work in the oven";
    size_t before = 0;
    size_t after = 0;
    start_anew();
    for (unsigned n = 0; n < JOBS; n++) {
        wait_until(add_usual(n), n);
    }
    jobs_each(&jobs, hear_of, first);
    jobs_each(&jobs, hear_of, then);
    jobs_each(&jobs, count_bytes, &before);
    for (int round = 0; round < 8; round++) {
        jobs_each(&jobs, hear_of, then);
    }
    jobs_each(&jobs, count_bytes, &after);
    assert_in_range(after, 1, before - (size_t)8 * JOBS);
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
