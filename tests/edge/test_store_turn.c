#include "core/step.h"
#include "edge/store_trial.h"
#include "edge/pg/pg.h"
#include "lib/rows.h"

/* Rows that changed are saved, and ends are told. */

TEST(save__the_next_version__is_stored_whole)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    row.state = READY;
    snprintf(row.provider_task_id, sizeof row.provider_task_id, "task_1");
    row.submitted_ms = 11;
    row.generated_ms = 12;
    row.deadline_ms = 13;
    row.has_cost = true;
    row.cost = 0.1;
    row.credits_cost = 2.5;
    row.late = true;
    row.kind = FAILURE_TIMED_OUT;
    row.result = (char *)"[{\"url\":\"https://h/\\\"x\\\\,{y}\"}]";
    row.event = (char *)"line\none\ttab \xc3\xa9";
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    struct turn_result result = trial_good_turn(
        trial,
        (struct turn){.owner = me, .rereads = &row.id, .rereads_len = 1});
    assert_int_equal(result.rereads_len, 1);
    struct task_row back = result.rereads[0].row;
    assert_string_equal(back.result, row.result);
    assert_string_equal(back.event, row.event);
    assert_true(back.cost == row.cost && back.credits_cost == row.credits_cost);
    back.result = row.result;
    back.event = row.event;
    assert_string_equal(back.account, row.account);
    assert_string_equal(back.provider_task_id, row.provider_task_id);
    assert_int_equal(back.version, 2);
    assert_int_equal(back.fence, 1);
    assert_int_equal(back.state, READY);
    assert_int_equal(back.kind, FAILURE_TIMED_OUT);
    assert_true(back.late && back.has_cost);
    assert_int_equal(back.submitted_ms, 11);
    assert_int_equal(back.generated_ms, 12);
    assert_int_equal(back.deadline_ms, 13);
}

TEST(save__another_fence_or_version__is_fenced)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    row.state = RUNNING;
    struct task_row other = row;
    other.fence--;
    assert_int_equal(trial_save(trial, me, &other), SAVE_FENCED);
    other = row;
    other.version++;
    assert_int_equal(trial_save(trial, me, &other), SAVE_FENCED);
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    row.version--;
    assert_int_equal(trial_save(trial, me, &row), SAVE_FENCED);
}

TEST(save__an_id_that_was_learnt__is_not_lost)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    trial_sql(trial, "UPDATE task SET provider_task_id = 'task_1'");
    row.state = FAILED;
    row.kind = FAILURE_SUBMIT_UNKNOWN;
    row.version++;
    const struct task_row *rows[] = {&row};
    struct turn turn = {.owner = me, .saves = rows, .saves_len = 1};
    assert_int_equal(trial_good_turn(trial, turn).saves[0], SAVE_FENCED);
    snprintf(row.provider_task_id, sizeof row.provider_task_id, "task_1");
    assert_int_equal(trial_good_turn(trial, turn).saves[0], SAVE_DONE);
}

TEST(save__queued_again__waits_with_its_priority)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    struct intake_row request = trial_request(trial, 0);
    request.priority = 7;
    trial_intake(trial, &request, 1);
    struct task_row row = trial_claim_one(trial, me);
    row.state = QUEUED;
    row.not_before_ms = TRIAL_NOW + 5000;
    row.tries = 1;
    struct task_row stranger = row;
    stranger.fence--;
    assert_int_equal(trial_save(trial, me, &stranger), SAVE_FENCED);
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    assert_string_equal(
        trial_sql(trial, "SELECT concat_ws(' ', priority, not_before_ms, "
                         "tries, fence, version, account) FROM waiting"),
        "7 1800000005000 1 1 2 " TRIAL_ACCOUNT);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM task"), 0);
    struct turn_result result = trial_good_turn(
        trial, (struct turn){
                   .owner = me, .claims_max = 1, .now_ms = TRIAL_NOW + 5000});
    assert_int_equal(result.claimed_len, 1);
    assert_int_equal(result.claimed[0].row.fence, 2);
    assert_int_equal(result.claimed[0].row.version, 3);
    assert_int_equal(result.claimed[0].row.tries, 1);
}

/** The provider had no room: it waits for another attempt, and what the one
 * before was stays. */
TEST(save__another_attempt__keeps_the_one_before)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    row.state = RUNNING;
    row.submitted_ms = 70;
    snprintf(row.provider_task_id, sizeof row.provider_task_id, "task_1");
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    row.state = QUEUED;
    row.attempt = 1;
    row.not_before_ms = TRIAL_NOW + 5000;
    row.settled_ms = 77;
    row.has_cost = true;
    struct task_row stranger = row;
    stranger.fence--;
    assert_int_equal(trial_save(trial, me, &stranger), SAVE_FENCED);
    stranger = row;
    snprintf(stranger.provider_task_id, sizeof row.provider_task_id, "task_2");
    assert_int_equal(trial_save(trial, me, &stranger), SAVE_FENCED);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM past"), 0);
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    assert_string_equal(
        trial_sql(trial, "SELECT concat_ws(' ', attempt, submission, state, "
                         "kind, sends, provider_task_id, submitted_ms, "
                         "settled_ms, has_cost, cost, event IS NULL, account) "
                         "FROM past"),
        "0 0 7 4 1 task_1 70 77 t 0 t " TRIAL_ACCOUNT);
    assert_string_equal(
        trial_sql(trial, "SELECT concat_ws(' ', attempt, not_before_ms, "
                         "tries, fence, version) FROM waiting"),
        "1 1800000005000 0 1 3");
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM task"), 0);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM ended"), 0);
    struct turn_result result = trial_good_turn(
        trial, (struct turn){
                   .owner = me, .claims_max = 1, .now_ms = TRIAL_NOW + 5000});
    assert_int_equal(result.claimed_len, 1);
    row = result.claimed[0].row;
    assert_int_equal(row.attempt, 1);
    assert_false(row.doubt);
    assert_int_equal(row.sends, 1);
    assert_string_equal(row.provider_task_id, "");
    assert_false(row.has_cost);
}

/** The history that is lost may hold that attempt, too: it is for those that
 * may replay, for as long as its key is known. */
TEST(save__another_attempt_of_what_was_set_back__waits_in_doubt)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 2);
    struct turn_result claimed =
        trial_good_turn(trial, (struct turn){.owner = me, .claims_max = 2});
    assert_int_equal(claimed.claimed_len, 2);
    trial_sql(trial, "UPDATE meta SET rewound_ms = %lld", (long long)TRIAL_NOW);
    struct task_row rows[] = {claimed.claimed[0].row, claimed.claimed[1].row};
    for (size_t i = 0; i < 2; i++) {
        rows[i].state = RUNNING;
        rows[i].first_sent_ms = TRIAL_NOW - 1 + (int64_t)i;
        snprintf(rows[i].provider_task_id, sizeof rows[i].provider_task_id,
                 "task_%zu", i);
        assert_int_equal(trial_save(trial, me, &rows[i]), SAVE_DONE);
        rows[i].state = QUEUED;
        rows[i].attempt = 1;
        assert_int_equal(trial_save(trial, me, &rows[i]), SAVE_DONE);
    }
    assert_string_equal(
        trial_sql(trial, "SELECT string_agg(concat_ws(' ', doubt, "
                         "first_sent_ms), ', ' ORDER BY first_sent_ms) FROM "
                         "waiting"),
        "t 1799999999999, f 1800000000000");
}

/** All of a final end is in closed at once; its bare key is told, by whoever.
 */
TEST(end__a_final_one__leaves_a_bare_key)
{
    struct trial *trial = *state;
    int64_t dead = trial_join(trial);
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, dead);
    row.state = READY;
    row.result = (char *)"[]";
    snprintf(row.provider_task_id, sizeof row.provider_task_id, "task_1");
    assert_int_equal(trial_save(trial, dead, &row), SAVE_DONE);
    row.state = SUCCEEDED;
    row.settled_ms = 77;
    row.event = (char *)"the event";
    struct task_row stranger = row;
    stranger.fence++;
    assert_int_equal(trial_save(trial, dead, &stranger), SAVE_FENCED);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM closed"), 0);
    assert_int_equal(trial_save(trial, dead, &row), SAVE_DONE);
    assert_string_equal(
        trial_sql(trial, "SELECT concat_ws(' ', state, kind, event, fence, "
                         "version, provider_task_id, result) FROM closed"),
        "7 0 the event 1 3 task_1");
    assert_string_equal(trial_sql(trial,
                                  "SELECT concat_ws(' ', state, owner = %lld, "
                                  "event IS NULL, result IS NULL) FROM task",
                                  (long long)dead),
                        "4 t t t");
    struct turn_result result = trial_good_turn(
        trial,
        (struct turn){
            .owner = dead, .mine = true, .rereads = &row.id, .rereads_len = 1});
    assert_string_equal(result.mine[0].row.event, "the event");
    assert_string_equal(result.rereads[0].row.event, "the event");
    /* It is not ordered again before it is told, nor told by the former. */
    const char *const params[] = {
        arena_printf(&trial->arena, "%lld", (long long)row.id), "0"};
    PGresult *retry = PQexecParams(trial->conn, pg_sql("query", "ctl_retry"), 2,
                                   NULL, params, NULL, NULL, 0);
    assert_int_equal(PQntuples(retry), 0);
    PQclear(retry);
    trial_bury(trial, dead);
    result =
        trial_good_turn(trial, (struct turn){.owner = me, .adopts_max = 5});
    assert_int_equal(result.adopted_len, 1);
    struct task_row adopted = result.adopted[0].row;
    assert_string_equal(adopted.event, "the event");
    assert_int_equal(adopted.settled_ms, 77);
    row.state = CLOSED;
    assert_int_equal(trial_save(trial, dead, &row), SAVE_FENCED);
    adopted.state = CLOSED;
    assert_int_equal(trial_save(trial, me, &adopted), SAVE_DONE);
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM task"), 0);
    /* The fence that it had last is kept. */
    retry = PQexecParams(trial->conn, pg_sql("query", "ctl_retry"), 2, NULL,
                         params, NULL, NULL, 0);
    assert_int_equal(PQntuples(retry), 1);
    PQclear(retry);
    assert_int_equal(trial_number(trial, "SELECT fence FROM waiting"),
                     adopted.fence + 1);
}

TEST(close__a_told_row__moves)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 1);
    struct task_row row = trial_claim_one(trial, me);
    row.state = FAILED;
    row.kind = FAILURE_SUBMIT_UNKNOWN;
    row.event = (char *)"the event";
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    struct task_row other = row;
    other.state = CLOSED;
    snprintf(other.provider_task_id, sizeof other.provider_task_id, "task_9");
    assert_int_equal(trial_save(trial, me, &other), SAVE_FENCED);
    row.state = CLOSED;
    row.event = NULL;
    assert_int_equal(trial_save(trial, me, &row), SAVE_DONE);
    assert_string_equal(
        trial_sql(trial,
                  "SELECT state || ' ' || kind || ' ' || event || ' ' || "
                  "version FROM closed WHERE closed_ms > 0"),
        "7 7 the event 3");
    assert_int_equal(trial_number(trial, "SELECT count(*) FROM task"), 0);
    struct turn_result result = trial_good_turn(
        trial,
        (struct turn){.owner = me, .rereads = &row.id, .rereads_len = 1});
    assert_int_equal(result.rereads_len, 0);
}

TEST(save__refused_data__harms_nobody_else)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 8);
    struct turn_result claimed =
        trial_good_turn(trial, (struct turn){.owner = me, .claims_max = 7});
    struct task_row rows[7];
    const struct task_row *saves[7];
    for (size_t i = 0; i < 7; i++) {
        rows[i] = claimed.claimed[i].row;
        rows[i].state = i == 6 ? CLOSED : RUNNING;
        rows[i].kind = i == 6 ? FAILURE_TIMED_OUT : FAILURE_NONE;
        rows[i].version++;
        saves[i] = &rows[i];
    }
    rows[2].result = (char *)"not UTF-8: \xff";
    rows[5].result = (char *)"\xc0\x80";
    struct turn_result result =
        trial_good_turn(trial, (struct turn){.owner = me,
                                             .saves = saves,
                                             .saves_len = 7,
                                             .claims_max = 5,
                                             .rereads = &rows[0].id,
                                             .rereads_len = 1});
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(result.saves[i],
                         i == 2 || i == 5 ? SAVE_POISON : SAVE_DONE);
    }
    assert_int_equal(result.claimed_len, 1);
    assert_int_equal(result.rereads_len, 1);
    assert_int_equal(result.rereads[0].row.state, RUNNING);
}

/** What holds a slot may be in doubt still: nothing is claimed for that slot.
 */
TEST(claim__for_slots_of_rows_that_are_refused__is_put_off)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 5);
    struct turn_result claimed =
        trial_good_turn(trial, (struct turn){.owner = me, .claims_max = 2});
    struct task_row rows[2];
    const struct task_row *saves[2];
    for (size_t i = 0; i < 2; i++) {
        rows[i] = claimed.claimed[i].row;
        rows[i].state = RUNNING;
        rows[i].version++;
        saves[i] = &rows[i];
    }
    rows[1].result = (char *)"not UTF-8: \xff";
    struct turn turn = {.owner = me,
                        .saves = saves,
                        .saves_len = 2,
                        .saves_slots = 2,
                        .claims_max = 2};
    struct turn_result result = trial_good_turn(trial, turn);
    assert_int_equal(result.saves[0], SAVE_DONE);
    assert_int_equal(result.saves[1], SAVE_POISON);
    assert_true(result.claims_put_off);
    assert_int_equal(result.claimed_len, 0);
    rows[1].result = NULL;
    turn.saves = &saves[1];
    turn.saves_len = 1;
    turn.saves_slots = 1;
    result = trial_good_turn(trial, turn);
    assert_int_equal(result.saves[0], SAVE_DONE);
    assert_false(result.claims_put_off);
    assert_int_equal(result.claimed_len, 2);
}

TEST(save__kept_out_by_a_constraint__is_for_later)
{
    struct trial *trial = *state;
    int64_t me = trial_join(trial);
    trial_requests(trial, 5);
    struct turn_result claimed =
        trial_good_turn(trial, (struct turn){.owner = me, .claims_max = 5});
    struct task_row rows[5];
    const struct task_row *saves[5];
    for (size_t i = 0; i < 5; i++) {
        rows[i] = claimed.claimed[i].row;
        rows[i].state = i < 3 ? CLOSED : RUNNING;
        rows[i].kind = i < 3 ? FAILURE_TIMED_OUT : FAILURE_NONE;
        rows[i].version++;
        saves[i] = &rows[i];
    }
    trial_sql(trial, "INSERT INTO closed SELECT * FROM task WHERE id = %lld",
              (long long)rows[1].id);
    const struct turn turn = {.owner = me, .saves = saves, .saves_len = 5};
    struct turn_result result = trial_good_turn(trial, turn);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(result.saves[i], i == 1 ? SAVE_LATER : SAVE_DONE);
    }
    trial_sql(trial, "DELETE FROM closed WHERE id = %lld",
              (long long)rows[1].id);
    assert_int_equal(trial_good_turn(trial, turn).saves[1], SAVE_DONE);
    assert_int_equal(trial->downs, 0);
}

TESTS_RUN(NULL, NULL)
