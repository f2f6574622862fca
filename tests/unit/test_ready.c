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

TESTS_RUN(NULL, NULL)
