#include "edge/store_trial.h"

#include "edge/pg/pg.h"

/* What an operator orders, as the store tells it to workers. */

static void on_beat(void *context, const struct beat_result *result)
{
    struct trial_answer *answer = context;
    answer->beat = *result;
    answer->beat.cancels =
        trial_copy(answer->trial, result->cancels,
                   result->cancels_len * sizeof *result->cancels);
    trial_take_err(answer, &result->err);
}

static struct beat_result beat(struct trial *trial, int64_t owner)
{
    struct trial_answer answer = {.trial = trial};
    const struct beat ask = {.owner = owner};
    store_beat(trial->store, &ask, on_beat, &answer);
    trial_await(&answer);
    assert_int_equal(answer.beat.err.kind, ERR_NONE);
    return answer.beat;
}

static void cancel(struct trial *trial, int64_t task)
{
    trial_sql(trial, "INSERT INTO cancel (task) VALUES (%lld)",
              (long long)task);
}

TEST_CASE_WITH(cancelled__while_it_waits__is_never_claimed_but_expires,
               trial_setup, trial_teardown)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    const int64_t *ids = trial_requests(trial, 3);
    cancel(trial, ids[1]);
    trial_sql(trial, "INSERT INTO hold VALUES ('operator', '*', 1, 1, '')");
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me, .expires_max = 9});
    assert_int_equal(result.expired_len, 1);
    assert_int_equal(result.expired[0].row.id, ids[1]);
    assert_int_equal(result.expired[0].row.state, QUEUED);
    assert_int_equal(result.expired[0].row.owner, me);
    assert_true(result.expired[0].cancel);
    trial_sql(trial, "DELETE FROM hold");
    cancel(trial, ids[0]);
    result =
        trial_good_turn(trial, (struct turn){.owner = me, .claims_max = 9});
    assert_int_equal(result.claimed_len, 1);
    assert_int_equal(result.claimed[0].row.id, ids[2]);
    assert_false(result.claimed[0].cancel);
}

/** Nobody forgets the order while it waits, nor does anything buy it. */
TEST_CASE_WITH(cancelled__while_others_count__stays_ordered, trial_setup,
               trial_teardown)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    const int64_t *ids = trial_requests(trial, 1);
    cancel(trial, ids[0]);
    for (int i = 0; i < 3; i++) {
        trial_count(trial, false);
    }
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM cancel"), 1);
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me, .claims_max = 9});
    assert_int_equal(result.claimed_len, 0);
    result =
        trial_good_turn(trial, (struct turn){.owner = me, .expires_max = 9});
    assert_int_equal(result.expired_len, 1);
    trial_count(trial, false);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM cancel"), 1);
}

TEST_CASE_WITH(cancelled__in_flight__is_told_to_its_owner_alone, trial_setup,
               trial_teardown)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    int64_t other = trial_join(trial);
    trial_requests(trial, 2);
    struct task_row row = trial_claim_one(trial, me);
    (void)trial_claim_one(trial, other);
    assert_int_equal(beat(trial, me).cancels_len, 0);
    cancel(trial, row.id);
    struct beat_result result = beat(trial, me);
    assert_int_equal(result.cancels_len, 1);
    assert_int_equal(result.cancels[0], row.id);
    assert_int_equal(beat(trial, other).cancels_len, 0);

    assert_true(trial_bury(trial, me));
    struct turn_result turn =
        trial_good_turn(trial, (struct turn){.owner = other, .adopts_max = 9});
    assert_int_equal(turn.adopted_len, 1);
    assert_true(turn.adopted[0].cancel);
    assert_int_equal(beat(trial, other).cancels_len, 1);
    turn = trial_good_turn(trial, (struct turn){.owner = other, .mine = true});
    assert_int_equal(turn.mine_len, 2);
    assert_int_equal(turn.mine[0].cancel + turn.mine[1].cancel, 1);
    turn = trial_good_turn(
        trial,
        (struct turn){.owner = other, .rereads = &row.id, .rereads_len = 1});
    assert_true(turn.rereads[0].cancel);
}

TEST_CASE_WITH(cancelled__and_told__the_order_goes, trial_setup, trial_teardown)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    cancel(trial, row.id);
    trial_count(trial, false);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM cancel"), 1);
    row.state = CLOSED;
    row.kind = FAILURE_TIMED_OUT;
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    trial_count(trial, false);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM cancel"), 0);
}

/** pixverse-ctl rewind, with the workers gone. */
static void rewind_all(struct trial *trial)
{
    store_close(trial->store);
    PGresult *result = NULL;
    for (int i = 0; i < 6000; i++) { /* a session ends after its connection */
        PQclear(result);
        result = PQexec(trial->conn, pg_sql("query", "ctl_rewind"));
        assert_string_equal(PQresultErrorMessage(result), "");
        if (PQntuples(result) > 0) {
            break;
        }
        usleep(10000);
    }
    assert_int_equal(PQntuples(result), 1);
    PQclear(result);
    trial->store = trial_open_store(trial);
    trial_wait_up(trial);
}

/** A send without an id may have been refused since, and another account's may
 * have bought it: that is certain of one account alone. */
TEST_CASE_WITH(rewind__with_two_accounts__sends_no_submission_again,
               trial_setup, trial_teardown)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 2);
    struct turn_result claimed =
        trial_good_turn(trial, (struct turn){.owner = me, .claims_max = 2});
    assert_int_equal(claimed.claimed_len, 2);
    trial_sql(trial, "UPDATE task SET provider_task_id = 'task_1' WHERE id = "
                     "(SELECT min(id) FROM task)");
    trial_sql(trial, "INSERT INTO account (account, keys_answer, retention_ms, "
                     "answered_ms) VALUES ('one', 1, 1, 1) "
                     "ON CONFLICT DO NOTHING");
    trial_sql(trial, "DELETE FROM account WHERE account <> 'one'");
    rewind_all(trial);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM task"), 2);
    trial_sql(trial, "INSERT INTO account (account, keys_answer, retention_ms, "
                     "answered_ms) VALUES ('two', 1, 1, 1)");
    rewind_all(trial);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM task"), 1);
    assert_string_equal(
        trial_sql(trial, "SELECT concat_ws(' ', doubt, fence, version, tries, "
                         "first_sent_ms <= received_ms, source IS NULL) "
                         "FROM waiting"),
        "t 2 2 0 t t");
    me = trial_join(trial);
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me,
                                             .claims_max = 9,
                                             .now_ms = TRIAL_NOW + 5000,
                                             .account = "two"});
    assert_int_equal(result.claimed_len, 0);
}

TESTS_RUN(NULL, NULL)
