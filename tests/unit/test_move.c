#include "core/move.h"
#include "lib/check.h"
#include "unit/step_task.h"

/** A move of a task in that state, at T0 + M. */
struct bench {
    struct step step;
    struct outcome outcome;
    struct policy policy;
    struct move move;
};

static struct move *lay(struct bench *bench, enum task_state state,
                        const struct given *given)
{
    *bench = (struct bench){
        .step = {.next = task_of(state, given), .due_ms = T0 + M},
        .policy = usual(DOUBT_REPLAY),
    };
    bench->move = (struct move){
        .step = &bench->step,
        .row = &bench->step.next.row,
        .memo = &bench->step.next.memo,
        .outcome = &bench->outcome,
        .policy = &bench->policy,
        .now_ms = T0 + M,
    };
    return &bench->move;
}

TEST_CASE(move_fail__the_first__settles_and_says_why)
{
    struct bench bench;
    struct move *m = lay(&bench, RUNNING, &(struct given){0});
    bench.outcome.http_status = 402;
    move_fail(m, FAILURE_TASK_LOST, STR("gone"));
    assert_int_equal(m->row->state, FAILED);
    assert_int_equal(m->row->kind, FAILURE_TASK_LOST);
    assert_int_equal(m->row->settled_ms, T0 + M);
    assert_true(bench.step.settles && bench.step.save);
    assert_int_equal(bench.step.failure.kind, FAILURE_TASK_LOST);
    assert_int_equal(bench.step.failure.http_status, 402);
    assert_true(str_eq(bench.step.failure.message, STR("gone")));
}

TEST_CASE(move_fail__after_a_told_one__just_ends)
{
    struct bench bench;
    struct move *m =
        lay(&bench, RUNNING,
            &(struct given){.late = true, .kind = FAILURE_TIMED_OUT});
    move_fail(m, FAILURE_ASSET_EXPIRED, STR("again"));
    assert_int_equal(m->row->state, CLOSED);
    assert_int_equal(m->row->kind, FAILURE_TIMED_OUT);
    assert_true(bench.step.save);
    assert_false(bench.step.settles);
    assert_int_equal(bench.step.failure.kind, FAILURE_NONE);
}

TEST_CASE(move_enter__another_state__forgets_what_the_last_one_counted)
{
    struct bench bench;
    const struct given given = {
        .memo = {.misses = 4, .denials = 3, .refusals = 2}};
    struct move *m = lay(&bench, RUNNING, &given);
    m->row->takeovers = 9;
    move_enter(m, RUNNING); /* the same: nothing is forgotten */
    assert_int_equal(m->memo->misses, 4);
    assert_int_equal(m->row->takeovers, 9);
    move_enter(m, READY);
    assert_int_equal(m->memo->misses, 0);
    assert_int_equal(m->memo->denials, 0);
    assert_int_equal(m->memo->refusals, 0);
    assert_int_equal(m->row->takeovers, 0);
    assert_true(bench.step.save);
}

TEST_CASE(move_wait_within_deadline__any_time__is_now_to_deadline)
{
    struct bench bench;
    struct move *m = lay(&bench, RUNNING, &(struct given){.deadline = 2 * M});
    move_wait_within_deadline(m, T0 + M + S);
    assert_int_equal(bench.step.due_ms, T0 + M + S);
    move_wait_within_deadline(m, T0 + 9 * H);
    assert_int_equal(bench.step.due_ms, T0 + 2 * M);
    m->row->deadline_ms = T0; /* over: at once */
    move_wait_within_deadline(m, T0 + 9 * H);
    assert_int_equal(bench.step.due_ms, T0 + M);
}

TEST_CASE(move_take_cost__none_told__keeps_the_last)
{
    struct bench bench;
    struct move *m = lay(&bench, RUNNING, &(struct given){0});
    bench.outcome =
        (struct outcome){.has_cost = true, .cost = 1.5, .credits_cost = 15};
    move_take_cost(m);
    bench.outcome = (struct outcome){0};
    move_take_cost(m);
    assert_true(m->row->has_cost);
    assert_true(m->row->cost == 1.5 && m->row->credits_cost == 15);
}

TEST_CASE(move_denied_to_stranger__under_another_key__is_a_hold)
{
    struct bench bench;
    struct move *m = lay(&bench, RUNNING, &(struct given){0});
    bench.outcome.kind = OUTCOME_DENIED;
    assert_true(move_denied_to_stranger(m));
    assert_int_equal(bench.step.hold, HOLD_ACCOUNT);
    m = lay(&bench, RUNNING, &(struct given){0});
    bench.outcome = (struct outcome){.kind = OUTCOME_DENIED, .same_key = true};
    assert_false(move_denied_to_stranger(m));
    assert_int_equal(bench.step.hold, HOLD_NONE);
}

TESTS_RUN(NULL, NULL)
