#include "core/doubt.h"
#include "lib/check.h"
#include "unit/step_task.h"

/* What the step's rows don't show of a doubt: its limits alone. */

TEST_CASE(replay_may_leave__each_condition__is_needed)
{
    const struct task task =
        task_of(SUBMITTING, &(struct given){.doubt = true});
    const struct task foreign =
        task_of(SUBMITTING, &(struct given){.doubt = true, .foreign = true});
    const struct policy replay = usual(DOUBT_REPLAY);
    const struct policy settle = usual(DOUBT_SETTLE);
    const int64_t until_ms = T0 + LIFE / 6 * 5;
    assert_int_equal(replay_until_ms(&task.row, &replay), until_ms);
    assert_true(replay_may_leave(&task.row, &replay, until_ms - 1));
    assert_false(replay_may_leave(&task.row, &replay, until_ms));
    assert_false(replay_may_leave(&task.row, &settle, T0));
    assert_false(replay_may_leave(&foreign.row, &replay, T0));
}

TEST_CASE(task_would_replay__each_condition__is_needed)
{
    struct task task = task_of(SUBMITTING, &(struct given){0});
    const struct task foreign =
        task_of(SUBMITTING, &(struct given){.foreign = true});
    const struct policy replay = usual(DOUBT_REPLAY);
    const struct policy settle = usual(DOUBT_SETTLE);
    const struct policy no_word = usual(DOUBT_AUTO);
    const int64_t until_ms = T0 + LIFE / 6 * 5;
    assert_true(task_would_replay(&task, &replay, T0));
    assert_true(task_would_replay(&task, &replay, until_ms - M - 1));
    assert_false(task_would_replay(&task, &replay, until_ms - M));
    assert_false(task_would_replay(&task, &settle, T0));
    assert_false(task_would_replay(&task, &no_word, T0));
    assert_false(task_would_replay(&foreign, &replay, T0));
    task.row.sends = REPLAYS_MAX;
    assert_true(task_would_replay(&task, &replay, T0));
    task.row.sends = REPLAYS_MAX + 1;
    assert_false(task_would_replay(&task, &replay, T0));
    task.row.sends = 1;
    task.memo.cancel = true;
    assert_false(task_would_replay(&task, &replay, T0));
}

TEST_CASE(task_doubt_act__nothing_decided__names_a_later_time)
{
    struct task task = task_of(SUBMITTING, &(struct given){.doubt = true});
    for (int doubt = 0; doubt < 3; doubt++) {
        const struct policy policy = usual((enum submit_doubt)doubt);
        task.memo.replay_ms = T0 + M;
        for (int64_t now_ms = T0; now_ms < T0 + 2 * M; now_ms += S) {
            int64_t due_ms = 0;
            if (task_doubt_act(&task, &policy, now_ms, &due_ms) ==
                DOUBT_ACT_WAIT) {
                assert_true(due_ms > now_ms);
            }
        }
    }
}

TEST_CASE(task_doubt_act__cancelled__is_never_replayed)
{
    const struct policy policy = usual(DOUBT_REPLAY);
    struct task task = task_of(SUBMITTING, &(struct given){.doubt = true});
    int64_t due_ms = 0;
    assert_int_equal(task_doubt_act(&task, &policy, T0 + 44 * S, &due_ms),
                     DOUBT_ACT_REPLAY);
    task.memo.cancel = true;
    assert_int_equal(task_doubt_act(&task, &policy, T0 + 44 * S, &due_ms),
                     DOUBT_ACT_WAIT);
    assert_int_equal(due_ms, T0 + 45 * S);
    assert_int_equal(task_doubt_act(&task, &policy, T0 + 45 * S, &due_ms),
                     DOUBT_ACT_SETTLE);
}

TEST_CASE(task_is_unsent_claim__only_the_lost_claims_own_row__is)
{
    const struct task claimed = task_of(SUBMITTING, &(struct given){0});
    assert_true(task_is_unsent_claim(&claimed.row, T0));
    assert_false(task_is_unsent_claim(&claimed.row, T0 + 1)); /* another's */
    assert_false(task_is_unsent_claim(&claimed.row, 0)); /* none was lost */
    struct task_row row = claimed.row;
    row.doubt = true; /* adopted */
    assert_false(task_is_unsent_claim(&row, T0));
    row = claimed.row;
    row.provider_task_id[0] = 'i'; /* somebody knows that it was sent */
    assert_false(task_is_unsent_claim(&row, T0));
    row = claimed.row;
    row.last_sent_ms = 0;
    assert_false(task_is_unsent_claim(&row, 0));
    row = claimed.row;
    row.state = QUEUED;
    assert_false(task_is_unsent_claim(&row, T0));
}

TEST_CASE(resend_after_ms__five_sixths_of_a_life__or_never)
{
    assert_int_equal(resend_after_ms(DOUBT_REPLAY, 6000, 100000), 95000);
    assert_true(resend_after_ms(DOUBT_AUTO, 6000, 100000) == INT64_MAX);
    assert_true(resend_after_ms(DOUBT_SETTLE, 6000, 100000) == INT64_MAX);
}

TESTS_RUN(NULL, NULL)
