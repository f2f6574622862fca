#include "core/late.h"
#include "lib/check.h"
#include "unit/step_go.h"

/* What is settled, and what may come late. */

TEST_CASE(an_id__learnt_after_the_failure_was_settled__is_polled)
{
    const struct policy policy = usual(DOUBT_REPLAY);
    struct task task =
        task_of(FAILED, &G(.kind = FAILURE_SUBMIT_UNKNOWN, .id = true));
    task.row.submitted_ms = 0; /* written without fence: the id only */
    task = go(task, O(ANNOUNCED), &policy, 30 * H);
    assert_int_equal(task.row.state, LATE);
    assert_int_equal(task.row.submitted_ms, T0 + 30 * H);
}

TEST_CASE(a_late_task__that_fails_in_any_way__tells_no_second_failure)
{
    const struct policy policy = usual(DOUBT_REPLAY);
    for (int from = 0; from < TASK_STATES_LEN; from++) {
        for (int kind = 0; kind < OUTCOMES_LEN; kind++) {
            if (!step_is_possible((enum task_state)from,
                                  (enum outcome_kind)kind) ||
                (from != READY && from != LATE)) {
                continue;
            }
            const struct outcome outcome = {
                .kind = (enum outcome_kind)kind,
                .provider_task_id = STR("task_1"),
                .hash = STR("ab"),
                .same_key = true,
                .failure = FAILURE_PROVIDER_FAILED,
            };
            const struct given given = {.late = true, .memo.refusals = 3};
            const struct task task = task_of((enum task_state)from, &given);
            struct step step = task_step(&task, &outcome, &policy, T0 + 99 * H);
            assert_int_not_equal(step.next.row.state, FAILED);
            task_row_done(&step.next.row);
        }
    }
}

TESTS_RUN(NULL, NULL)
