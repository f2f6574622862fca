#include "core/ready.h"
#include "lib/check.h"
#include "unit/step_task.h"

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

/** Refused, polled afresh with `result`, and so on; how many polls it took. */
static int polls_until_failed(const char *const results[], size_t len)
{
    const struct policy policy = usual(DOUBT_REPLAY);
    const struct outcome refused = {.kind = OUTCOME_FETCH_REFUSED};
    struct task task = task_of(READY, &(struct given){0});
    int polls = 0;
    for (; polls < 20 && task.row.state == READY; polls++) {
        struct step step = task_step(&task, &refused, &policy, T0 + 2 * H);
        const struct outcome fresh = {.kind = OUTCOME_FINISHED,
                                      .result =
                                          str_of(results[(size_t)polls % len])};
        step = task_step(&step.next, &fresh, &policy, T0 + 2 * H);
        task = step.next;
    }
    task_row_done(&task.row);
    return polls;
}

#define RESULT(url, end) "[{\"url\":\"" url "\",\"expires_at\":" end "}]"

TEST_CASE(ready__an_end_that_moves_with_each_poll__is_no_other_url)
{
    const char *const past[] = {RESULT("https://a/0", "1795330800001"),
                                RESULT("https://a/0", "1795330800002")};
    assert_int_equal(polls_until_failed(past, 2), 1);
}

TEST_CASE(ready__urls_that_are_over_when_they_come__are_tried_three_times)
{
    const char *const past[] = {RESULT("https://a/1", "1795330800001"),
                                RESULT("https://a/2", "1795330800002")};
    assert_int_equal(polls_until_failed(past, 2), 3);
}

TEST_CASE(ready__urls_that_last__are_tried_for_ever)
{
    const char *const fresh[] = {RESULT("https://a/1", "1795420800000"),
                                 RESULT("https://a/2", "1795420800000")};
    assert_int_equal(polls_until_failed(fresh, 2), 20);
}

TESTS_RUN(NULL, NULL)
