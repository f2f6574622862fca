#include "core/ready.h"
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
}

TEST_CASE(ready__refusals_in_a_row__are_never_asked_at_once_twice)
{
    const struct policy policy = usual(DOUBT_REPLAY);
    const struct outcome refused = {.kind = OUTCOME_FETCH_REFUSED};
    struct task task = task_of(READY, &(struct given){0});
    int64_t at_ms = T0;
    for (int i = 0; i < 5; i++) {
        struct step step = task_step(&task, &refused, &policy, at_ms);
        assert_int_equal(step.due_ms == at_ms, i == 0);
        assert_true(step.next.memo.wants_refresh);
        at_ms = step.due_ms;
        task = step.next;
    }
    task_row_done(&task.row);
}

TESTS_RUN(NULL, NULL)
