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

/** A page with the time of day in it comes instead, polled afresh each time;
 * milliseconds until it is given up, or -1. */
static int64_t pages_until_failed(int64_t from_ms, enum failure_kind *kind)
{
    const struct policy policy = usual(DOUBT_REPLAY);
    const struct outcome fresh = {.kind = OUTCOME_FINISHED,
                                  .result = {URL, sizeof URL - 1}};
    struct task task = task_of(READY, &(struct given){0});
    int64_t at_ms = from_ms;
    for (int i = 0; i < 200 && task.row.state == READY; i++) {
        char hash[17];
        snprintf(hash, sizeof hash, "%016d", i);
        const struct outcome page = {.kind = OUTCOME_UNUSABLE,
                                     .hash = str_of(hash),
                                     .message = STR("no video")};
        struct step step = task_step(&task, &page, &policy, at_ms);
        at_ms = step.due_ms;
        step = task_step(&step.next, &fresh, &policy, at_ms);
        task = step.next;
        at_ms = step.due_ms;
    }
    *kind = task.row.kind;
    const bool failed = task.row.state == FAILED;
    task_row_done(&task.row);
    return failed ? at_ms - from_ms : -1;
}

TEST_CASE(ready__another_page_each_time__is_given_up_an_hour_after_the_urls_end)
{
    enum failure_kind kind = FAILURE_NONE;
    /* URL ends at T0 + H. */
    const int64_t took_ms = pages_until_failed(T0, &kind);
    assert_int_equal(kind, FAILURE_ASSET_EXPIRED);
    assert_in_range(took_ms, 2 * H, 2 * H + 15 * M);
    /* Long past it, too, one page is no word. */
    assert_in_range(pages_until_failed(T0 + 9 * H, &kind), 3 * S, 15 * M);
    assert_int_equal(kind, FAILURE_ASSET_EXPIRED);
}

TESTS_RUN(NULL, NULL)
