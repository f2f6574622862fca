#include "core/step.h"
#include "edge/store_trial.h"
#include "edge/pg/pg.h"
#include "lib/rows.h"

/* Why tasks wait. */

static struct reason_row reason_for(const struct task_row *row)
{
    return (struct reason_row){
        .task = row->id,
        .fence = row->fence,
        .state = row->state,
        .word = "fetch_failed",
        .since_ms = 11,
        .tries = 3,
        .answer = "HTTP 503: \"quoted\", {braces}, \\ and \xe8\xa7\x86",
        .next_ms = 12,
    };
}

static int64_t reasons(struct trial *trial)
{
    return trial_number(trial, "SELECT count(*) FROM reason");
}

TEST(reasons__of_ours__are_written_changed_and_taken_away)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    struct reason_row reason = reason_for(&row);
    const struct turn set = {.owner = me, .reasons = &reason, .reasons_len = 1};
    trial_good_turn(trial, set);
    assert_string_equal(trial_sql(trial, "SELECT answer FROM reason"),
                        reason.answer);
    reason.tries = 4;
    reason.word = "fetch_refused";
    trial_good_turn(trial, set);
    assert_string_equal(
        trial_sql(trial,
                  "SELECT concat_ws(' ', task = %lld, fence, state, "
                  "word, since_ms, tries, next_ms) FROM reason",
                  (long long)row.id),
        "t 1 1 fetch_refused 11 4 12");
    const struct turn gone = {
        .owner = me, .reasons_gone = &reason, .reasons_gone_len = 1};
    reason.fence--;
    trial_good_turn(trial, gone); /* a former owner's word */
    assert_int_equal(reasons(trial), 1);
    reason.fence++;
    trial_good_turn(trial, gone);
    assert_int_equal(reasons(trial), 0);
}

TEST(reasons__of_what_is_not_ours__are_passed_by)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    int64_t other = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    struct reason_row reason = reason_for(&row);
    struct turn turn = {.owner = other, .reasons = &reason, .reasons_len = 1};
    trial_good_turn(trial, turn);
    turn.owner = me;
    reason.fence++;
    trial_good_turn(trial, turn);
    reason.fence--;
    reason.state = RUNNING;
    trial_good_turn(trial, turn);
    assert_int_equal(reasons(trial), 0);
}

TEST(reasons__that_are_shared__are_all_there_are)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    const struct reason_row two[] = {
        {.word = "throttle", .since_ms = 1, .tries = 2, .answer = "HTTP 429"},
        {.word = "many", .since_ms = 3, .tries = 4, .answer = "x"},
    };
    struct turn turn = {
        .owner = me, .shared = two, .shared_len = 2, .shared_changed = true};
    trial_good_turn(trial, turn);
    trial_good_turn(trial, turn);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM shared_reason"),
                     2);
    turn.shared_len = 1;
    trial_good_turn(trial, turn);
    assert_string_equal(trial_sql(trial, "SELECT concat(word, tries, answer) "
                                         "FROM shared_reason"),
                        "throttle2HTTP 429");
    turn.shared_len = 0;
    trial_good_turn(trial, turn);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM shared_reason"),
                     0);
}

static void sweep(struct trial *trial)
{
    struct trial_answer answer = {.trial = trial};
    store_reasons_sweep(trial->store, trial_on_done, &answer);
    trial_await(&answer);
    assert_int_equal(answer.err.kind, ERR_NONE);
}

TEST(reasons__that_hold_no_longer__are_swept)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    struct reason_row reason = reason_for(&row);
    const struct reason_row many = {.word = "many", .answer = ""};
    trial_good_turn(trial, (struct turn){.owner = me,
                                         .reasons = &reason,
                                         .reasons_len = 1,
                                         .shared = &many,
                                         .shared_len = 1,
                                         .shared_changed = true});
    sweep(trial);
    assert_int_equal(reasons(trial), 1);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM shared_reason"),
                     1);
    trial_bury(trial, me);
    sweep(trial);
    assert_int_equal(reasons(trial), 1); /* still true of the row */
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM shared_reason"),
                     0);
    int64_t next = trial_join(trial);
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = next, .adopts_max = 1});
    assert_int_equal(result.adopted_len, 1);
    sweep(trial);
    assert_int_equal(reasons(trial), 0);
}

TEST(adopt__who_had_them__is_told)
{
    struct trial *trial = *state;
    int64_t dead = trial_join(trial);
    trial_requests(trial, 2);
    trial_good_turn(trial, (struct turn){.owner = dead, .claims_max = 2});
    trial_bury(trial, dead);
    trial_sql(trial, "UPDATE task SET owner = 0 WHERE id = 1");
    int64_t me = trial_join(trial);
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me, .adopts_max = 5});
    assert_int_equal(result.adopted_len, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(result.adopted[i].orphan,
                         result.adopted[i].row.id != 1);
    }
}

TESTS_RUN(NULL, NULL)
