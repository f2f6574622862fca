#include "edge/store_trial.h"

#include "edge/pg/pg.h"

/*
 * Places under the fleet's limit: what is taken, given back, brought along by
 * what is taken over, and what the dead had.
 */

struct taken {
    struct trial_answer answer;
    struct places_result result;
};

static void on_places(void *context, const struct places_result *result)
{
    struct taken *taken = context;
    taken->result = *result;
    trial_take_err(&taken->answer, &result->err);
}

static struct places_result take(struct trial *trial, int64_t owner, int more,
                                 int most)
{
    static const int64_t after[PRIORITIES];
    struct taken taken = {.answer.trial = trial};
    const struct places ask = {
        .owner = owner, .more = more, .most = most, .claim_after = after};
    store_places(trial->store, &ask, on_places, &taken);
    trial_await(&taken.answer);
    assert_string_equal(taken.answer.err.text, "");
    assert_int_equal(taken.result.owner, owner);
    return taken.result;
}

static void on_beat(void *context, const struct beat_result *result)
{
    struct trial_answer *answer = context;
    answer->beat = *result;
    trial_take_err(answer, &result->err);
}

static struct beat_result bump(struct trial *trial, int64_t owner, int back)
{
    struct trial_answer answer = {.trial = trial};
    const struct beat ask = {.owner = owner, .places_back = back, .tasks = 3};
    store_beat(trial->store, &ask, on_beat, &answer);
    trial_await(&answer);
    assert_int_equal(answer.beat.err.kind, ERR_NONE);
    return answer.beat;
}

static int64_t places_of(struct trial *trial, int64_t lease)
{
    char sql[100];
    snprintf(sql, sizeof sql,
             "SELECT coalesce(places, -1) FROM lease WHERE "
             "id = %lld",
             (long long)lease);
    return trial_number(trial, sql);
}

/** Takes over what is there, ended or not by a limit. */
static struct turn_result adopt(struct trial *trial, int64_t owner, int most,
                                bool guarded)
{
    return trial_good_turn(trial, (struct turn){.owner = owner,
                                                .adopts_max = most,
                                                .now_ms = TRIAL_NOW + 1000,
                                                .guarded = guarded});
}

TEST(places__of_two_workers__never_add_up_to_more_than_the_limit)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    int64_t other = trial_join(trial);
    trial_requests(trial, 10);
    assert_int_equal(take(trial, me, 4, 6).got, 4);
    struct places_result result = take(trial, other, 4, 6);
    assert_int_equal(result.got, 2);
    assert_true(result.waits);
    assert_false(result.busy);
    assert_int_equal(take(trial, other, 4, 6).got, 0);
    assert_int_equal(take(trial, me, 4, 5).got,
                     0); /* a limit that was lowered */
    assert_int_equal(places_of(trial, me), 4);
    assert_int_equal(places_of(trial, other), 2);
}

TEST(places__given_back_with_a_bump__are_anothers)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    int64_t other = trial_join(trial);
    trial_requests(trial, 10);
    assert_int_equal(bump(trial, me, 0).places, 0);
    assert_int_equal(places_of(trial, me), -1);
    assert_int_equal(take(trial, me, 6, 6).got, 6);
    assert_int_equal(bump(trial, me, 2).places, 4);
    assert_int_equal(take(trial, other, 6, 6).got, 2);
    assert_int_equal(bump(trial, me, 100).places, 0); /* never below none */
}

TEST(places__where_nothing_waits__are_left)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    struct places_result result = take(trial, me, 4, 6);
    assert_int_equal(result.got, 0);
    assert_false(result.waits);
    trial_requests(trial, 1);
    assert_true(take(trial, me, 4, 6).waits);
}

/** Nobody waits for who takes some. */
TEST(places__while_another_takes_some__are_busy)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 3);
    trial_sql(trial, "SELECT pg_advisory_lock(7264930517)");
    struct places_result result = take(trial, me, 2, 6);
    assert_int_equal(result.got, 0);
    assert_true(result.busy);
    /* The claim itself asks for nothing. */
    assert_int_equal(
        trial_good_turn(trial, (struct turn){.owner = me, .claims_max = 1})
            .claimed_len,
        1);
    trial_sql(trial, "SELECT pg_advisory_unlock(7264930517)");
    result = take(trial, me, 2, 6);
    assert_int_equal(result.got, 2);
    assert_false(result.busy);
}

TEST(places__of_a_worker_without_a_limit__are_what_it_works_on)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    int64_t other = trial_join(trial);
    trial_requests(trial, 3);
    bump(trial, other, 0); /* it works on three */
    assert_int_equal(take(trial, me, 6, 6).got, 3);
}

TEST(places__of_the_dead__move_with_their_rows)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    int64_t dead = trial_join(trial);
    trial_requests(trial, 5);
    assert_int_equal(take(trial, dead, 5, 6).got, 5);
    struct turn turn = {.owner = dead, .claims_max = 4};
    assert_int_equal(trial_good_turn(trial, turn).claimed_len, 4);
    assert_true(trial_bury(trial, dead));
    assert_int_equal(take(trial, me, 6, 6).got, 1);
    assert_int_equal(adopt(trial, me, 3, true).adopted_len, 3);
    assert_int_equal(places_of(trial, me), 4);
    assert_int_equal(places_of(trial, dead), 2);
    assert_int_equal(take(trial, me, 6, 6).got, 0);
    assert_int_equal(adopt(trial, me, 3, true).adopted_len, 1);
    assert_int_equal(places_of(trial, me), 5);
    /* What it had beside goes with its lease. */
    trial_good_turn(trial, (struct turn){.owner = me,
                                         .forget = &dead,
                                         .forget_len = 1,
                                         .guarded = true});
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM lease"), 1);
    assert_int_equal(take(trial, me, 6, 6).got, 1);
}

TEST(places__of_the_dead__lapse_long_after_the_last_bump)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    int64_t dead = trial_join(trial);
    trial_requests(trial, 5);
    assert_int_equal(take(trial, dead, 6, 6).got, 6);
    trial_sql(trial, "UPDATE lease SET bumped_ms = bumped_ms - 700000");
    assert_int_equal(take(trial, me, 6, 6).got, 0); /* it is not dead */
    assert_true(trial_bury(trial, dead));
    trial_sql(trial, "UPDATE lease SET bumped_ms = bumped_ms + 100000");
    assert_int_equal(take(trial, me, 6, 6).got, 0); /* nor is it ten minutes */
    trial_sql(trial, "UPDATE lease SET bumped_ms = bumped_ms - 100000");
    assert_int_equal(take(trial, me, 6, 6).got, 6);
}

/** Nobody's rows, and those of one that had no limit, take a place where they
 * come to; what takes none brings none. */
TEST(places__of_rows_that_had_none__come_with_them)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    int64_t dead = trial_join(trial);
    trial_requests(trial, 8);
    struct turn turn = {.owner = dead, .claims_max = 6};
    assert_int_equal(trial_good_turn(trial, turn).claimed_len, 6);
    trial_sql(trial, "UPDATE task SET owner = -1 WHERE id = 1");
    trial_sql(trial, "UPDATE task SET state = 3 WHERE id = 2");
    trial_sql(trial, "UPDATE task SET last_sent_ms = last_sent_ms - 700000 "
                     "WHERE id = 3");
    assert_true(trial_bury(trial, dead));
    assert_int_equal(adopt(trial, me, 10, true).adopted_len, 6);
    assert_int_equal(places_of(trial, me), 4);
    assert_int_equal(places_of(trial, dead), -1);
}

TEST(an_adoption__without_a_limit__writes_no_places)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    int64_t dead = trial_join(trial);
    trial_requests(trial, 2);
    struct turn turn = {.owner = dead, .claims_max = 2};
    assert_int_equal(trial_good_turn(trial, turn).claimed_len, 2);
    assert_true(trial_bury(trial, dead));
    assert_int_equal(adopt(trial, me, 10, false).adopted_len, 2);
    assert_int_equal(places_of(trial, me), -1);
}

/** A later program's row takes its place still. */
TEST(a_dead_lease__whose_rows_are_left_alone__keeps_its_places)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    int64_t dead = trial_join(trial);
    trial_requests(trial, 2);
    assert_int_equal(take(trial, dead, 2, 2).got, 2);
    struct turn turn = {.owner = dead, .claims_max = 1};
    assert_int_equal(trial_good_turn(trial, turn).claimed_len, 1);
    assert_true(trial_bury(trial, dead));
    const struct turn forget = {
        .owner = me, .forget = &dead, .forget_len = 1, .guarded = true};
    trial_good_turn(trial, forget);
    assert_int_equal(places_of(trial, dead), 2);
    trial_sql(trial, "UPDATE lease SET bumped_ms = bumped_ms - 700000");
    trial_good_turn(trial, forget);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM lease"), 1);
}

TEST(places__of_a_dead_lease__are_not_taken)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 2);
    assert_true(trial_bury(trial, me));
    assert_int_equal(take(trial, me, 2, 2).got, 0);
    assert_int_equal(places_of(trial, me), -1);
}

TESTS_RUN(NULL, NULL)
