#include "core/retry.h"
#include "lib/check.h"
#include "unit/step_go.h"

/* More than one step, one after the other. */

TEST_CASE(requeued__put_off__waits_as_long_as_was_asked)
{
    const struct policy policy = usual(DOUBT_REPLAY);
    struct task task = task_of(SUBMITTING, &G(.sends = 1));
    task = go(task, O(PUT_OFF, .hold = HOLD_THROTTLE, .retry_after_ms = M),
              &policy, S);
    assert_int_equal(task.row.not_before_ms, T0 + S + M);
    assert_int_equal(task.row.owner, 0);
    assert_int_equal(task.row.tries, 1);
    task = go(task_of(SUBMITTING, &G(.sends = 1)),
              O(PUT_OFF, .hold = HOLD_BALANCE), &policy, S);
    assert_int_equal(task.row.not_before_ms, 0); /* the hold holds it */
    assert_int_equal(task.row.tries, 1);
    /* What money is left does not do for it: others go first. */
    task = go(task_of(SUBMITTING, &G(.sends = 2, .tries = 1)),
              O(PUT_OFF, .hold = HOLD_BALANCE), &policy, S);
    assert_int_equal(task.row.not_before_ms, T0 + S + M);
    task = go(task_of(SUBMITTING, &G(.sends = 2, .tries = 1)),
              O(PUT_OFF, .hold = HOLD_AUTH), &policy, S);
    assert_int_equal(task.row.not_before_ms, 0);
}

TEST_CASE(in_doubt__all_kinds_of_no__wears_no_replay_out)
{
    const struct policy policy = usual(DOUBT_REPLAY);
    const struct outcome noes[] = {
        O(PUT_OFF, .hold = HOLD_THROTTLE),
        O(PUT_OFF, .hold = HOLD_AUTH),
        O(PUT_OFF, .hold = HOLD_BALANCE),
        O(PUT_OFF, .key_running = true),
        O(REFUSED, .failure = FAILURE_INVALID_REQUEST),
        O(NOT_SENT),
    };
    struct task task = task_of(SUBMITTING, &G(.sends = 1));
    task = go(task, O(UNANSWERED), &policy, S);
    for (int i = 0; i < 60; i++) {
        int64_t at = (i + 1) * M;
        int64_t due_ms = 0;
        task.memo.replay_ms = 0;
        assert_int_equal(task_doubt_act(&task, &policy, T0 + at, &due_ms),
                         DOUBT_ACT_REPLAY);
        task = go(task, O(REPLAY_INTENT), &policy, at);
        task = go(task, noes[i % 6], &policy, at + S);
        assert_int_equal(task.row.state, SUBMITTING);
        assert_int_equal(task.row.sends, 1);
        assert_true(task.row.doubt);
    }
}

TEST_CASE(in_doubt__three_replays_unanswered__is_settled)
{
    const struct policy policy = usual(DOUBT_REPLAY);
    struct task task = task_of(SUBMITTING, &G(.sends = 1));
    int64_t due_ms = 0;
    task = go(task, O(UNANSWERED), &policy, S);
    for (int i = 1; i <= REPLAYS_MAX; i++) {
        assert_int_equal(task_doubt_act(&task, &policy, T0 + i * M, &due_ms),
                         DOUBT_ACT_REPLAY);
        task = go(task, O(REPLAY_INTENT), &policy, i * M);
        task = go(task, O(UNANSWERED), &policy, i * M + S);
    }
    int64_t last = REPLAYS_MAX * M;
    assert_int_equal(task_doubt_act(&task, &policy, T0 + last + S, &due_ms),
                     DOUBT_ACT_WAIT);
    assert_int_equal(due_ms, T0 + last + 45 * S);
    assert_int_equal(task_doubt_act(&task, &policy, due_ms, &due_ms),
                     DOUBT_ACT_SETTLE);
}

TEST_CASE(in_doubt__a_retry_after__holds_the_replay_not_the_look)
{
    const struct policy policy = usual(DOUBT_REPLAY);
    struct task task = task_of(SUBMITTING, &G(.sends = 2, .doubt = true));
    int64_t due_ms = 0;
    task = go(task, O(PUT_OFF, .retry_after_ms = 5 * M), &policy, M);
    assert_int_equal(task.memo.reread_ms, T0 + M + 8 * S);
    assert_int_equal(task_doubt_act(&task, &policy, T0 + 2 * M, &due_ms),
                     DOUBT_ACT_WAIT);
    assert_int_equal(due_ms, T0 + 6 * M);
    assert_int_equal(task_doubt_act(&task, &policy, due_ms, &due_ms),
                     DOUBT_ACT_REPLAY);
}

TEST_CASE(running__without_a_deadline__gets_one)
{
    static const enum outcome_kind kinds[] = {OUTCOME_TAKEN_OVER,
                                              OUTCOME_TIME_UP};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct given given = {0};
        struct task task = task_of(RUNNING, &given);
        struct policy policy = usual(DOUBT_AUTO);
        const struct outcome outcome = {.kind = kinds[i]};
        task.row.deadline_ms = 0;
        struct step step = task_step(&task, &outcome, &policy, T0 + M);
        assert_int_equal(step.next.row.state, RUNNING);
        assert_int_equal(step.next.row.deadline_ms, T0 + M + 3 * H);
        assert_true(step.save);
        task_row_done(&step.next.row);
    }
}

/** An owner that was merely cut off may have the id, and writes it. */
TEST_CASE(in_doubt__taken_over__settles_after_another_look_15_s_later)
{
    static const struct given cases[] = {
        {.sends = 1, .policy = DOUBT_SETTLE},
        {.sends = 1 + REPLAYS_MAX, .policy = DOUBT_REPLAY},
        {.sends = 1, .policy = DOUBT_REPLAY, .memo = {.cancel = true}},
        {.sends = 1, .policy = DOUBT_AUTO, .memo = {.cancel = true}},
        {.sends = 1,
         .policy = DOUBT_SETTLE,
         .foreign = true,
         .memo = {.cancel = true}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct policy policy = usual(cases[i].policy);
        struct task task = task_of(SUBMITTING, &cases[i]);
        int64_t due_ms = 0;
        /* Its answer's time was over long ago; a second owner begins anew. */
        for (int64_t at = 2 * M; at <= 4 * M; at += M) {
            task.memo.read_ms = T0 + at - S;
            task = go(task, O(TAKEN_OVER), &policy, at);
            assert_int_equal(task_doubt_act(&task, &policy, T0 + at, &due_ms),
                             DOUBT_ACT_WAIT);
            assert_int_equal(due_ms, T0 + at + 15 * S);
            task = go(task, O(TIME_UP), &policy, at + 14 * S);
            assert_int_equal(task.row.state, SUBMITTING);
            task.memo.read_ms = T0 + at + 14 * S; /* too early to count */
            assert_int_equal(task_doubt_act(&task, &policy, due_ms, &due_ms),
                             DOUBT_ACT_REREAD);
            task = go(task, O(TIME_UP), &policy, at + 15 * S);
            assert_int_equal(task.row.state, SUBMITTING);
        }
        task.memo.read_ms = T0 + 4 * M + 15 * S;
        assert_int_equal(task_doubt_act(&task, &policy, T0 + 5 * M, &due_ms),
                         DOUBT_ACT_SETTLE);
        task = go(task, O(TIME_UP), &policy, 5 * M);
        assert_int_equal(task.row.state, FAILED);
    }
}

/** One of those that were sent together may be what killed their workers. */
TEST_CASE(in_doubt__taken_over_again__is_replayed_apart_from_the_others)
{
    static const struct {
        int takeovers;
        uint32_t jitter;
        int64_t wait_ms;
    } cases[] = {{1, 0, 0},       {1, 4711, 0},   {2, 0, 0},
                 {2, 3999, 3999}, {2, 4711, 711}, {20, 4711, 711}};
    const struct given given = {.sends = 2};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct policy policy = usual(DOUBT_REPLAY);
        policy.jitter = cases[i].jitter;
        struct task task = task_of(SUBMITTING, &given);
        task.row.takeovers = cases[i].takeovers;
        int64_t due_ms = 0;
        task = go(task, O(TAKEN_OVER), &policy, M);
        const int64_t at_ms = T0 + M + cases[i].wait_ms;
        assert_int_equal(task_doubt_act(&task, &policy, at_ms - 1, &due_ms),
                         DOUBT_ACT_WAIT);
        assert_int_equal(task_doubt_act(&task, &policy, at_ms, &due_ms),
                         DOUBT_ACT_REPLAY);
        task_row_done(&task.row);
    }
}

TEST_CASE(denied__with_a_miss_between__is_lost_all_the_same)
{
    const struct policy policy = usual(DOUBT_REPLAY);
    struct task task = task_of(RUNNING, &G(0));
    for (int i = 0; i < 4; i++) {
        task = go(task, O(DENIED, .same_key = true), &policy, (3 + i) * M);
        task = go(task, O(MISSED), &policy, (3 + i) * M + S);
    }
    task = go(task, O(DENIED, .same_key = true), &policy, 13 * M);
    assert_int_equal(task.row.state, FAILED);
    assert_int_equal(task.row.kind, FAILURE_TASK_LOST);
    assert_true(task.row.billed_open);
}

TEST_CASE(denied__then_running_again__counts_from_the_start)
{
    const struct policy policy = usual(DOUBT_REPLAY);
    struct task task = task_of(RUNNING, &G(0));
    for (int i = 0; i < 4; i++) {
        task = go(task, O(DENIED, .same_key = true), &policy, (3 + i) * M);
    }
    task = go(task, O(STILL_RUNNING), &policy, 8 * M);
    task = go(task, O(DENIED, .same_key = true), &policy, 14 * M);
    assert_int_equal(task.row.state, RUNNING);
}

/** A fresh poll says it again, but in LATE only an hour later. */
TEST_CASE(finished__where_a_transfer_begins_at_once__is_not_saved)
{
    struct policy policy = usual(DOUBT_AUTO);
    const struct outcome with_url =
        O(FINISHED, .result = {URL, sizeof URL - 1});
    const struct {
        enum task_state from;
        bool free;
        bool url;
        bool save;
    } cases[] = {
        {RUNNING, true, true, false}, {RUNNING, false, true, true},
        {RUNNING, true, false, true}, {LATE, true, true, true},
        {LATE, false, true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct outcome none = O(FINISHED);
        const struct task task =
            task_of(cases[i].from, &G(.late = cases[i].from == LATE));
        policy.transfer_free = cases[i].free;
        struct step step =
            task_step(&task, cases[i].url ? &with_url : &none, &policy, T0 + M);
        assert_int_equal(step.next.row.state, READY);
        assert_int_equal(step.save, cases[i].save);
        assert_int_equal(step.next.memo.unsaved, !cases[i].save);
        assert_int_equal(step.next.row.version, 7 + cases[i].save);
        step.next = go(step.next, O(FETCH_FAILED), &policy, 2 * M);
        assert_false(step.next.memo.unsaved);
        assert_int_equal(step.next.row.version, 8);
        task_row_done(&step.next.row);
    }
}

/** Who had it may have been told that it is finished, and stored its video. */
TEST_CASE(running_taken_over__past_its_deadline__waits_for_an_answer)
{
    const struct policy policy = usual(DOUBT_AUTO);
    struct task task = task_of(RUNNING, &G(.deadline = M));
    task = go(task, O(TAKEN_OVER), &policy, H);
    assert_false(task_time_is_up(&task, policy.late_ms, T0 + H + S));
    task = go(task, O(TIME_UP), &policy, H + S);
    assert_int_equal(task.row.state, RUNNING);
    struct step step = task_step(&task, &O(MISSED), &policy, T0 + H + 2 * S);
    assert_int_equal(step.next.row.state, RUNNING);
    assert_true(step.due_ms > T0 + H + 2 * S); /* no poll after the other */
    task = step.next;
    task = go(task, O(DENIED), &policy, H + 3 * S); /* a stranger's word */
    assert_false(task_time_is_up(&task, policy.late_ms, T0 + H + 4 * S));
    const struct task answered = go(task, O(STILL_RUNNING), &policy, H + 9 * S);
    assert_true(task_time_is_up(&answered, policy.late_ms, T0 + H + 9 * S));
    assert_false(task_time_is_up(&task, policy.late_ms, T0 + H + 10 * M - 1));
    assert_true(task_time_is_up(&task, policy.late_ms, T0 + H + 10 * M));
    task = go(task, O(TIME_UP), &policy, H + 10 * M);
    assert_int_equal(task.row.kind, FAILURE_TIMED_OUT);
}

TEST_CASE(running_taken_over__cancelled__waits_for_an_answer)
{
    const struct policy policy = usual(DOUBT_AUTO);
    const struct outcome there = O(FINISHED, .result = {URL, sizeof URL - 1});
    const struct task taken =
        go(task_of(RUNNING, &G(0)), O(TAKEN_OVER), &policy, M);
    struct task task = go(taken, O(CANCEL_ORDERED), &policy, M + S);
    assert_int_equal(task.row.state, RUNNING);
    assert_true(task.memo.cancel);
    struct task home = go(task, there, &policy, M + 2 * S);
    assert_int_equal(home.row.state, READY);
    task_row_done(&home.row);
    task = go(task, O(STILL_RUNNING), &policy, M + 2 * S);
    assert_int_equal(task.row.kind, FAILURE_CANCELLED);
    task = go(taken, O(CANCEL_ORDERED), &policy, 11 * M);
    assert_int_equal(task.row.kind, FAILURE_CANCELLED);
    task = go(taken, O(STILL_RUNNING), &policy, 2 * M);
    task = go(task, O(CANCEL_ORDERED), &policy, 3 * M);
    assert_int_equal(task.row.kind, FAILURE_CANCELLED);
}

TEST_CASE(task_time_is_up__who_polls__asks_as_the_step_does)
{
    static const enum task_state froms[] = {RUNNING, LATE};
    const struct policy policy = usual(DOUBT_REPLAY);
    for (size_t i = 0; i < 2; i++) {
        const struct task task =
            task_of(froms[i], &G(.late = froms[i] == LATE));
        for (int64_t at = M; at < 30 * H; at += 7 * M) {
            struct step step = task_step(&task, &O(TIME_UP), &policy, T0 + at);
            assert_int_equal(task_time_is_up(&task, policy.late_ms, T0 + at),
                             step.next.row.state != froms[i]);
        }
    }
}

TEST_CASE(a_cost__of_a_poll__is_kept)
{
    const struct policy policy = usual(DOUBT_REPLAY);
    struct task task = go(task_of(RUNNING, &G(0)),
                          O(UPSTREAM_FAILED, .failure = FAILURE_PROVIDER_FAILED,
                            .has_cost = true, .cost = 0),
                          &policy, M);
    assert_true(task.row.has_cost);
    assert_string_equal(task_billed(&task.row, task.row.kind), "no");
    assert_true(task_retry_safe(&task.row, task.row.kind));
}

static struct outcome no_room(void)
{
    return O(UPSTREAM_FAILED, .failure = FAILURE_PROVIDER_FAILED,
             .overload = true, .has_cost = true);
}

TEST_CASE(no_room_at_the_provider__unbilled__begins_another_attempt)
{
    const struct policy policy = usual(DOUBT_AUTO);
    struct task task = task_of(RUNNING, &G(.tries = 4));
    for (int attempt = 1; attempt <= 2; attempt++) {
        const struct outcome outcome = no_room();
        struct step step = task_step(&task, &outcome, &policy, T0 + M);
        const struct task_row *row = &step.next.row;
        assert_int_equal(row->state, QUEUED);
        assert_int_equal(row->attempt, attempt);
        assert_int_equal(row->submission, task.row.submission);
        assert_int_equal(row->owner, 0);
        assert_int_equal(row->tries, 0);
        assert_int_equal(row->kind, FAILURE_NONE);
        assert_true(row->not_before_ms > T0 + M);
        assert_true(step.save);
        assert_false(step.settles);
        assert_true(task_begins_again(row)); /* its id is kept, in past */
        task.row.attempt = attempt;
    }
    const struct outcome outcome = no_room();
    struct step step = task_step(&task, &outcome, &policy, T0 + M);
    assert_int_equal(step.next.row.state, FAILED);
    assert_int_equal(step.next.row.attempt, 2);
}

/** Each for a reason of its own. */
TEST_CASE(no_room_at_the_provider__and_anything_open__is_a_failure)
{
    struct policy policy = usual(DOUBT_AUTO);
    const struct outcome good = no_room();
    struct outcome other = good;
    other.overload = false;
    struct outcome untold = good;
    untold.has_cost = false;
    struct outcome billed = good;
    billed.cost = 0.001;
    struct outcome credits = good;
    credits.credits_cost = 1;
    const struct outcome *outcomes[] = {&other, &untold, &billed, &credits};
    for (size_t i = 0; i < 4; i++) {
        const struct task task = task_of(RUNNING, &G(0));
        assert_int_equal(
            task_step(&task, outcomes[i], &policy, T0 + M).next.row.state,
            FAILED);
    }
    const struct given givens[] = {
        {.sends = 2}, {.memo.cancel = true}, {.deadline = 30 * S}, /* over */
    };
    for (size_t i = 0; i < 3; i++) {
        const struct task task = task_of(RUNNING, &givens[i]);
        assert_int_equal(
            task_step(&task, &good, &policy, T0 + M).next.row.state, FAILED);
    }
    policy.attempts_max = 0;
    const struct task task = task_of(RUNNING, &G(0));
    assert_int_equal(task_step(&task, &good, &policy, T0 + M).next.row.state,
                     FAILED);
}

TESTS_RUN(NULL, NULL)
