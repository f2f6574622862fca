#include "core/until.h"
#include "lib/check.h"
#include "unit/step_task.h"

static int64_t expires(const char *result)
{
    struct task_row row = {.generated_ms = T0, .result = strdup(result)};
    int64_t expires_ms = task_expires_ms(&row);
    task_row_done(&row);
    return expires_ms;
}

TEST_CASE(task_expires_ms__several_urls__the_first_that_ends)
{
    assert_int_equal(expires("[{\"url\":\"a\",\"expires_at\":300},"
                             "{\"url\":\"b\",\"expires_at\":200}]"),
                     200);
    assert_int_equal(expires("[{\"url\":\"a\"},"
                             "{\"url\":\"b\",\"expires_at\":200}]"),
                     200);
}

TEST_CASE(task_expires_ms__no_time_named__a_day_after_completion)
{
    const struct task_row none = {.generated_ms = T0};
    assert_int_equal(task_expires_ms(&none), T0 + 24 * H);
    assert_int_equal(expires("[{\"url\":\"a\"}]"), T0 + 24 * H);
    assert_int_equal(expires("[{\"url\":\"a\",\"expires_at\":0}]"),
                     T0 + 24 * H);
    assert_int_equal(expires("[{\"url\":\"a\",\"expires_at\":-5}]"),
                     T0 + 24 * H);
    assert_int_equal(expires("[{\"url\":\"a\",\"expires_at\":"), T0 + 24 * H);
    const struct task_row wrong = {.submitted_ms = T0, .generated_ms = 1000};
    assert_int_equal(task_expires_ms(&wrong), T0 + 24 * H);
    struct task_row lasts = {
        .submitted_ms = T0,
        .generated_ms = T0 + M,
        .result = (char[]){"[{\"url\":\"a\",\"expires_at\":86400000}]"}};
    assert_int_equal(task_expires_ms(&lasts), T0 + M + 24 * H);
}

static bool same(const char *a, const char *b)
{
    const bool same = result_has_same_urls(str_of(a), str_of(b));
    assert_int_equal(result_has_same_urls(str_of(b), str_of(a)), same);
    return same;
}

TEST_CASE(result_has_same_urls__whatever_their_ends)
{
    assert_true(same("[{\"url\":\"a\"}]", "[{\"url\":\"a\"}]"));
    assert_true(same("[{\"url\":\"a\",\"expires_at\":1}]",
                     "[{\"url\":\"a\",\"expires_at\":20}]"));
    assert_true(same("[{\"url\":\"a\",\"expires_at\":1},"
                     "{\"url\":\"b\",\"expires_at\":2}]",
                     "[{\"url\":\"a\",\"expires_at\":3},"
                     "{\"url\":\"b\",\"expires_at\":44}]"));
    assert_false(same("[{\"url\":\"a\",\"expires_at\":1}]",
                      "[{\"url\":\"b\",\"expires_at\":1}]"));
    assert_false(same("[{\"url\":\"a\",\"expires_at\":1}]",
                      "[{\"url\":\"a\",\"expires_at\":1},"
                      "{\"url\":\"b\",\"expires_at\":1}]"));
    assert_false(same("[{\"url\":\"a\",\"expires_at\":1},{\"url\":\"b\"}]",
                      "[{\"url\":\"a\",\"expires_at\":1},{\"url\":\"c\"}]"));
    assert_false(
        same("[{\"url\":\"a\"}]", "[{\"url\":\"a\",\"expires_at\":1}]"));
    /* What looks like it in a URL is escaped, and counts as its text. */
    assert_false(same("[{\"url\":\"\\\"expires_at\\\":1\"}]",
                      "[{\"url\":\"\\\"expires_at\\\":2\"}]"));
}

TEST_CASE(task_time_is_up__running__at_the_deadline)
{
    const struct task task = {.row = {.state = RUNNING, .deadline_ms = T0}};
    assert_false(task_time_is_up(&task, H, T0 - 1));
    assert_true(task_time_is_up(&task, H, T0));
}

TEST_CASE(task_time_is_up__taken_over__not_before_an_answer)
{
    struct task task = {.row = {.state = RUNNING, .deadline_ms = T0},
                        .memo.strange_until_ms = T0 + M};
    assert_true(task_is_strange(&task, T0 + M - 1));
    assert_false(task_time_is_up(&task, H, T0 + M - 1));
    assert_false(task_is_strange(&task, T0 + M));
    assert_true(task_time_is_up(&task, H, T0 + M));
    task.memo.answered = true;
    assert_false(task_is_strange(&task, T0));
    assert_true(task_time_is_up(&task, H, T0));
}

TEST_CASE(task_time_is_up__late__counts_from_the_first_send)
{
    const struct task task = {
        .row = {.state = LATE, .submitted_ms = T0, .deadline_ms = T0}};
    assert_int_equal(task_late_until_ms(&task.row, H), T0 + H);
    assert_false(task_time_is_up(&task, H, T0 + H - 1));
    assert_true(task_time_is_up(&task, H, T0 + H));
}

TESTS_RUN(NULL, NULL)
